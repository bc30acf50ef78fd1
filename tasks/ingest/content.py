"""What the model sees of a row: the columns of a table, an embedding, or a text.

Images and probabilities have modules of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.ingest.columns.dates import convert_to_days, find_wrong_dates
from tasks.ingest.columns.notations import Notation
from tasks.ingest.columns.numerals import parse_numbers
from tasks.ingest.columns.values import convert_to_floats, convert_to_text
from tasks.ingest.identity import encode_vector_rows, hash_contents
from tasks.ingest.table import SourceTable
from tasks.ingest.vectors import measure_width, read_vectors
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


@dataclass(frozen=True)
class Content:
    """How one kind of content becomes features.

    Attributes:
        names: Name of each feature, in the order of the matrix.
        shape: Shape of one row's features.
        encode: Returns features and hashes of a batch, given the number of its first row.
        notes: What was decided without being asked, a line each.
        classes: The class of each feature, where features are probabilities.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    encode: Callable[[pa.RecordBatch, int], EncodedBatch]
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def open_columns(columns: Sequence[Column]) -> Content:
    """Return how the columns of a table are encoded."""
    names = tuple(column.name for column in columns)
    return Content(names, (len(columns),), lambda batch, _: encode_columns(batch, columns))


def encode_columns(batch: pa.RecordBatch, columns: Sequence[Column]) -> EncodedBatch:
    """Return columns in their order: numbers as they are, dates as days, categories as their places.

    Nothing is encoded yet, so that the numbers stay those of the source: an encoder fills gaps and spreads categories.
    A hash depends neither on the order of the columns nor on the categories that other rows have.
    """
    matrix = np.empty((batch.num_rows, len(columns)), np.float32)
    for place, column in enumerate(columns):
        matrix[:, place] = _read_number(batch.column(column.name), column)
    in_order = sorted(enumerate(columns), key=lambda pair: pair[1].name)
    numbers = [place for place, column in in_order if column.kind not in _WORDS and not column.centre]
    names = [columns[place].name for place in numbers]
    contents: Sequence[bytes | memoryview]
    contents = encode_vector_rows(matrix[:, numbers]) if numbers else [b""] * batch.num_rows
    words = [column.name for _, column in in_order if column.kind in _WORDS]
    if words:
        texts = zip(*(convert_to_text(batch.column(name)).to_pylist() for name in words), strict=True)
        contents = [bytes(row) + repr(text).encode() for row, text in zip(contents, texts, strict=True)]
    # Of these float32 does not say all, and what is taken off may be another value tomorrow.
    far = [column for _, column in in_order if column.centre]
    if far:
        whole = np.stack([read_exact_values(batch.column(column.name), column) for column in far], axis=1)
        exact = np.ascontiguousarray(whole, "<f8")
        contents = [bytes(row) + more.tobytes() for row, more in zip(contents, exact, strict=True)]
    hashes = hash_contents("tabular", [*names, *words, *(column.name for column in far)], contents)
    problems = {**_find_too_large(batch, columns, matrix), **_find_bad_dates(batch, columns)}
    return EncodedBatch(matrix, hashes, problems=problems)


def open_texts(column: str) -> Content:
    """Return how a column of text is read; what is blank is missing, and an encoder makes features of all texts."""

    def encode(batch: pa.RecordBatch, _: int) -> EncodedBatch:
        text = convert_to_text(batch.column(column))
        hashes = hash_contents("text", (), [(value or "").encode() for value in text.to_pylist()])
        return EncodedBatch(None, hashes, text)

    return Content((), (0,), encode)


def open_embedding(table: SourceTable, column: str) -> Content:
    """Return how a column of vectors is encoded; most of the first vectors tell the length, another one is all NaN.

    Raises:
        InputError: There is no vector, or their lengths differ from row to row.
    """
    width = measure_width(table, column, "--embedding")

    def encode(batch: pa.RecordBatch, _: int) -> EncodedBatch:
        matrix, problems = read_vectors(batch.column(column), column).of_width(width, column)
        return EncodedBatch(
            matrix, hash_contents("embedding", (), encode_vector_rows(matrix)), problems=problems
        )

    return Content(tuple(f"{column}[{place}]" for place in range(width)), (width,), encode)


def read_exact_values(values: pa.Array, column: Column) -> NDArray[np.float64]:
    """Return numbers or dates as float64 of shape (rows,), NaN where missing, nothing taken off."""
    if column.kind == "date":
        return convert_to_days(values, column.pattern)
    numbers = parse_numbers(values, Notation.of(column.pattern)) if column.pattern else values
    return convert_to_floats(numbers, pa.float64())


def _find_too_large(
    batch: pa.RecordBatch, columns: Sequence[Column], matrix: NDArray[np.float32]
) -> dict[int, str]:
    """Return the rows with a number that single precision does not reach, which is infinite in the matrix only."""
    problems: dict[int, str] = {}
    for row, position in np.argwhere(np.isinf(matrix)).tolist():
        column = columns[position]
        number = read_exact_values(batch.column(column.name).slice(row, 1), column)[0]
        if np.isfinite(number):
            problems[row] = f"{number:g} in column '{column.name}' is beyond 3.4e38, the largest float32"
    return problems


def _find_bad_dates(batch: pa.RecordBatch, columns: Sequence[Column]) -> dict[int, str]:
    """Return the rows with a text that is not a date in a column of dates."""
    problems: dict[int, str] = {}
    for column in columns:
        values = batch.column(column.name)
        if column.kind == "date" and pa.types.is_string(values.type):
            for row in find_wrong_dates(values, column.pattern):
                shown = values[row].as_py()[:40]
                problems.setdefault(row, f"column '{column.name}': '{shown}' is no date as the others are")
    return problems


def _read_number(values: pa.Array, column: Column) -> NDArray[np.float32]:
    """Return one column of a table as float32 of shape (rows,), NaN where missing, less the column's centre.

    A value that is not a category has the place behind the last one.
    """
    if column.kind == "date" or column.centre or column.pattern:
        with np.errstate(over="ignore"):  # what is too large is told of its row
            return (read_exact_values(values, column) - column.centre).astype(np.float32)
    if column.kind not in _WORDS:
        return convert_to_floats(values)
    text = convert_to_text(values)
    if column.kind == "text":
        return np.where(text.is_valid(), np.float32(0), np.float32("nan"))
    place = pc.index_in(text, value_set=pa.array(column.categories, pa.string()))
    place = pc.fill_null(place, len(column.categories)).cast(pa.float32())
    return convert_to_floats(pc.if_else(text.is_valid(), place, None))
