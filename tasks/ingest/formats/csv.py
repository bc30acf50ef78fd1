"""Read CSV and TSV, in any dialect, as text.

Every value stays as it is written, and only an empty field is missing: `columns/inference.py` says what the text stands for.
Arrow parses; `text/dialect.py` finds out how a file is written. docs/csv.md says what it was compared with.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import IO

import pyarrow as pa
import pyarrow.csv as pacsv

from tasks.errors import InputError
from tasks.ingest.reading import FileReader, explain_damage, number_lines
from tasks.ingest.source import Part
from tasks.ingest.text.dialect import Dialect, describe_dialect, detect_dialect, read_fields
from tasks.ingest.text.lines import BLOCK, check_utf8, open_text

SUFFIXES, GZIP, TYPED = (".csv", ".tsv"), True, False

# Name of the field that a surplus delimiter at the end of each row makes; no column has it.
SURPLUS = "\0surplus"


class FileWithoutEmptyEnd(io.RawIOBase):
    """A text file without its footer, and without the rows at its end that have no value, as spreadsheets write them."""

    def __init__(self, file: IO[bytes], delimiter: str, footer: int = 0) -> None:
        self._file = file
        self._footer = footer
        self._kept = b""
        self._nothing = b"\r\n " + delimiter.encode()
        self._held = b""

    def readable(self) -> bool:
        """Return that the file can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return about `size` bytes, nothing at the end. A line without a value waits for one with a value behind it."""
        while more := self._read_rows(size):
            text = self._held + more
            line_end = text.find(b"\n", len(text.rstrip(self._nothing))) + 1 or len(text)
            if not text.rstrip(self._nothing):
                line_end = 0
            self._held = text[line_end:]
            if line_end:
                return text[:line_end]
        return b""

    def _read_rows(self, size: int) -> bytes:
        """Return bytes that are not of the footer, nothing at the end of the rows."""
        while more := self._file.read(size):
            text = self._kept + more
            rows, self._kept = (
                text[: len(text) - self._footer],
                text[-self._footer :] if self._footer else b"",
            )
            if rows:
                return rows
        return b""


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:
    """Open a CSV or TSV file and find out how it is written.

    Raises:
        InputError: It is not text, its encoding is damaged, or it is empty.
    """
    with explain_damage(part, "CSV"):
        dialect = detect_dialect(part, as_text)
        notes = describe_dialect(part, dialect)
    return open_written(part, dialect, notes=notes)


def open_written(
    part: Part, dialect: Dialect, texts: frozenset[str] = frozenset(), notes: tuple[str, ...] = ()
) -> FileReader:
    """Open a file of delimited text of which it is known how it is written."""
    part = replace(part, encoding=dialect.encoding)
    schema = pa.schema([(name, pa.string()) for name in dialect.names if name])
    place = number_lines(_read_lines(part, dialect))
    return FileReader(part, schema, partial(_scan, part, dialect), place, notes, dialect, texts)


def _scan(part: Part, dialect: Dialect, columns: list[str], _: int) -> Iterator[pa.RecordBatch]:
    with _explain_rows(part, dialect), _stream(part, dialect, columns) as stream:
        last = None
        for batch in stream:
            if dialect.surplus and batch.column(len(columns)).null_count < batch.num_rows:
                _check_rows(part, dialect)
            yield batch.select(columns)
            last = batch if batch.num_rows else last
        # A last field that has a line break may go on to the end of the file because its quote is never closed.
        name = next((name for name in reversed(dialect.names) if name), "")
        end = last.column(name)[-1].as_py() if last is not None and name in columns else None
        if dialect.quoted and "\n" in (end or ""):
            _check_quotes(part)


@contextmanager
def _stream(part: Part, dialect: Dialect, columns: Sequence[str]) -> Iterator[pacsv.CSVStreamingReader]:
    # What has no name gets one that no column has: the number of a field.
    names = [name or f"\0{position}" for position, name in enumerate(dialect.names)]
    surplus = [SURPLUS] * dialect.surplus
    wanted = [*columns, *surplus]
    with open_text(part) as file:
        reader = pacsv.open_csv(
            FileWithoutEmptyEnd(file, dialect.delimiter, dialect.footer[1]),
            read_options=pacsv.ReadOptions(
                block_size=BLOCK,
                skip_rows=dialect.skipped_lines + dialect.header_lines,
                column_names=[*names, *surplus],
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=dialect.delimiter,
                newlines_in_values=dialect.quoted,
                escape_char="\\" if dialect.escaped else False,
                quote_char='"' if dialect.quoted else False,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=wanted,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        with reader:
            yield reader


@contextmanager
def _explain_rows(part: Part, dialect: Dialect) -> Iterator[None]:
    """When Arrow refuses the text, look for a reason that a person can act on, or else give Arrow's."""
    try:
        with explain_damage(part, "CSV"):
            yield
    except InputError as error:
        if isinstance(error.__cause__, pa.ArrowInvalid | UnicodeDecodeError):
            check_utf8(part)
            _check_rows(part, dialect)
        raise


def _check_rows(part: Part, dialect: Dialect) -> None:
    """Raise InputError at the first row whose number of fields is not the header's."""
    width = len(dialect.names)
    for line, row in _read_lines(part, dialect):
        if len(row) != width and not (dialect.surplus and len(row) == width + 1 and not row[-1]):
            found = "1 field" if len(row) == 1 else f"{len(row)} fields"
            what = "header" if dialect.has_header else "first row"
            fix = "quote values that contain the delimiter, or complete the row"
            if width == 1:
                fix = "remove the lines above the header, such as a title"
            raise part.problem(f"line {line} has {found}, the {what} has {width}", fix=fix)


def count_lines(part: Part) -> int:
    """Return how many lines a file has, whatever ends them."""
    with open_text(part) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        return sum(1 for _ in text)


def _check_quotes(part: Part) -> None:
    """Raise InputError when a quote is never closed: everything after it would silently become one value."""
    with open_text(part) as file:
        inside, line, opened = False, 0, 1
        for line, text in enumerate(file, start=1):
            # Inside a quoted value a doubled quote closes and opens again, so counting is enough.
            if text.count(b'"') % 2:
                inside, opened = not inside, line
    if inside:
        raise part.problem(f"a quote that opens in line {opened} is never closed", fix="close or remove it")


def _read_lines(part: Part, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line it begins on; slow and exact, for messages.

    A field longer than the standard library reads ends it: the message then does without a line.
    """
    with open_text(part) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        before = dialect.skipped_lines + dialect.header_lines
        end = count_lines(part) - dialect.footer[0] if dialect.footer[0] else None
        body = islice(text, before, end)
        reader = read_fields(body, dialect.delimiter, escaped=dialect.escaped, quoted=dialect.quoted)
        begins = before + 1
        with suppress(csv.Error):
            for row in reader:
                if row:
                    yield begins, row
                begins = before + reader.line_num + 1
