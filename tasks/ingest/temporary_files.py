"""A file that is read by way of another one: an Excel sheet as text with tabs, a JSON document as JSON Lines."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from tasks.ingest.reading import Reader
from tasks.ingest.source import Part


@dataclass(frozen=True)
class TemporaryPart(Part):
    """A temporary file that was made of a part of the source, and ends with this object."""

    file: Any = None


@dataclass(frozen=True)
class ConvertedReader:
    """A file of the source, read by way of a temporary one.

    Attributes:
        place: How a person finds a row, given from 0.
        notes: What was decided without being asked, a line each.
        metadata: What the file says of its columns, for the schema.
    """

    part: Part
    made: Reader
    place: Callable[[int], str]
    notes: tuple[str, ...] = ()
    metadata: dict[str, str] | None = None

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return self.made.schema.with_metadata(self.metadata)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        return self.made.batches(columns, rows)


@contextmanager
def temporary_part(part: Part, suffix: str) -> Iterator[tuple[TemporaryPart, BinaryIO]]:
    """Yield a temporary file that stands for `part`, and the file to write it to."""
    file = tempfile.NamedTemporaryFile(prefix="labelsweep-", suffix=suffix)  # noqa: SIM115 (the part keeps it)
    yield TemporaryPart(LocalFileSystem(), file.name, part.shown, file=file), cast("BinaryIO", file)
    file.flush()
