"""What the model sees of a row: the columns of a table, an embedding, or a text.

Images are a module of their own; all kinds of content answer to the same few names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.ingest import numbers as typed
from tasks.ingest.dates import as_days
from tasks.ingest.identity import content_hashes, vector_rows
from tasks.ingest.labels import as_text
from tasks.ingest.numbers import as_float32
from tasks.ingest.table import SourceTable
from tasks.records import Column

_LOOK = 1024


@dataclass(frozen=True)
class Encoded:
    """One batch of content.

    Attributes:
        matrix: The features  # (rows, features), NaN where a value is missing; None where an encoder makes them.
        hashes: Content hash of each row.
        payload: What a reviewer sees of it: PNG or JPEG bytes of images, or text.
        problems: Why the content of a row cannot be read, by its place in the batch; its features are NaN.
    """

    matrix: NDArray[np.float32] | None
    hashes: list[str]
    payload: pa.Array | None = None
    problems: dict[int, str] = field(default_factory=dict)


class Content(Protocol):
    """How one kind of content becomes features."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each feature, in the order of the matrix."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row's features."""

    def encode(self, batch: pa.RecordBatch, first_row: int) -> Encoded:
        """Return the features and hashes of a batch whose first row has this number."""


@dataclass(frozen=True)
class Tabular:
    """The columns of a table, in the order of the source: numbers as they are, dates as days, categories as their places.

    Nothing is encoded yet, so that the numbers stay those of the source: an encoder fills gaps and spreads categories.
    """

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def shape(self) -> tuple[int, ...]:
        """One number a column."""
        return (len(self.columns),)

    def encode(self, batch: pa.RecordBatch, first_row: int) -> Encoded:  # noqa: ARG002 (no row can be wrong here)
        """Return the features and hashes; the hash does not depend on the order of the columns.

        Nor does it depend on which categories other rows have: it is that of the value, not of its place.
        """
        matrix = np.empty((batch.num_rows, len(self.columns)), np.float32)
        for position, column in enumerate(self.columns):
            matrix[:, position] = _as_number(batch.column(column.name), column)
        known = self.names
        order = sorted(range(len(known)), key=known.__getitem__)
        numbers = [
            position
            for position in order
            if self.columns[position].kind != "category" and not self.columns[position].centre
        ]
        # Of these float32 does not say all, and what is taken off may be another value tomorrow.
        far = [self.columns[position] for position in order if self.columns[position].centre]
        words = [known[position] for position in order if self.columns[position].kind == "category"]
        vectors: Sequence[bytes | memoryview] = (
            vector_rows(matrix[:, numbers]) if numbers else [b""] * batch.num_rows
        )
        if words:
            texts = zip(*(as_text(batch.column(name)).to_pylist() for name in words), strict=True)
            vectors = [
                bytes(vector) + repr(text).encode() for vector, text in zip(vectors, texts, strict=True)
            ]
        names = [known[position] for position in numbers] + words
        if far:
            whole = [as_float64(batch.column(column.name), column) for column in far]
            rows = np.ascontiguousarray(np.stack(whole, axis=1), "<f8")
            vectors = [bytes(vector) + row.tobytes() for vector, row in zip(vectors, rows, strict=True)]
            names += [column.name for column in far]
        return Encoded(matrix, content_hashes("tabular", names, vectors))


@dataclass(frozen=True)
class Text:
    """A column of text; what is blank is missing."""

    column: str

    @property
    def names(self) -> tuple[str, ...]:
        """No features yet: an encoder makes them of all texts."""
        return ()

    @property
    def shape(self) -> tuple[int, ...]:
        """No features yet."""
        return (0,)

    def encode(self, batch: pa.RecordBatch, first_row: int) -> Encoded:  # noqa: ARG002 (no row can be wrong here)
        """Return the texts and their hashes."""
        text = as_text(batch.column(self.column))
        hashes = content_hashes("text", (), [(value or "").encode() for value in text.to_pylist()])
        return Encoded(None, hashes, text)


@dataclass(frozen=True)
class Embedding:
    """A column of lists of equal lengths."""

    table: SourceTable
    column: str
    width: int
    first: int

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name with the position in the list."""
        return tuple(f"{self.column}[{position}]" for position in range(self.width))

    @property
    def shape(self) -> tuple[int, ...]:
        """One number an element of the list."""
        return (self.width,)

    def encode(self, batch: pa.RecordBatch, first_row: int) -> Encoded:
        """Return the features and hashes; a missing list is all NaN.

        Raises:
            InputError: A list has another length than the first one.
        """
        column = batch.column(self.column)
        lengths = pc.list_value_length(column)
        wrong = pc.fill_null(pc.not_equal(lengths, self.width), fill_value=False)
        if pc.any(wrong).as_py():
            offset = wrong.index(pa.scalar(value=True)).as_py()
            raise self.table.problem(
                first_row + offset,
                f"the list in column '{self.column}' has length {lengths[offset]}, "
                f"that of {self.table.place(self.first)} has {self.width}",
                fix="an embedding has the same length in every row",
            )
        matrix = np.full((batch.num_rows, self.width), np.nan, np.float32)
        there = column.is_valid().to_numpy(zero_copy_only=False)
        matrix[there] = as_float32(column.flatten()).reshape(-1, self.width)
        return Encoded(matrix, content_hashes("embedding", (), vector_rows(matrix)))


def embedding(table: SourceTable, column: str) -> Embedding:
    """Return how an embedding column is encoded; its first list tells the length.

    Raises:
        InputError: There is no list, or it is empty.
    """
    row = 0
    for batch in table.scan([column], _LOOK):
        lengths = pc.list_value_length(batch.column(0))
        if lengths.null_count < len(lengths):
            first = lengths.is_valid().index(pa.scalar(value=True)).as_py()
            width = lengths[first].as_py()
            if width == 0:
                raise table.problem(
                    row + first, f"the list in column '{column}' is empty", fix="give it numbers"
                )
            return Embedding(table, column, width, row + first)
        row += batch.num_rows
    raise InputError(
        f"column '{column}' has no list at all", where=table.uri, fix="name another with --embedding"
    )


def as_float64(values: pa.Array, column: Column) -> NDArray[np.float64]:
    """Return numbers or dates as float64 of shape (rows,), NaN where missing, nothing taken off."""
    return as_days(values, column.pattern) if column.kind == "date" else typed.as_float64(values)


def _as_number(values: pa.Array, column: Column) -> NDArray[np.float32]:
    """Return one column of a table as float32 of shape (rows,), NaN where missing, less the column's centre.

    A value that is no category has the place behind the last one.
    """
    if column.kind == "date" or column.centre:
        return (as_float64(values, column) - column.centre).astype(np.float32)
    if column.kind != "category":
        return as_float32(values)
    text = as_text(values)
    place = pc.index_in(text, value_set=pa.array(column.categories, pa.string()))
    place = pc.fill_null(place, len(column.categories)).cast(pa.float32())
    numbers: NDArray[np.float32] = pc.if_else(text.is_valid(), place, np.float32("nan")).to_numpy(
        zero_copy_only=False
    )
    return numbers
