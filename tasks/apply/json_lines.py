"""Corrected JSON Lines: every byte as it was, but for the labels that change and the lines that go."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tasks.apply.corrected import Corrected
from tasks.apply.json_tokens import Tokens
from tasks.apply.lines import LineWriter, create
from tasks.apply.written import WrittenLabels
from tasks.ingest.formats.jsonl import JsonLinesReader
from tasks.ingest.source import Part
from tasks.ingest.table import open_part
from tasks.ingest.text.lines import open_text


def write_json_lines(
    parts: Sequence[Part], label: str, corrected: Corrected, targets: Sequence[Path]
) -> list[int]:
    """Write corrected JSON Lines files.

    Args:
        parts: The files of the source.
        label: Their column of the label.
        corrected: What changes.
        targets: Where each part goes.

    Returns:
        How many rows each file has.

    Raises:
        InputError: The source is not what was swept, or a label cannot be a value like the others.
    """
    tokens, labels = Tokens(_path(parts[0], label, corrected)), WrittenLabels(corrected)
    for part in parts:
        with _lines(part) as lines:
            for line in lines:
                if line.strip():
                    labels.see(tokens.see(line))
    labels.finish()
    row, written = 0, []
    for part, target in zip(parts, targets, strict=True):
        rows = 0
        with _lines(part) as lines, create(target) as file:
            writer = LineWriter(file, "utf-8")
            for line in lines:
                change: str | None = ""
                if line.strip():
                    change, row = corrected.changes.get(row, ""), row + 1
                    rows += change is not None
                if change is None:
                    writer.drop(line)
                else:
                    writer.keep(tokens.replaced(line, change, labels) if change else line)
            writer.close()
        written.append(rows)
    return written


def _path(part: Part, label: str, corrected: Corrected) -> tuple[str, ...]:
    """Return the keys that lead to the label."""
    reader = open_part(part, frozenset())
    if not isinstance(reader, JsonLinesReader) or label not in reader.paths:
        raise corrected.source_changed()
    return reader.paths[label]


@contextmanager
def _lines(part: Part) -> Iterator[TextIO]:
    with open_text(part) as file:
        yield io.TextIOWrapper(file, encoding="utf-8", newline="\n")
