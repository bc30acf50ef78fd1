"""The formats of files that can be read: one file for each, named by its format.

A format is a module with the names of `Format`. A new one is a new file: it is found in this folder.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from tasks.plugins import import_modules

if TYPE_CHECKING:
    from tasks.ingest.reading import Reader
    from tasks.ingest.source import Part


class Format(Protocol):
    """What a module of this folder says of its format.

    Attributes:
        SUFFIXES: Ends of file names, in lower case, with their dots.
        GZIP: Whether the suffix of a compression may follow: `.gz`, `.bz2`, `.xz` or `.zst`.
        TYPED: Whether the format has types; in one that has none, a number may only look like one.
        open_part: Opens a file, given the columns that must stay text (labels, ids); raises InputError where it is damaged.
    """

    SUFFIXES: tuple[str, ...]
    GZIP: bool
    TYPED: bool
    open_part: Callable[["Part", frozenset[str]], "Reader"]


@cache
def list_formats() -> dict[str, Format]:
    """Return the formats by their names."""
    return cast("dict[str, Format]", import_modules(__name__, Path(__file__).parent))


def format_of_suffix(suffix: str, *, compressed: bool) -> str | None:
    """Return the name of the format that a suffix stands for, None where there is none.

    >>> format_of_suffix(".pq", compressed=False), format_of_suffix(".pq", compressed=True)
    ('parquet', None)
    """
    return next(
        (
            name
            for name, found in list_formats().items()
            if suffix in found.SUFFIXES and (found.GZIP or not compressed)
        ),
        None,
    )


def list_readable_suffixes() -> str:
    """Say which files can be read.

    >>> list_readable_suffixes().split(", or ")[-1]
    '.zip of them'
    """
    plain, gzipped = (
        ", ".join(
            found.SUFFIXES[0] for found in list_formats().values() if found.GZIP is gzip and found.SUFFIXES
        )
        for gzip in (False, True)
    )
    return f"{plain}, or {gzipped} (these also as .gz, .bz2, .xz, .zst), or .zip of them"
