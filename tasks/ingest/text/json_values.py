"""The JSON values of a file, one by one: of an array, or one after the other, each with the text that it is written in."""

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from tasks.ingest.source import Part

# Text is read a mebibyte at a time, and twice as much each time that a value is longer.
CHUNK = 2**20
DECODER = json.JSONDecoder(parse_constant=lambda name: None if name == "NaN" else float(name))
# What parts two values of an array, and two that follow each other.
_COMMA, _SPACE = re.compile(r"\s*,?\s*"), re.compile(r"\s*")


def read_values(
    part: Part, text: TextIO, buffer: str, after: int, *, array: bool
) -> Iterator[tuple[str, str, Any]]:
    """Yield for each value what comes before it, its text, and the value; at last what comes after them all, "" and None.

    Args:
        part: The file, for what is wrong in it.
        buffer: What was read already.
        after: Where in the buffer the first value may begin.
        array: Whether the values are those of an array, which ends with a bracket.

    Raises:
        InputError: Something is not JSON.
    """
    between = _COMMA if array else _SPACE
    start, line, size, ended = 0, 1, CHUNK, False
    while True:
        position = between.match(buffer, after).end()  # type: ignore[union-attr]
        if array and buffer.startswith("]", position):
            yield buffer[start:] + text.read(), "", None
            return
        try:
            value, end = DECODER.raw_decode(buffer, position)
            complete = end < len(buffer) or ended
        except (ValueError, RecursionError) as error:
            if ended and position >= len(buffer) and not array:
                yield buffer[start:], "", None
                return
            if ended or isinstance(error, RecursionError):
                raise _make_error(part, error, line + buffer.count("\n", 0, position)) from error
            complete = False
        if complete:
            yield buffer[start:position], buffer[position:end], value
            start = after = end
            size = CHUNK
            continue
        line += buffer.count("\n", 0, start)
        more = text.read(size)
        buffer, after, start, size, ended = buffer[start:] + more, after - start, 0, 2 * size, not more


def _make_error(part: Part, error: Exception, line: int) -> Exception:
    if isinstance(error, json.JSONDecodeError):
        return part.problem(f"the value at line {line} is not JSON ({error.msg})")
    fix = "write an array of objects, or one object a line"
    return part.problem(f"the value at line {line} is nested too deep", fix=fix)
