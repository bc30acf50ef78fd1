"""Read CSV and TSV.

A column's type is settled by a first pass over the whole file, not guessed from its beginning: the narrowest
of integer, number, true/false and text that every value fits. Text stays exactly as it is written; an empty
field, NA, NaN and NULL are missing values.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from tasks.errors import InputError
from tasks.ingest.reading import readable
from tasks.ingest.source import Part
from tasks.ingest.text import BLOCK, check_text, check_utf8, open_text

SUFFIXES, GZIP, TYPED = (".csv", ".tsv"), True, False

_TRUE, _FALSE = ["true", "True", "TRUE"], ["false", "False", "FALSE"]
# Rows that the delimiter is told by: a comma in a name or a price shows in the first of them.
_LOOKED_AT = 20

# From narrow to wide; a column moves on only when a value does not fit.
_WIDENING: tuple[pa.DataType, ...] = (pa.bool_(), pa.int64(), pa.float64(), pa.string())
_TEXT = len(_WIDENING) - 1


@dataclass(frozen=True)
class DelimitedReader:
    """One CSV or TSV file."""

    part: Part
    schema: pa.Schema
    delimiter: str

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        types = {field.name: field.type for field in self.schema}
        with (
            _explained(self.part, self.delimiter),
            _stream(self.part, self.delimiter, types, list(columns)) as stream,
        ):
            for batch in stream:
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows)

    def place(self, row: int) -> str:
        """Return the line on which the row begins: quoted line breaks make it differ from its number."""
        lines = _lines(self.part, self.delimiter)
        next(lines, None)
        return next(
            (f"line {line}" for index, (line, _) in enumerate(lines) if index == row), f"row {row + 1}"
        )


def open_part(part: Part, as_text: frozenset[str]) -> DelimitedReader:
    """Open a CSV or TSV file and settle the types of its columns.

    Raises:
        InputError: It is not text, not UTF-8, empty, or a row has more or fewer fields than the header.
    """
    with readable(part, "CSV"):
        head = check_text(part, "CSV")
    delimiter = _delimiter(part, head)
    with _explained(part, delimiter):
        names = _header(part, delimiter)
        types = _settle_types(part, delimiter, names, as_text)
    return DelimitedReader(part, pa.schema(list(zip(names, types, strict=True))), delimiter)


def _delimiter(part: Part, head: bytes) -> str:
    """Return the delimiter: the one of comma, semicolon and tab that parts header and rows alike, into the most fields.

    Where none does, rows are broken, and it is the first one in the header.
    """
    if part.plain_name.endswith(".tsv"):
        return "\t"
    lines = [line.rstrip("\r") for line in head.decode(errors="replace").split("\n")]
    header, rows = lines[0], [line for line in lines[1:-1] if line.strip()][:_LOOKED_AT]
    marks = [mark for mark in ",;\t" if mark in header] or [","]
    return max(marks, key=lambda mark: _fields([header, *rows], mark) if rows else 0)


def _fields(lines: list[str], delimiter: str) -> int:
    """Return into how many fields the delimiter parts every line; 0 where the lines differ."""
    try:
        counts = {len(fields) for fields in csv.reader(lines, delimiter=delimiter, strict=True)}
    except csv.Error:  # a line break within quotes
        return 0
    return counts.pop() if len(counts) == 1 else 0


def _header(part: Part, delimiter: str) -> list[str]:
    with _stream(part, delimiter, {}, []) as stream:
        names: list[str] = stream.schema.names
    return names


@contextmanager
def _stream(
    part: Part, delimiter: str, types: dict[str, pa.DataType], columns: list[str]
) -> Iterator[pacsv.CSVStreamingReader]:
    with open_text(part) as file:
        reader = pacsv.open_csv(
            file,
            read_options=pacsv.ReadOptions(block_size=BLOCK),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
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


def _settle_types(part: Part, delimiter: str, names: list[str], as_text: frozenset[str]) -> list[pa.DataType]:
    """Read everything as text once and return the narrowest type for each column."""
    level = [_TEXT if name in as_text else 0 for name in names]
    seen = [False] * len(names)
    last = None
    with _stream(part, delimiter, dict.fromkeys(names, pa.string()), []) as stream:
        for batch in stream:
            for index, column in enumerate(batch.columns):
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
def _explained(part: Part, delimiter: str) -> Iterator[None]:
    """When Arrow refuses the text, look for a reason that a person can act on, or else give Arrow's."""
    try:
        with readable(part, "CSV"):
            yield
    except InputError as error:
        if isinstance(error.__cause__, pa.ArrowInvalid | UnicodeDecodeError):
            check_utf8(part)
            _check_rows(part, delimiter)
        raise


def _check_rows(part: Part, delimiter: str) -> None:
    """Raise InputError at the first row whose number of fields is not the header's."""
    lines = _lines(part, delimiter)
    _, header = next(lines, (1, []))
    for line, row in lines:
        if len(row) != len(header):
            found = "1 field" if len(row) == 1 else f"{len(row)} fields"
            raise InputError(
                f"line {line} has {found}, the header has {len(header)}",
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


def _lines(part: Part, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line it begins on; slow and exact, for messages.

    A field longer than the standard library reads ends it: the message then does without a line.
    """
    with open_text(part) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter)
        begins = 1
        with suppress(csv.Error):
            for row in reader:
                if row:
                    yield begins, row
                begins = reader.line_num + 1
