"""Lines behind the rows of a table that a blank line parts from them: sources, notes, how many rows there are."""

import csv
import io
from collections.abc import Sequence

from tasks.ingest.source import Part
from tasks.ingest.text.lines import BLOCK, is_utf8, open_text

# A footer is short: more text than this is not looked at.
_BYTES = 2**13
_SHOWN = 40


def find_footer(part: Part, delimiter: str, width: int) -> tuple[int, int, str]:
    """Return lines and bytes (as UTF-8) of what stands behind the rows and a blank line, and its first words.

    A line of it has fewer fields than the table, or one value alone. A quote in it may close one that opens in a row, so that
    the blank line is part of a value: nothing is a footer then.
    """
    text = _read_last_bytes(part).decode(errors="replace")
    lines = list(io.StringIO(text, newline=""))[1:]
    first = len(lines)
    while first and not _is_row(lines[first - 1], delimiter, width):
        first -= 1
    footer = lines[first:]
    words = [line.strip() for line in footer if _has_value(line, delimiter)]
    if not first or not words or _has_value(footer[0], delimiter) or any('"' in line for line in footer):
        return 0, 0, ""
    return len(footer), len("".join(footer).encode()), words[0].strip(delimiter)[:_SHOWN]


def _read_last_bytes(part: Part) -> bytes:
    with open_text(part) as file:
        if not part.compression and is_utf8(part.encoding):
            file.seek(max(0, file.seek(0, 2) - _BYTES))
            return file.read()
        end = b""
        while block := file.read(BLOCK):
            end = (end + block)[-_BYTES:]
        return end


def _has_value(line: str, delimiter: str) -> bool:
    return bool(line.strip(delimiter + "\r\n "))


def _is_row(line: str, delimiter: str, width: int) -> bool:
    fields: Sequence[str] = next(csv.reader([line], delimiter=delimiter), [])
    return len(fields) >= width and sum(bool(field.strip()) for field in fields) > 1
