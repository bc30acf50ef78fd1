"""Files that are read by way of another one: an Excel sheet as text with tabs, a JSON document as JSON Lines."""

import csv
import io
import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, cast

from fsspec.implementations.local import LocalFileSystem

from tasks.ingest.source import Part

# Whole numbers beyond this one have no exact place among floating-point numbers.
_WHOLE = 2**53


@dataclass(frozen=True)
class TemporaryPart(Part):
    """A temporary file that was made of a part of the source, and ends with this object."""

    file: Any = None


@contextmanager
def open_temporary_part(part: Part, suffix: str) -> Iterator[tuple[TemporaryPart, BinaryIO]]:
    """Yield a temporary file that stands for `part`, and the file to write it to."""
    file = tempfile.NamedTemporaryFile(prefix="labelsweep-", suffix=suffix)  # noqa: SIM115 (the part keeps it)
    yield TemporaryPart(LocalFileSystem(), file.name, part.shown, file=file), cast("BinaryIO", file)
    file.flush()


def write_tabs(part: Part, rows: Iterable[Sequence[str]]) -> TemporaryPart:
    """Return a temporary file that stands for `part`, with the rows as text between tabs."""
    with open_temporary_part(part, ".tsv") as (made, file):
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
        text.detach()
    return made


def write_value(value: object) -> str | None:  # noqa: PLR0911 (one line a type)
    """Return a value of any format as text; None where it is missing.

    >>> [write_value(value) for value in (True, 2.0, 0.5, float("nan"), ["a"], datetime(2024, 5, 1, 12))]
    ['true', '2', '0.5', None, '["a"]', '2024-05-01 12:00:00']
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < _WHOLE else repr(value)
    if isinstance(value, bool | int | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return repr(value.total_seconds())
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
