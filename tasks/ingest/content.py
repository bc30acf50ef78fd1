"""What the model sees of a row, as one vector of float32: numeric columns, or an embedding.

Images are a module of their own; all kinds of content answer to the same few names.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.ingest.identity import content_hashes, vector_rows
from tasks.ingest.table import SourceTable

_LOOK = 1024


@dataclass(frozen=True)
class Encoded:
    """One batch of content.

    Attributes:
        matrix: The features  # (rows, features), NaN where a value is missing.
        hashes: Content hash of each row.
        images: PNG or JPEG bytes, for images.
    """

    matrix: NDArray[np.float32]
    hashes: list[str]
    images: pa.Array | None = None


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
    """Numeric columns, in the order of the source."""

    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """One number a column."""
        return (len(self.names),)

    def encode(self, batch: pa.RecordBatch, first_row: int) -> Encoded:  # noqa: ARG002 (no row can be wrong here)
        """Return the features and hashes; the hash does not depend on the order of the columns."""
        matrix = np.empty((batch.num_rows, len(self.names)), np.float32)
        for position, name in enumerate(self.names):
            matrix[:, position] = as_float32(batch.column(name))
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        names = [self.names[position] for position in order]
        return Encoded(matrix, content_hashes("tabular", names, vector_rows(matrix[:, order])))


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


def tabular(table: SourceTable, columns: tuple[str, ...]) -> Tabular:
    """Return how numeric columns are encoded.

    Raises:
        InputError: A named column holds text that is not a number.
    """
    text = [name for name in columns if pa.types.is_string(table.schema.field(name).type)]
    row = 0
    for batch in table.scan(text, 2**16) if text else ():
        for name in text:
            wrong = _first_not_number(batch.column(name))
            if wrong is not None:
                value = batch.column(name)[wrong].as_py()
                raise table.problem(
                    row + wrong,
                    f"column '{name}': '{value[:40]}' is not a number",
                    fix="correct it, or leave the column out of --features",
                )
        row += batch.num_rows
    return Tabular(columns)


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


def as_float32(column: pa.Array) -> NDArray[np.float32]:
    """Return a numeric column as float32 of shape (rows,), NaN where missing."""
    kind = column.type
    if pa.types.is_string(kind):
        column = pc.utf8_trim_whitespace(column)
    if pa.types.is_decimal(kind) or pa.types.is_string(kind):
        column = column.cast(pa.float64())
    numbers = pc.fill_null(column.cast(pa.float32(), safe=False), np.float32("nan"))
    values: NDArray[np.float32] = numbers.to_numpy(zero_copy_only=False)
    return values


def _first_not_number(column: pa.Array) -> int | None:
    try:
        as_float32(column)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return 0
        middle = len(column) // 2
        first = _first_not_number(column.slice(0, middle))
        return first if first is not None else middle + (_first_not_number(column.slice(middle)) or 0)
    return None
