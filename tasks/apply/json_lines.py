"""Corrected JSON Lines: every byte as it was, but for the labels that change and the lines that go."""

import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in typeshed
from pathlib import Path
from typing import TextIO

from tasks.apply.corrected import Corrected
from tasks.apply.lines import LineWriter, create
from tasks.apply.written import WrittenLabels
from tasks.errors import InputError
from tasks.ingest.source import Part
from tasks.ingest.text import open_text

_DECODER = json.JSONDecoder()
# What stands for a value that is not there: no label, and not the text "null".
_MISSING = "\0"
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass
class _Tokens:
    """How the labels of some files are written.

    Attributes:
        label: Key of the label.
        seen: The first way in which each value is written, by the value as text.
        ascii_only: Whether other letters are written as escapes, as far as anybody can tell.
    """

    label: str
    seen: dict[str, str] = field(default_factory=dict)
    ascii_only: bool = True

    def see(self, line: str) -> str:
        """Return the label of a line as text."""
        self.ascii_only = self.ascii_only and line.isascii()
        value = json.loads(line).get(self.label)
        text = value if isinstance(value, str) else _MISSING if value is None else json.dumps(value)
        if text not in self.seen:
            first, last = _span(line, self.label)
            self.seen[text] = line[first:last]
        return text

    def replaced(self, line: str, label: str, labels: WrittenLabels) -> str:
        """Return a line with another label, which is written as elsewhere, or else like the one before it."""
        first, last = _span(line, self.label)
        form = labels.forms.get(label)
        token = self.seen[form] if form is not None else _token(label, line[first:last], self.ascii_only)
        return line[:first] + token + line[last:]


def write_json_lines(
    parts: Sequence[Part], label: str, corrected: Corrected, targets: Sequence[Path]
) -> list[int]:
    """Write corrected JSON Lines files.

    Args:
        parts: The files of the source.
        label: Their key of the label.
        corrected: What changes.
        targets: Where each part goes.

    Returns:
        How many rows each file has.

    Raises:
        InputError: The source is not what was swept, or a label cannot be a value like the others.
    """
    tokens, labels = _Tokens(label), WrittenLabels(corrected)
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


@contextmanager
def _lines(part: Part) -> Iterator[TextIO]:
    with open_text(part) as file:
        yield io.TextIOWrapper(file, encoding="utf-8", newline="\n")


def _span(line: str, key: str) -> tuple[int, int]:
    r"""Return where the value of a key begins and ends in a line.

    >>> line = '{"a": {"b": 1}, "b" : "c\\u00e9"}'
    >>> line[slice(*_span(line, "b"))]
    '"c\\u00e9"'
    """
    found, position = (0, 0), _after_blanks(line, 0) + 1
    while line.startswith('"', position := _after_blanks(line, position)):
        name, position = scanstring(line, position + 1)
        first = _after_blanks(line, _after_blanks(line, position) + 1)
        _, position = _DECODER.raw_decode(line, first)
        if name == key:  # the last one counts
            found = first, position
        position = _after_blanks(line, position) + 1
    return found


def _after_blanks(line: str, position: int) -> int:
    found = _BLANK.match(line, position)
    return found.end() if found else position


def _token(label: str, before: str, ascii_only: bool) -> str:  # noqa: FBT001 (a fact, not a switch)
    """Return a label that the source does not have as a value like the one that it replaces."""
    if before.startswith('"'):
        return json.dumps(label, ensure_ascii=ascii_only)
    try:
        value = json.loads(label)
    except ValueError:
        value = None
    if isinstance(value, bool) != (before in ("true", "false")) or not isinstance(value, int | float):
        raise InputError(f"the label '{label}' is no value like {before}")
    return label
