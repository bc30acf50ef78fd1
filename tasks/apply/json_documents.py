"""Corrected JSON documents: arrays of objects, objects one after the other, and a list of objects within a document.

Every byte is as it was, but for the labels that change and the objects that go, each with the comma that parts it from another.
"""

import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tasks.apply.corrected import Corrected
from tasks.apply.json_lines import write_json_lines
from tasks.apply.json_tokens import Tokens, value_span
from tasks.apply.lines import create
from tasks.apply.written import WrittenLabels
from tasks.errors import InputError
from tasks.ingest.converted import ConvertedReader
from tasks.ingest.formats.json import table_key
from tasks.ingest.formats.jsonl import JsonLinesReader
from tasks.ingest.reading import Reader
from tasks.ingest.source import Part
from tasks.ingest.table import open_part
from tasks.ingest.text.lines import open_text

# Text is read a mebibyte at a time, and twice as much each time that an object is longer.
_CHUNK = 2**20
# What may stand before the first value.
_BEFORE = "\ufeff \t\r\n"
_BETWEEN = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


def write_json_documents(
    parts: Sequence[Part], label: str, corrected: Corrected, targets: Sequence[Path]
) -> list[int]:
    """Write corrected JSON files.

    Args:
        parts: The files of the source.
        label: Their column of the label.
        corrected: What changes.
        targets: Where each part goes.

    Returns:
        How many rows each file has.

    Raises:
        InputError: The source is not what was swept, or a file has another form.
    """
    readers = [open_part(part, frozenset()) for part in parts]
    if all(isinstance(reader, JsonLinesReader) for reader in readers):
        return write_json_lines(parts, label, corrected, targets)
    tokens, labels = Tokens(_path(readers, label, corrected)), WrittenLabels(corrected)
    for part in parts:
        with _text(part) as text:
            for _, found in _pieces(part, text):
                if found:
                    labels.see(tokens.see(found))
    labels.finish()
    start, written = 0, []
    for part, target in zip(parts, targets, strict=True):
        count, rows = _write_part(part, corrected, tokens, labels, start, target)
        start += count
        written.append(rows)
    return written


def _path(readers: Sequence[Reader], label: str, corrected: Corrected) -> tuple[str, ...]:
    """Return the keys that lead to the label in each object."""
    first = readers[0].made if isinstance(readers[0], ConvertedReader) else readers[0]
    paths = first.paths if isinstance(first, JsonLinesReader) else {}
    # An export of Label Studio says there what is the label: its rows are not objects of the file.
    if any(reader.schema.metadata for reader in readers):
        raise _other_form(readers[0].part)
    if label not in paths:
        raise corrected.source_changed()
    return paths[label]


def _write_part(
    part: Part, corrected: Corrected, tokens: Tokens, labels: WrittenLabels, start: int, target: Path
) -> tuple[int, int]:
    """Write one file; return how many objects it had, and how many it has."""
    count, rows, opening = 0, 0, ""
    with _text(part) as text, create(target) as file:
        for before, found in _pieces(part, text):
            # What stands before the first object stands before the first that is kept.
            opening = before if not count else opening
            change = corrected.changes.get(start + count, "") if found else ""
            if change is None:
                count += 1
                continue
            space = before if rows else opening + (before if count and not found else "")
            new = tokens.replaced(found, change, labels) if change else found
            file.write((space + new).encode("utf-8", "surrogatepass"))
            count, rows = count + bool(found), rows + bool(found)
    return count, rows


@contextmanager
def _text(part: Part) -> Iterator[TextIO]:
    with open_text(part) as file:
        yield io.TextIOWrapper(file, encoding="utf-8", errors="surrogatepass", newline="")


def _pieces(part: Part, text: TextIO) -> Iterator[tuple[str, str]]:
    """Yield each object with what stands before it, and at last what stands behind them all, without an object."""
    buffer = text.read(_CHUNK)
    while not buffer.lstrip(_BEFORE) and (more := text.read(_CHUNK)):
        buffer += more
    start = len(buffer) - len(buffer.lstrip(_BEFORE))
    if buffer.startswith("[", start):
        yield from _objects(part, buffer, start + 1, text)
        return
    buffer += text.read()
    document, end = _DECODER.raw_decode(buffer, start)
    if not buffer[end:].strip():
        key = table_key(document)
        if key is None:
            raise _other_form(part)
        start = value_span(buffer, start, key)[0] + 1
    yield from _objects(part, buffer, start, io.StringIO())


def _other_form(part: Part) -> InputError:
    return InputError(
        "only JSON with an object for each row is written again",
        where=part.shown,
        fix="take the labels from the version's dataset.parquet",
    )


def _objects(part: Part, buffer: str, position: int, text: TextIO) -> Iterator[tuple[str, str]]:
    start, size, ended = 0, _CHUNK, False
    while True:
        between = _BETWEEN.match(buffer, position)
        at = between.end() if between else position
        complete = False
        if buffer.startswith("{", at):
            try:
                _, end = _DECODER.raw_decode(buffer, at)
                complete = True
            except ValueError:
                if ended:
                    raise _other_form(part) from None
        elif at < len(buffer) or ended:
            yield buffer[start:] + text.read(), ""
            return
        if complete:
            yield buffer[start:at], buffer[at:end]
            start = position = end
            size = _CHUNK
            continue
        more = text.read(size)
        buffer, position, start, size, ended = buffer[start:] + more, position - start, 0, 2 * size, not more
