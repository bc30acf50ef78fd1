"""Text on its way to a terminal: what the data hold is shown there, and never obeyed.

Escape sequences can change the clipboard (OSC 52), make a link of any text (OSC 8) or overwrite what was printed; direction
overrides show letters in an order in which they are not.
"""

import re
from collections.abc import Sequence

# Control characters of both blocks, line and paragraph separators, and whatever changes the direction of text.
_OBEYED = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_LINE = re.compile(f"[{_OBEYED}]")
_STRETCH = re.compile(f"[{_OBEYED}]+")
_TEXT = re.compile(f"(?![\n\t])[{_OBEYED}]")


def write_one_line(value: object) -> str:
    r"""Return a value as it may be within a line; what a terminal would obey becomes a visible mark.

    >>> write_one_line("a\x1b]52;c;aGk=\x07\nb\u202ec")
    'a␛]52;c;aGk=␇␊b\ufffdc'
    """
    return _LINE.sub(_mark, str(value))


def write_lines(text: str) -> str:
    r"""Return text of several lines in the same way, its line ends kept.

    >>> write_lines("cat\x1b[2J\ndog\n")
    'cat␛[2J\ndog\n'
    """
    return _TEXT.sub(_mark, text)


def write_json_lines(text: str) -> str:
    r"""Return JSON that means the same, and holds such characters as escapes only.

    >>> write_json_lines('{"label": "a\u202eb"}')
    '{"label": "a\\u202eb"}'
    """
    return _TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def blank_controls(text: str) -> str:
    r"""Return text on one line, with a blank for each stretch of such characters: for sentences of which no letter counts.

    >>> blank_controls("cannot be read:\n\tcut\x1b[31m")
    'cannot be read: cut [31m'
    """
    return _STRETCH.sub(" ", text).strip()


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines, the cells of a column below one another.

    >>> align_columns([("RUN", "ROWS"), ("cats-1", "7")])
    ['RUN     ROWS', 'cats-1  7']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _mark(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"
