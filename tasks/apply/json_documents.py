"""Corrected JSON: lines, arrays of objects, objects one after the other, and a list of objects within a document.

Every byte is as it was, but for the labels that change and the objects that go, each with the comma that parts it from another.
"""

import codecs
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tasks.apply.corrected import TAKE_LABELS, SourceChanges, make_source_changed_error
from tasks.apply.json_tokens import Tokens, value_span
from tasks.apply.text_files import Pieces, join_lines, write_texts
from tasks.errors import InputError
from tasks.ingest.formats.json import find_table_path
from tasks.ingest.source import Part
from tasks.ingest.table import open_part
from tasks.ingest.text import json_values
from tasks.ingest.text.json_values import DECODER, read_values
from tasks.ingest.text.lines import is_utf8, open_text

# What may stand before the first value.
_MARK = "\ufeff"
_BEFORE = f"{_MARK} \t\r\n"


def write_json_files(
    parts: Sequence[Part], label: str, corrected: SourceChanges, targets: Sequence[Path]
) -> list[int]:
    """Write corrected JSON and JSON Lines files, as `tasks.apply.layout.Write` says."""
    named_lines = all(part.kind == "jsonl" for part in parts)
    readers = [open_part(part, frozenset()) for part in (parts[:1] if named_lines else parts)]
    # An export of Label Studio says there what is the label: its rows are not objects of the file.
    if any(reader.schema.metadata for reader in readers):
        raise _make_form_error(parts[0])
    lines = not any(reader.converted for reader in readers)
    if label not in readers[0].schema.names:
        raise make_source_changed_error(corrected.uri)
    tokens = Tokens(readers[0].paths.get(label, (label,)))
    files = [(JsonLinesFile if lines else JsonDocument)(part, tokens) for part in parts]
    return write_texts(files, corrected, targets)


@dataclass(frozen=True)
class JsonDocument:
    """One JSON file.

    Attributes:
        part: The file.
        tokens: How its labels are written.
    """

    part: Part
    tokens: Tokens

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yield each object with what stands before it, and at last what stands behind them all."""
        with open_text(self.part) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogatepass", newline="")
            yield from _split_objects(self.part, text)

    def label_of(self, row: str) -> str:
        """Return the label of an object as text."""
        return self.tokens.see(row)

    def relabeled(self, row: str, label: str, forms: Mapping[str, str]) -> str:
        """Return an object with another label."""
        return self.tokens.replace_label(row, label, forms)

    def encode(self, pieces: Pieces) -> Iterator[bytes]:
        """Yield the bytes of a new file, in the encoding of the old one."""
        name = "utf-8" if is_utf8(self.part.encoding) else str(self.part.encoding)
        encoder = codecs.getincrementalencoder(name)("surrogatepass" if name == "utf-8" else "strict")
        try:
            yield from (encoder.encode(text) for text in self.join(pieces))
            yield encoder.encode("", final=True)
        except UnicodeEncodeError as error:
            raise InputError(f"a label cannot be written in {name}", where=self.part.shown) from error

    def join(self, pieces: Pieces) -> Iterator[str]:
        """Yield the objects that stay; what stands before the first stands before the first that is kept."""
        opening, is_empty = None, True
        for before, row, stays in pieces:
            is_first, opening = opening is None, before if opening is None else opening
            if stays:
                space = before if not is_empty else opening + ("" if is_first or row else before)
                is_empty = is_empty and not row
                yield space + row


class JsonLinesFile(JsonDocument):
    """One JSON Lines file."""

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yield each line."""
        with open_text(self.part) as file:
            for number, line in enumerate(io.TextIOWrapper(file, encoding="utf-8", newline="\n")):
                row = line if number else line.removeprefix(_MARK)
                if row != line:
                    yield _MARK, ""
                yield ("", row) if row.strip() else (row, "")

    def join(self, pieces: Pieces) -> Iterator[str]:
        """Yield the lines that stay."""
        return join_lines(pieces)


def _split_objects(part: Part, text: TextIO) -> Iterator[tuple[str, str]]:
    """Yield each object with what stands before it, and at last what stands behind them all, without an object."""
    buffer = text.read(json_values.CHUNK)
    while not buffer.lstrip(_BEFORE) and (more := text.read(json_values.CHUNK)):
        buffer += more
    start = len(buffer) - len(buffer.lstrip(_BEFORE))
    array = buffer.startswith("[", start)
    if not array:
        buffer += text.read()
        document, end = DECODER.raw_decode(buffer, start)
        if not buffer[end:].strip():
            path = find_table_path(document)
            if path is None:
                raise _make_form_error(part)
            for key in path:
                start = value_span(buffer, start, key)[0]
            array = True
    for before, written, _ in read_values(part, text, buffer, start + array, array=array):
        yield before, written


def _make_form_error(part: Part) -> InputError:
    return InputError(
        "only JSON with an object for each row is written again", where=part.shown, fix=TAKE_LABELS
    )
