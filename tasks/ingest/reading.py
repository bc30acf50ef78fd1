"""What every reader is, and how they all speak about damaged files."""

import gzip
import lzma
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from tasks.errors import InputError, take_first_line
from tasks.ingest.compression import COMPRESSIONS
from tasks.ingest.source import Part, explain_access_errors

if TYPE_CHECKING:
    from tasks.ingest.text.dialect import Dialect

# Bytes that tell what a file is: a pointer of Git LFS has the longest beginning.
HEAD = 64
_KNOWN_BYTES = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "PDF",
    b"SQLite format 3": "SQLite",
    **{beginnings[0]: name for name, beginnings in COMPRESSIONS.values()},
    b"version https://git-lfs": "a Git LFS pointer: fetch the file with git lfs pull",
    b"<!DOCTYPE": "a web page",
    b"<!doctype": "a web page",
    b"<html": "a web page",
}


# Control characters that no text has.
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1a\x1b")


class Reader(Protocol):
    """One open file, as the module of a format may have it: `tasks.ingest.table` makes a `FileReader` of it."""

    @property
    def schema(self) -> pa.Schema:
        """Columns and types, as far as the format knows them."""

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns in the file's order, about `rows` rows at a time or fewer."""

    def place(self, row: int) -> str:
        """Return how a person finds a row, given from 0: 'row 1', or 'line 2' of a text file."""


def number_row(row: int) -> str:
    """Return how a person finds a row of a file without lines.

    >>> number_row(0)
    'row 1'
    """
    return f"row {row + 1}"


def number_lines(rows: Iterator[tuple[int, object]]) -> Callable[[int], str]:
    """Return how a person finds a row of a text file: by its line, which may differ from its number.

    Args:
        rows: The line of each row with whatever is there; read once, and only as far as a row is asked for.

    >>> find = number_lines(iter([(2, "a"), (5, "b")]))
    >>> find(1), find(0), find(2)
    ('line 5', 'line 2', 'row 3')
    """
    known = array("q")

    def place(row: int) -> str:
        known.extend(line for line, _ in islice(rows, max(0, row + 1 - len(known))))
        return f"line {known[row]}" if row < len(known) else number_row(row)

    return place


@dataclass(frozen=True)
class FileReader:
    """An open file of one of our formats.

    Attributes:
        scan: Yields batches of the named columns; they may have more rows than were asked for.
        place: How a person finds a row, given from 0.
        notes: What was decided without being asked, a line each.
        dialect: How delimited text is written; None for every other format.
        texts: Columns of delimited text that were written as text, whatever their values look like.
        paths: Where each column lies within objects; empty where there are none.
        image: The column that holds images, where the format says so.
        converted: Whether it is read by way of a temporary file.
    """

    part: Part
    schema: pa.Schema
    scan: Callable[[list[str], int], Iterator[pa.RecordBatch]]
    place: Callable[[int], str] = number_row
    notes: tuple[str, ...] = ()
    dialect: "Dialect | None" = None
    texts: frozenset[str] = frozenset()
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)
    image: str | None = None
    converted: bool = False

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        for batch in self.scan(list(columns), rows):
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)

    def standing_for(
        self,
        part: Part,
        place: Callable[[int], str],
        notes: tuple[str, ...] = (),
        metadata: dict[str, str] | None = None,
    ) -> "FileReader":
        """Return the reader of a file that this temporary one was made of.

        Args:
            metadata: What the file says of its columns.
        """
        schema = self.schema.with_metadata(metadata)
        return replace(self, part=part, schema=schema, place=place, notes=notes, converted=True)


def describe_bytes(head: bytes) -> str | None:
    """Return what a file's first bytes say it is, for a message.

    >>> describe_bytes(b"PAR1...")
    'Parquet'
    """
    return next((name for magic, name in _KNOWN_BYTES.items() if head.startswith(magic)), None)


def make_format_error(part: Part, expected: str, head: bytes) -> InputError:
    """Return the error for a file whose bytes contradict its suffix."""
    found = describe_bytes(head)
    if not found and not _CONTROL.intersection(head):
        found = "text, such as CSV"
    tail = f"it looks like {found}" if found else "its first bytes say otherwise"
    return part.problem(f"not {expected} although it is named so: {tail}", fix="rename or convert it")


# Characters of a library's words that are enough to search for.
_SAID = 160
# What Arrow says of a sound Parquet file with a missing value in a column of lists of fixed length, which it cannot read.
_MISSING_LIST = "Expected all lists to be of size"


@contextmanager
def explain_damage(part: Part, expected: str) -> Iterator[None]:
    """Turn what a library says about damaged bytes into InputError; leave passing faults as they are."""
    try:
        with explain_access_errors(part.shown):
            yield
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile) as error:
        packed = (
            COMPRESSIONS[part.compression][0] if part.compression else "archive" if part.archive else expected
        )
        raise part.problem(f"damaged or truncated {packed} ({take_first_line(error, _SAID)})") from error
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        # Arrow reports broken bytes as a bare OSError; the system and the network give a number or a type.
        if isinstance(error, OSError) and (error.errno is not None or type(error) is not OSError):
            raise
        what, fix = f"damaged or truncated {expected}", "write or download the file again"
        if isinstance(
            error, pa.ArrowMemoryError
        ):  # a length that broken bytes say, or a machine that is full
            what = f"{expected} that takes more memory than there is"
            fix = "free some memory; if the file is not that large, write or download it again"
        elif str(error).startswith(_MISSING_LIST):
            what = "a column of lists of a fixed length lacks one in some row, which is not read"
            fix = "write it as lists of any length, or leave out the rows without one"
        raise part.problem(f"{what} ({take_first_line(error, _SAID)})", fix=fix) from error
