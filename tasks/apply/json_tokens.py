"""How the labels of JSON objects are written, and the same object with another label: not a byte of the rest changes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in typeshed

from tasks.errors import InputError

_DECODER = json.JSONDecoder()
# What stands for a value that is not there: no label, and not the text "null".
_MISSING = "\0"
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass
class Tokens:
    """How the labels of some files are written.

    Attributes:
        seen: The first way in which each value is written, by the value as text and whether it has quotes.
        ascii_only: Whether other letters are written as escapes, as far as anybody can tell.
    """

    path: tuple[str, ...]
    seen: dict[tuple[str, bool], str] = field(default_factory=dict)
    ascii_only: bool = True

    def see(self, text: str) -> str:
        """Return the label of an object as text."""
        self.ascii_only = self.ascii_only and text.isascii()
        value: object = json.loads(text)
        for key in self.path:
            value = _take_first(value)
            value = value.get(key) if isinstance(value, dict) else None
        value = _take_first(value)
        label = value if isinstance(value, str) else _MISSING if value is None else json.dumps(value)
        form = (label, isinstance(value, str))
        if form not in self.seen and value is not None:
            first, last = label_span(text, self.path)
            self.seen[form] = text[first:last]
        return label

    def replace_label(self, text: str, label: str, forms: Mapping[str, str]) -> str:
        """Return an object with another label, which is written as elsewhere, or else like the one before it."""
        first, last = label_span(text, self.path)
        form = forms.get(label)
        if form is None:
            token = _write_token(label, text[first:last], self.ascii_only)
        else:  # a number stays a number where some are written as text
            quoted = text.startswith('"', first)
            token = self.seen.get((form, quoted)) or self.seen[form, not quoted]
        return text[:first] + token + text[last:]


def label_span(text: str, path: Sequence[str]) -> tuple[int, int]:
    r"""Return where a value begins and ends in the text of an object; of lists, in their first values.

    >>> text = '{"a": [{"b": 1}], "b" : ["c\\u00e9"]}'
    >>> text[slice(*label_span(text, ["b"]))], text[slice(*label_span(text, ["a", "b"]))]
    ('"c\\u00e9"', '1')
    """
    first, last = 0, len(text)
    for key in path:
        first, last = _enter_lists(text, *value_span(text, first, key))
    return first, last


def _enter_lists(text: str, first: int, last: int) -> tuple[int, int]:
    while text.startswith("[", first):
        first = _skip_blanks(text, first + 1)
        _, last = _DECODER.raw_decode(text, first)
    return first, last


def _take_first(value: object) -> object:
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def value_span(text: str, start: int, key: str) -> tuple[int, int]:
    """Return where the value of a key is in the object that begins at `start`."""
    found, position = (0, 0), _skip_blanks(text, start) + 1
    while text.startswith('"', position := _skip_blanks(text, position)):
        name, position = scanstring(text, position + 1)
        first = _skip_blanks(text, _skip_blanks(text, position) + 1)
        _, position = _DECODER.raw_decode(text, first)
        if name == key:  # the last one counts
            found = first, position
        position = _skip_blanks(text, position) + 1
    return found


def _skip_blanks(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found else position


def _write_token(label: str, before: str, ascii_only: bool) -> str:  # noqa: FBT001 (a fact, not a switch)
    """Return a label that the source does not have as a value like the one that it replaces."""
    if before.startswith('"'):
        return json.dumps(label, ensure_ascii=ascii_only)
    try:
        value = json.loads(label)
    except ValueError:
        value = None
    if isinstance(value, bool) != (before in ("true", "false")) or not isinstance(value, int | float):
        raise InputError(f"the label '{label}' is not a value like {before}")
    return label
