"""What every reader is, and how they all speak about damaged files."""

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from tasks.errors import InputError, first_line
from tasks.ingest.compression import COMPRESSIONS
from tasks.ingest.source import Part, explain_access_errors

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
    """One open file."""

    @property
    def part(self) -> Part:
        """The file."""

    @property
    def schema(self) -> pa.Schema:
        """Columns and types, as far as the format knows them."""

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns in the file's order, about `rows` rows at a time or fewer."""

    def place(self, row: int) -> str:
        """Return how a person finds a row, given from 0: 'row 1', or 'line 2' of a text file."""


def describe_bytes(head: bytes) -> str | None:
    """Return what a file's first bytes say it is, for a message.

    >>> describe_bytes(b"PAR1...")
    'Parquet'
    """
    return next((name for magic, name in _KNOWN_BYTES.items() if head.startswith(magic)), None)


def wrong_format_error(part: Part, expected: str, head: bytes) -> InputError:
    """Return the error for a file whose bytes contradict its suffix."""
    found = describe_bytes(head)
    if not found and not _CONTROL.intersection(head):
        found = "text, such as CSV"
    tail = f"it looks like {found}" if found else "its first bytes say otherwise"
    return part.problem(f"not {expected} although it is named so: {tail}", fix="rename or convert it")


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
        raise _damage_error(part, packed, error) from error
    except pa.ArrowMemoryError as error:  # a length that broken bytes say, or a machine that is full
        raise part.problem(
            f"{expected} that takes more memory than there is ({first_line(error, _SAID)})",
            fix="free some memory; if the file is not that large, write or download it again",
        ) from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _damage_error(part, expected, error) from error
    except OSError as error:
        # Arrow reports broken bytes as a bare OSError; the system and the network give a number or a type.
        if error.errno is not None or type(error) is not OSError:
            raise
        raise _damage_error(part, expected, error) from error


# Characters of a library's words that are enough to search for.
_SAID = 160
# What Arrow says of a sound Parquet file with a missing value in a column of lists of fixed length, which it cannot read.
_MISSING_LIST = "Expected all lists to be of size"


def _damage_error(part: Part, expected: str, error: BaseException) -> InputError:
    if str(error).startswith(_MISSING_LIST):
        return part.problem(
            f"a column of lists of a fixed length lacks one in some row, which is not read ({first_line(error, _SAID)})",
            fix="write it as lists of any length, or leave out the rows without one",
        )
    what = f"damaged or truncated {expected} ({first_line(error, _SAID)})"
    return part.problem(what)
