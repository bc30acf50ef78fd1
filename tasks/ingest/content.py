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

from tasks.ingest.columns.dates import as_days, wrong_dates
from tasks.ingest.columns.numerals import Notation, as_numbers
from tasks.ingest.columns.values import convert_to_floats, convert_to_text
from tasks.ingest.identity import hash_contents, vector_rows
from tasks.ingest.table import SourceTable
from tasks.ingest.vectors import read_vectors, width_of
from tasks.records import Column

# Kinds of columns whose content is words, not numbers.
_WORDS = ("category", "text")


@dataclass(frozen=True)
class EncodedBatch:
    """One batch of content.

    Attributes:
        matrix: The features  # (rows, features), NaN where a value is missing; None where an encoder makes them.
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

    def encode(self, batch: pa.RecordBatch, first_row: int) -> EncodedBatch:
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

    def encode(self, batch: pa.RecordBatch, first_row: int) -> EncodedBatch:  # noqa: ARG002 (a row that is wrong is told by its place)
        """Return the features and hashes; the hash does not depend on the order of the columns.

        Nor does it depend on which categories other rows have: it is that of the value, not of its place.
        """
        matrix = np.empty((batch.num_rows, len(self.columns)), np.float32)
        for place, column in enumerate(self.columns):
            matrix[:, place] = _as_number(batch.column(column.name), column)
        places = sorted(range(len(self.columns)), key=self.names.__getitem__)
        in_order = [(place, self.columns[place]) for place in places]
        numbers = [place for place, column in in_order if column.kind not in _WORDS and not column.centre]
        names = [self.names[place] for place in numbers]
        contents: Sequence[bytes | memoryview]
        contents = vector_rows(matrix[:, numbers]) if numbers else [b""] * batch.num_rows
        words = [column.name for _, column in in_order if column.kind in _WORDS]
        if words:
            texts = zip(*(convert_to_text(batch.column(name)).to_pylist() for name in words), strict=True)
            contents = [bytes(row) + repr(text).encode() for row, text in zip(contents, texts, strict=True)]
        # Of these float32 does not say all, and what is taken off may be another value tomorrow.
        far = [column for _, column in in_order if column.centre]
        if far:
            whole = np.stack([exact_values(batch.column(column.name), column) for column in far], axis=1)
            exact = np.ascontiguousarray(whole, "<f8")
            contents = [bytes(row) + more.tobytes() for row, more in zip(contents, exact, strict=True)]
        hashes = hash_contents("tabular", [*names, *words, *(column.name for column in far)], contents)
        problems = {**_too_large(batch, self.columns, matrix), **_bad_dates(batch, self.columns)}
        return EncodedBatch(matrix, hashes, problems=problems)


@dataclass(frozen=True)
class TextContent:
    """A column of text; what is blank is missing."""

    column: str
    names: tuple[str, ...] = ()  # an encoder makes features of all texts
    shape: tuple[int, ...] = (0,)

    def encode(self, batch: pa.RecordBatch, first_row: int) -> EncodedBatch:  # noqa: ARG002 (no row can be wrong here)
        """Return the texts and their hashes."""
        text = convert_to_text(batch.column(self.column))
        hashes = hash_contents("text", (), [(value or "").encode() for value in text.to_pylist()])
        return EncodedBatch(None, hashes, text)


@dataclass(frozen=True)
class Embedding:
    """A column of vectors of equal lengths: lists, or text that is written so."""

    column: str
    width: int

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name with the position in the vector."""
        return tuple(f"{self.column}[{position}]" for position in range(self.width))

    @property
    def shape(self) -> tuple[int, ...]:
        """One number an element of the vector."""
        return (self.width,)

    def encode(self, batch: pa.RecordBatch, first_row: int) -> EncodedBatch:  # noqa: ARG002 (a row that is wrong is told by its place)
        """Return the features and hashes; a vector that is missing, or of another length, is all NaN."""
        vectors = read_vectors(batch.column(self.column), self.column)
        matrix, problems = vectors.of_width(self.width, self.column)
        return EncodedBatch(matrix, hash_contents("embedding", (), vector_rows(matrix)), problems=problems)


def open_embedding(table: SourceTable, column: str) -> Embedding:
    """Return how an embedding column is encoded; most of its first vectors tell the length.

    Raises:
        InputError: There is no vector, or their lengths differ from row to row.
    """
    return Embedding(column, width_of(table, column, "--embedding"))


def exact_values(values: pa.Array, column: Column) -> NDArray[np.float64]:
    """Return numbers or dates as float64 of shape (rows,), NaN where missing, nothing taken off."""
    if column.kind == "date":
        return as_days(values, column.pattern)
    numbers = as_numbers(values, Notation.of(column.pattern)) if column.pattern else values
    return convert_to_floats(numbers, pa.float64())


def _too_large(
    batch: pa.RecordBatch, columns: Sequence[Column], matrix: NDArray[np.float32]
) -> dict[int, str]:
    """Return the rows with a number that single precision does not reach, which is infinite in the matrix only."""
    problems: dict[int, str] = {}
    for row, position in np.argwhere(np.isinf(matrix)).tolist():
        column = columns[position]
        number = exact_values(batch.column(column.name).slice(row, 1), column)[0]
        if np.isfinite(number):
            problems[row] = f"{number:g} in column '{column.name}' is beyond 3.4e38, the largest float32"
    return problems


def _bad_dates(batch: pa.RecordBatch, columns: Sequence[Column]) -> dict[int, str]:
    """Return the rows with a text that is not a date in a column of dates."""
    problems: dict[int, str] = {}
    for column in columns:
        values = batch.column(column.name)
        if column.kind == "date" and pa.types.is_string(values.type):
            for row in wrong_dates(values, column.pattern):
                shown = values[row].as_py()[:40]
                problems.setdefault(row, f"column '{column.name}': '{shown}' is no date as the others are")
    return problems


def _as_number(values: pa.Array, column: Column) -> NDArray[np.float32]:
    """Return one column of a table as float32 of shape (rows,), NaN where missing, less the column's centre.

    A value that is not a category has the place behind the last one.
    """
    if column.kind == "date" or column.centre or column.pattern:
        with np.errstate(over="ignore"):  # what is too large is told of its row
            return (exact_values(values, column) - column.centre).astype(np.float32)
    if column.kind not in _WORDS:
        return convert_to_floats(values)
    text = convert_to_text(values)
    if column.kind == "text":
        return np.where(text.is_valid(), np.float32(0), np.float32("nan"))
    place = pc.index_in(text, value_set=pa.array(column.categories, pa.string()))
    place = pc.fill_null(place, len(column.categories)).cast(pa.float32())
    return convert_to_floats(pc.if_else(text.is_valid(), place, None))
