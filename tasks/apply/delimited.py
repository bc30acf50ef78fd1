r"""Corrected CSV and TSV files: every byte as it was, but for the labels that change and the rows that go.

A file is read as text whose every character is one byte (or one unit of UTF-16), so that what is not understood comes back as it
was: encoding, byte order mark, line ends, comments, blank lines, quotes and numbers. Rows are told apart as the reader does it: a
quote counts at the beginning of a field, and a line break within quotes belongs to the value.
"""

import codecs
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TextIO

from tasks.apply.corrected import Corrected
from tasks.apply.lines import LineWriter, create
from tasks.apply.written import WrittenLabels
from tasks.errors import InputError
from tasks.ingest.formats.csv import DelimitedReader
from tasks.ingest.source import Part
from tasks.ingest.table import open_part
from tasks.ingest.text.lines import open_text

# Byte order marks, the longer ones first, and how text behind them is read one unit at a time.
_MARKS = {
    codecs.BOM_UTF8: "latin-1",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_ENDS = "\r\n"


@dataclass(frozen=True)
class Writing:
    """How one file is written.

    Attributes:
        delimiter: What parts the fields.
        place: Which field is the label, from 0.
        encoding: Of the values.
        skipped: Lines before the first row.
        quote: What quotes a value.
    """

    delimiter: str
    place: int
    encoding: str = "utf-8"
    skipped: int = 1
    quote: str = '"'

    @cached_property
    def within(self) -> re.Pattern[str]:
        """What may stand within quotes: anything but a quote, or two of them."""
        quote = re.escape(self.quote)
        return re.compile(f"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+")

    def units(self, mark: bytes) -> str:
        """Return the encoding that reads the text one unit at a time: a byte, or what UTF-16 and UTF-32 make a character of."""
        name = codecs.lookup(self.encoding).name
        if not name.startswith(("utf-16", "utf-32")):
            return "latin-1"
        return _MARKS.get(mark, name if name.endswith(("le", "be")) else f"{name}-le")


@contextmanager
def _text_of(part: Part, writing: Writing) -> Iterator[tuple[bytes, str, TextIO]]:
    """Open a file, and return its byte order mark, the encoding of the text behind it, and this text."""
    raw = replace(part, encoding=None)
    with open_text(raw) as file:
        head = file.read(len(codecs.BOM_UTF32_LE))
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    units = writing.units(mark)
    errors = "strict" if units == "latin-1" else "surrogatepass"
    with open_text(raw) as file:
        file.read(len(mark))
        # A line ends with whatever it ends with: nothing is translated.
        yield mark, units, io.TextIOWrapper(file, encoding=units, errors=errors, newline="")


def _rows(text: TextIO, writing: Writing) -> Iterator[tuple[str, bool]]:
    """Yield the text in pieces, each with whether it is a row of data."""
    for number, line in enumerate(text):
        if number < writing.skipped or not line.strip(_ENDS):
            yield line, False
        else:
            yield _whole(line, text, writing), True


def _whole(line: str, text: TextIO, writing: Writing) -> str:
    """Return a row: the line, and those that belong to a value that it begins."""
    if writing.quote not in line:
        return line
    pieces = [line]
    inside = _is_open(line, writing, inside=False)
    while inside and (more := text.readline()):
        pieces.append(more)
        inside = writing.quote not in more or _is_open(more, writing, inside=True)
    return "".join(pieces)


def _is_open(line: str, writing: Writing, *, inside: bool) -> bool:
    """Return whether a quoted value goes on behind a line."""
    position = 0
    while True:
        if not inside and line.startswith(writing.quote, position):
            inside, position = True, position + 1
        if inside:
            position = writing.within.match(line, position).end()  # type: ignore[union-attr]  # matches nothing, too
            if position == len(line):
                return True
            inside = False
        # Only a quote right behind a delimiter opens the next one.
        position = line.find(writing.delimiter + writing.quote, position) + 1
        if not position:
            return False


def _field(row: str, writing: Writing) -> tuple[int, int]:
    """Return where the label of a row begins and ends."""
    start = 0
    for place in range(writing.place + 1):
        end = start
        if row.startswith(writing.quote, start):
            end = writing.within.match(row, start + 1).end()  # type: ignore[union-attr]  # as above
        end = row.find(writing.delimiter, end)
        if end < 0:
            if place < writing.place:
                raise InputError(f"a row has no field {writing.place + 1}")
            return start, len(row.rstrip(_ENDS))
        if place == writing.place:
            break
        start = end + 1
    return start, end


def _value(raw: str, writing: Writing) -> str:
    r"""Return what a field says.

    >>> _value('"a ""cat"" here"', Writing(",", 0))
    'a "cat" here'
    """
    quote = writing.quote
    if not raw.startswith(quote):
        return raw
    close = writing.within.match(raw, 1).end()  # type: ignore[union-attr]  # as above
    return raw[1:close].replace(quote * 2, quote) + raw[close + 1 :]


def _as_written(label: str, raw: str, writing: Writing) -> str:
    """Return a new label as a field, quoted where the old one was or where it has to be."""
    quote = writing.quote
    if not (raw.startswith(quote) or any(mark in label for mark in (writing.delimiter, quote, *_ENDS))):
        return label
    return quote + label.replace(quote, quote * 2) + quote


def write_delimited(
    parts: Sequence[Part], label: str, corrected: Corrected, targets: Sequence[Path]
) -> list[int]:
    """Write corrected CSV files.

    Args:
        parts: The files of the source.
        label: Their column of the label.
        corrected: What changes.
        targets: Where each part goes.

    Returns:
        How many rows each file has.

    Raises:
        InputError: The source is not what was swept, or a label cannot be written in its encoding.
    """
    writings = [_writing_of(part, label, corrected) for part in parts]
    labels: WrittenLabels = WrittenLabels(corrected)
    for part, writing in zip(parts, writings, strict=True):
        with _text_of(part, writing) as (_, units, text):
            for row, is_data in _rows(text, writing):
                if is_data:
                    labels.see(_label_of(row, units, writing))
    labels.finish()
    start, written = 0, []
    for part, writing, target in zip(parts, writings, targets, strict=True):
        rows, start = _write_part(part, writing, corrected, labels, start, target)
        written.append(rows)
    return written


def _writing_of(part: Part, label: str, corrected: Corrected) -> Writing:
    reader = open_part(part, frozenset({label}))
    if not isinstance(reader, DelimitedReader) or label not in reader.dialect.names:
        raise corrected.source_changed()
    dialect = reader.dialect
    skipped = dialect.skipped_lines + dialect.header_lines
    return Writing(dialect.delimiter, dialect.names.index(label), dialect.encoding, skipped)


def _label_of(row: str, units: str, writing: Writing) -> str:
    first, last = _field(row, writing)
    value = _value(row[first:last], writing)
    return value if units != "latin-1" or value.isascii() else value.encode(units).decode(_plain(writing))


def _write_part(
    part: Part,
    writing: Writing,
    corrected: Corrected,
    labels: WrittenLabels,
    start: int,
    target: Path,
) -> tuple[int, int]:
    """Write one file; return how many rows it has, and where the next one starts."""
    written, row = 0, start
    with _text_of(part, writing) as (mark, units, text), create(target) as file:
        file.write(mark)
        lines = LineWriter(file, units)
        for piece, is_data in _rows(text, writing):
            change: str | None = ""
            if is_data:
                change, row = corrected.changes.get(row, ""), row + 1
                written += change is not None
            if change is None:
                lines.drop(piece)
            else:
                lines.keep(_relabeled(piece, change, labels, units, writing) if change else piece)
        lines.close()
    return written, row


def _relabeled(row: str, label: str, labels: WrittenLabels, units: str, writing: Writing) -> str:
    """Return a row with another label."""
    first, last = _field(row, writing)
    text = labels.forms.get(label, label)
    if (
        text != label and text.strip() == label
    ):  # blanks that are not read belong to the cell, not to the class
        old = _label_of(row, units, writing)
        text = old[: len(old) - len(old.lstrip())] + label + old[len(old.rstrip()) :]
    try:
        encoding = _plain(writing) if units == "latin-1" else units
        field = _as_written(text, row[first:last], writing).encode(encoding)
    except UnicodeEncodeError as error:
        raise InputError(f"the label '{label}' cannot be written in {writing.encoding}") from error
    return row[:first] + field.decode(units) + row[last:]


def _plain(writing: Writing) -> str:
    """Return the encoding of a part of the text, before which no byte order mark stands."""
    return "utf-8" if codecs.lookup(writing.encoding).name == "utf-8-sig" else writing.encoding
