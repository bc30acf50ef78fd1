"""Files that are read by way of another one: an Excel sheet as text with tabs, a JSON document as JSON Lines."""

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from fsspec.implementations.local import LocalFileSystem

from tasks.ingest.source import Part


@dataclass(frozen=True)
class TemporaryPart(Part):
    """A temporary file that was made of a part of the source, and ends with this object."""

    file: Any = None


@contextmanager
def temporary_part(part: Part, suffix: str) -> Iterator[tuple[TemporaryPart, BinaryIO]]:
    """Yield a temporary file that stands for `part`, and the file to write it to."""
    file = tempfile.NamedTemporaryFile(prefix="labelsweep-", suffix=suffix)  # noqa: SIM115 (the part keeps it)
    yield TemporaryPart(LocalFileSystem(), file.name, part.shown, file=file), cast("BinaryIO", file)
    file.flush()


def write_tabs(part: Part, rows: Iterable[Sequence[str]]) -> TemporaryPart:
    """Return a temporary file that stands for `part`, with the rows as text between tabs."""
    with temporary_part(part, ".tsv") as (made, file):
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
        text.detach()
    return made
