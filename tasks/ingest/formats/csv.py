"""Read CSV and TSV.

A column's type is settled by a first pass over the whole file, not guessed from its beginning: the narrowest
of integer, number, true/false and text that every value fits. Text stays exactly as it is written; an empty
field, NA, NaN and NULL are missing values.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from tasks.errors import InputError
from tasks.ingest.dialect import Dialect, detect_dialect, notes_on
from tasks.ingest.reading import readable
from tasks.ingest.source import Part
from tasks.ingest.text import BLOCK, check_utf8, open_text

SUFFIXES, GZIP, TYPED = (".csv", ".tsv"), True, False

_TRUE, _FALSE = ["true", "True", "TRUE"], ["false", "False", "FALSE"]
# Name of the field that a surplus delimiter at the end of each row makes; no column has it.
SURPLUS = "\0surplus"

# From narrow to wide; a column moves on only when a value does not fit.
_WIDENING: tuple[pa.DataType, ...] = (pa.bool_(), pa.int64(), pa.float64(), pa.string())
_TEXT = len(_WIDENING) - 1


@dataclass(frozen=True)
class DelimitedReader:
    """One CSV or TSV file."""

    part: Part
    schema: pa.Schema
    dialect: Dialect
    notes: tuple[str, ...] = ()

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        types = {field.name: field.type for field in self.schema}
        with (
            _explained(self.part, self.dialect),
            _stream(self.part, self.dialect, types, list(columns)) as stream,
        ):
            for batch in stream:
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows)

    def place(self, row: int) -> str:
        """Return the line on which the row begins: quoted line breaks make it differ from its number."""
        lines = _lines(self.part, self.dialect)
        return next(
            (f"line {line}" for index, (line, _) in enumerate(lines) if index == row), f"row {row + 1}"
        )


def open_part(part: Part, as_text: frozenset[str]) -> DelimitedReader:
    """Open a CSV or TSV file, find out how it is written, and settle the types of its columns.

    Raises:
        InputError: It is not text, its encoding is damaged, it is empty, or a row has more or fewer fields than the header.
    """
    with readable(part, "CSV"):
        dialect = detect_dialect(part, as_text)
    return open_written(part, dialect, as_text)


def open_written(part: Part, dialect: Dialect, as_text: frozenset[str]) -> DelimitedReader:
    """Open a file of delimited text of which it is known how it is written."""
    notes = notes_on(part, dialect)
    part = replace(part, encoding=dialect.encoding)
    names = [name for name in dialect.names if name]
    with _explained(part, dialect):
        types = _settle_types(part, dialect, names, as_text)
    return DelimitedReader(part, pa.schema(list(zip(names, types, strict=True))), dialect, notes)


@contextmanager
def _stream(
    part: Part, dialect: Dialect, types: dict[str, pa.DataType], columns: list[str]
) -> Iterator[pacsv.CSVStreamingReader]:
    # What has no name gets one that no column has: the number of a field.
    names = [name or f"\0{position}" for position, name in enumerate(dialect.names)]
    with open_text(part) as file:
        reader = pacsv.open_csv(
            file,
            read_options=pacsv.ReadOptions(
                block_size=BLOCK,
                skip_rows=dialect.skipped_lines + dialect.header_lines,
                column_names=names + [SURPLUS] * dialect.surplus,
            ),
            parse_options=pacsv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=types,
                include_columns=columns,
                strings_can_be_null=True,
                true_values=_TRUE,
                false_values=_FALSE,
            ),
        )
        with reader:
            yield reader


def _settle_types(
    part: Part, dialect: Dialect, names: list[str], as_text: frozenset[str]
) -> list[pa.DataType]:
    """Read everything as text once and return the narrowest type for each column."""
    level = [_TEXT if name in as_text else 0 for name in names]
    seen = [False] * len(names)
    last = None
    everything = [*names, *[SURPLUS] * dialect.surplus]
    with _stream(part, dialect, dict.fromkeys(everything, pa.string()), everything) as stream:
        for batch in stream:
            if dialect.surplus and batch.column(len(names)).null_count < batch.num_rows:
                _check_rows(part, dialect)
            for index, column in enumerate(batch.columns[: len(names)]):
                while not _fits(column, _WIDENING[level[index]]):
                    # What was true or false before is no number.
                    level[index] = _TEXT if seen[index] and level[index] == 0 else level[index] + 1
                seen[index] = seen[index] or column.null_count < len(column)
            last = batch if batch.num_rows else last
    if last is not None and "\n" in (last.column(len(names) - 1)[-1].as_py() or ""):
        _check_quotes(part)
    return [
        _WIDENING[level[index]] if seen[index] or name in as_text else pa.null()
        for index, name in enumerate(names)
    ]


def _fits(column: pa.Array, target: pa.DataType) -> bool:
    if pa.types.is_string(target):
        return True
    if pa.types.is_boolean(target):
        # As the reader takes them: it does not look past blanks, nor at other mixtures of capitals.
        known = pc.is_in(pc.drop_null(column), value_set=pa.array(_TRUE + _FALSE))
        return pc.all(known).as_py() is not False
    try:
        pc.cast(pc.utf8_trim_whitespace(column), target)
    except pa.ArrowInvalid:
        return False
    return True


@contextmanager
def _explained(part: Part, dialect: Dialect) -> Iterator[None]:
    """When Arrow refuses the text, look for a reason that a person can act on, or else give Arrow's."""
    try:
        with readable(part, "CSV"):
            yield
    except InputError as error:
        if isinstance(error.__cause__, pa.ArrowInvalid | UnicodeDecodeError):
            check_utf8(part)
            _check_rows(part, dialect)
        raise


def _check_rows(part: Part, dialect: Dialect) -> None:
    """Raise InputError at the first row whose number of fields is not the header's."""
    width = len(dialect.names)
    for line, row in _lines(part, dialect):
        if len(row) != width and not (dialect.surplus and len(row) == width + 1 and not row[-1]):
            found = "1 field" if len(row) == 1 else f"{len(row)} fields"
            what = "header" if dialect.has_header else "first row"
            raise InputError(
                f"line {line} has {found}, the {what} has {width}",
                where=part.shown,
                fix="quote values that contain the delimiter, or complete the row",
            )


def _check_quotes(part: Part) -> None:
    """Raise InputError when a quote is never closed: everything after it would silently become one value."""
    with open_text(part) as file:
        inside, line, opened = False, 0, 1
        for line, text in enumerate(file, start=1):
            # Inside a quoted value a doubled quote closes and opens again, so counting is enough.
            if text.count(b'"') % 2:
                inside, opened = not inside, line
    if inside:
        raise InputError(
            f"a quote that opens in line {opened} is never closed", where=part.shown, fix="close or remove it"
        )


def _lines(part: Part, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line it begins on; slow and exact, for messages.

    A field longer than the standard library reads ends it: the message then does without a line.
    """
    with open_text(part) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        before = dialect.skipped_lines + dialect.header_lines
        reader = csv.reader(islice(text, before, None), delimiter=dialect.delimiter)
        begins = before + 1
        with suppress(csv.Error):
            for row in reader:
                if row:
                    yield begins, row
                begins = before + reader.line_num + 1
