"""What every reader is, and how they all speak about damaged files."""

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.compression import COMPRESSIONS
from tasks.ingest.source import Part, access

_KNOWN_BYTES = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "PDF",
    b"SQLite format 3": "SQLite",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"version https://git-lfs": "a Git LFS pointer: fetch the file with git lfs pull",
    b"<!DOCTYPE": "a web page",
    b"<!doctype": "a web page",
    b"<html": "a web page",
}


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


def looks_like(head: bytes) -> str | None:
    """Return what a file's first bytes say it is, for a message.

    >>> looks_like(b"PAR1...")
    'Parquet'
    """
    return next((name for magic, name in _KNOWN_BYTES.items() if head.startswith(magic)), None)


def not_as_named(part: Part, expected: str, head: bytes) -> InputError:
    """Return the error for a file whose bytes contradict its suffix."""
    found = looks_like(head)
    tail = f"it looks like {found}" if found else "its first bytes say otherwise"
    return InputError(
        f"not {expected} although it is named so: {tail}", where=part.shown, fix="rename or convert it"
    )


@contextmanager
def readable(part: Part, expected: str) -> Iterator[None]:
    """Turn what a library says about damaged bytes into InputError; leave passing faults as they are."""
    try:
        with access(part.shown):
            yield
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile) as error:
        packed = (
            COMPRESSIONS[part.compression][0] if part.compression else "archive" if part.archive else expected
        )
        raise _damaged(part, packed, error) from error
    except pa.ArrowMemoryError as error:  # a length that broken bytes say, or a machine that is full
        raise InputError(
            f"{expected} that takes more memory than there is ({_first_line(error)})",
            where=part.shown,
            fix="free some memory; if the file is not that large, write or download it again",
        ) from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _damaged(part, expected, error) from error
    except OSError as error:
        # Arrow reports broken bytes as a bare OSError; the system and the network give a number or a type.
        if error.errno is not None or type(error) is not OSError:
            raise
        raise _damaged(part, expected, error) from error


# What Arrow says of a sound Parquet file with a missing value in a column of lists of fixed length, which it cannot read.
_MISSING_LIST = "Expected all lists to be of size"


def _damaged(part: Part, expected: str, error: BaseException) -> InputError:
    if str(error).startswith(_MISSING_LIST):
        return InputError(
            f"a column of lists of a fixed length lacks one in some row, which is not read ({_first_line(error)})",
            where=part.shown,
            fix="write it as lists of any length, or leave out the rows without one",
        )
    what = f"damaged or truncated {expected} ({_first_line(error)})"
    return InputError(what, where=part.shown, fix="write or download the file again")


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    # 160 characters of a library's words are enough to search for.
    return (text[0] if text else type(error).__name__)[:160]
