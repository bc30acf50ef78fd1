r"""Corrected CSV and TSV files: every byte as it was, but for the labels that change and the rows that go.

A file is read as text whose every character is one byte (or one unit of UTF-16), so that what is not understood comes back as it
was: encoding, byte order mark, line ends, comments, blank lines, quotes and numbers. Rows are told apart as the reader does it: a
quote counts at the beginning of a field, and a line break within quotes belongs to the value.
"""

import codecs
import io
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TextIO

from tasks.apply.corrected import TAKE_LABELS, SourceChanges, make_source_changed_error
from tasks.apply.text_files import Pieces, join_lines, write_texts
from tasks.errors import InputError
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
_QUOTE = '"'
# What may stand within quotes: anything but a quote, or two of them.
_WITHIN = re.compile(r'[^"]*+(?:""[^"]*+)*+')


def write_delimited(
    parts: Sequence[Part], label: str, corrected: SourceChanges, targets: Sequence[Path]
) -> list[int]:
    """Write corrected CSV files, as `tasks.apply.layout.Write` says."""
    files = []
    for part in parts:
        dialect = open_part(part, frozenset({label})).dialect
        if dialect is None or label not in dialect.names:
            raise make_source_changed_error(corrected.uri)
        if dialect.escaped or not dialect.quoted:
            what = "a file in which quotes are text, or stand behind backslashes, is not written again"
            raise part.problem(what, fix=TAKE_LABELS)
        skipped = dialect.skipped_lines + dialect.header_lines
        raw = replace(part, encoding=None)
        place = dialect.names.index(label)
        lines = dialect.footer[0]
        files.append(DelimitedFile(raw, dialect.delimiter, place, dialect.encoding, skipped, lines))
    return write_texts(files, corrected, targets)


@dataclass(frozen=True)
class DelimitedFile:
    """One CSV file.

    Attributes:
        part: The file, to be read as it is.
        delimiter: What parts the fields.
        place: Which field is the label, from 0.
        encoding: Of the values.
        skipped: Lines before the first row.
        footer: Lines behind the rows that are none.
    """

    part: Part
    delimiter: str
    place: int
    encoding: str = "utf-8"
    skipped: int = 1
    footer: int = 0

    @cached_property
    def mark(self) -> bytes:
        """The byte order mark, empty without one."""
        with open_text(self.part) as file:
            head = file.read(len(codecs.BOM_UTF32_LE))
        return next((mark for mark in _MARKS if head.startswith(mark)), b"")

    @cached_property
    def units(self) -> str:
        """The encoding that reads the text one unit at a time: a byte, or what UTF-16 and UTF-32 make a character of."""
        name = codecs.lookup(self.encoding).name
        if not name.startswith(("utf-16", "utf-32")):
            return "latin-1"
        return _MARKS.get(self.mark, name if name.endswith(("le", "be")) else f"{name}-le")

    @property
    def errors(self) -> str:
        """How half of a pair of UTF-16 is read and written, which is no character by itself."""
        return "strict" if self.units == "latin-1" else "surrogatepass"

    @property
    def plain(self) -> str:
        """The encoding of a value, before which no byte order mark stands."""
        if self.units != "latin-1":
            return self.units
        return "utf-8" if codecs.lookup(self.encoding).name == "utf-8-sig" else self.encoding

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yield each row, and each line that is none, such as those without a value that end the file."""
        held: deque[tuple[str, str]] = deque()
        for piece in self._read_pieces():
            held.append(piece)
            if len(held) > self.footer:
                yield held.popleft()
        yield from (("".join(piece), "") for piece in held)

    def _read_pieces(self) -> Iterator[tuple[str, str]]:
        with open_text(self.part) as file:
            file.read(len(self.mark))
            # A line ends with whatever it ends with: nothing is translated.
            text = io.TextIOWrapper(file, encoding=self.units, errors=self.errors, newline="")
            empty: list[str] = []
            for number, line in enumerate(text):
                if number >= self.skipped and not line.strip(_ENDS + " " + self.delimiter):
                    empty.append(line)
                    continue
                yield from (("", row) if row.strip(_ENDS) else (row, "") for row in empty)
                empty = []
                yield (line, "") if number < self.skipped else ("", self._read_whole_row(line, text))
            yield from ((row, "") for row in empty)

    def encode(self, pieces: Pieces) -> Iterator[bytes]:
        """Yield the bytes of a new file with the same byte order mark."""
        yield self.mark
        yield from (text.encode(self.units, self.errors) for text in join_lines(pieces))

    def label_of(self, row: str) -> str:
        """Return the label of a row, without its quotes."""
        first, last = self._find_label_field(row)
        value = unquote(row[first:last])
        if self.units != "latin-1" or value.isascii():
            return value
        return value.encode(self.units).decode(self.plain)

    def relabeled(self, row: str, label: str, forms: Mapping[str, str]) -> str:
        """Return a row with another label, quoted where the old one was or where it has to be."""
        first, last = self._find_label_field(row)
        text = forms.get(label, label)
        # Blanks that are not read belong to the cell, not to the class.
        if text != label and text.strip() == label:
            old = self.label_of(row)
            text = old[: len(old) - len(old.lstrip())] + label + old[len(old.rstrip()) :]
        if row.startswith(_QUOTE, first) or any(mark in text for mark in (self.delimiter, _QUOTE, *_ENDS)):
            text = _QUOTE + text.replace(_QUOTE, _QUOTE * 2) + _QUOTE
        try:
            field = text.encode(self.plain)
        except UnicodeEncodeError as error:
            raise InputError(f"the label '{label}' cannot be written in {self.encoding}") from error
        return row[:first] + field.decode(self.units) + row[last:]

    def _read_whole_row(self, line: str, text: TextIO) -> str:
        """Return a row: the line, and those that belong to a value that it begins."""
        pieces = [line]
        inside = _QUOTE in line and self._is_open(line, inside=False)
        while inside and (more := text.readline()):
            pieces.append(more)
            inside = _QUOTE not in more or self._is_open(more, inside=True)
        return "".join(pieces)

    def _is_open(self, line: str, *, inside: bool) -> bool:
        """Return whether a quoted value goes on behind a line."""
        position = 0
        while True:
            if not inside and line.startswith(_QUOTE, position):
                inside, position = True, position + 1
            if inside:
                position = _end_of_value(line, position)
                if position == len(line):
                    return True
                inside = False
            # Only a quote right behind a delimiter opens the next one.
            position = line.find(self.delimiter + _QUOTE, position) + 1
            if not position:
                return False

    def _find_label_field(self, row: str) -> tuple[int, int]:
        """Return where the label of a row begins and ends."""
        start = 0
        for place in range(self.place + 1):
            quoted = row.startswith(_QUOTE, start)
            end = row.find(self.delimiter, _end_of_value(row, start + 1) if quoted else start)
            if place == self.place:
                return start, end if end >= 0 else len(row.rstrip(_ENDS))
            if end < 0:
                break
            start = end + 1
        raise InputError(f"a row has no field {self.place + 1}")


def unquote(raw: str) -> str:
    r"""Return what a field says.

    >>> unquote('"a ""cat"" here"')
    'a "cat" here'
    """
    if not raw.startswith(_QUOTE):
        return raw
    close = _end_of_value(raw, 1)
    return raw[1:close].replace(_QUOTE * 2, _QUOTE) + raw[close + 1 :]


def _end_of_value(text: str, start: int) -> int:
    """Return where a value that is quoted from before `start` ends: at its quote, or at the end of the text."""
    found = _WITHIN.match(text, start)
    return found.end() if found else start
