"""Files of text that are written again: every byte as it was, but for the labels that change and the rows that go."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from tasks.apply.corrected import SourceChanges, learn_forms
from tasks.ingest.compression import split_compression

_ENDS = "\r\n"
_PACKERS: dict[str, Callable[[BinaryIO], Any]] = {
    "": nullcontext,
    # Neither a name nor a time: equal data make equal files.
    ".gz": lambda raw: gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0),
    ".zst": lambda raw: pa.CompressedOutputStream(pa.PythonFile(raw, mode="w"), "zstd"),
    ".bz2": partial(bz2.BZ2File, mode="wb"),
    ".xz": partial(lzma.LZMAFile, mode="wb"),
}


# A row with the text before it, and whether it stays; text without a row has an empty one.
Pieces = Iterable[tuple[str, str, bool]]


class TextFile(Protocol):
    """One file of the source, in any format of text."""

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yield each row with the text before it; text without a row has an empty one."""

    def label_of(self, row: str) -> str:
        """Return the label of a row as it is written."""

    def relabeled(self, row: str, label: str, forms: Mapping[str, str]) -> str:
        """Return a row with another label, written as elsewhere in the files."""

    def encode(self, pieces: Pieces) -> Iterator[bytes]:
        """Yield the bytes of a new file; the format decides on the text between rows, some of which go."""


def write_texts(files: Sequence[TextFile], corrected: SourceChanges, targets: Sequence[Path]) -> list[int]:
    """Write corrected files of text; return how many rows each has.

    Raises:
        InputError: The source is not what was swept, or a label cannot be written.
    """
    rows = ((source, row) for source in files for _, row in source.pieces() if row)
    forms = learn_forms(corrected, (source.label_of(row) for source, row in rows))
    changes = (corrected.changes.get(number, "") for number in count())
    counts: list[int] = []

    def change_rows(source: TextFile) -> Pieces:
        for before, row in source.pieces():
            change = next(changes) if row else ""
            counts[-1] += bool(row) and change is not None
            yield before, source.relabeled(row, change, forms) if change else row, change is not None

    for source, target in zip(files, targets, strict=True):
        counts.append(0)
        with create(target) as file:
            for part in source.encode(change_rows(source)):
                file.write(part)
    return counts


@contextmanager
def create(target: Path) -> Iterator[BinaryIO]:
    """Open a new file for bytes, compressed where its name says so."""
    with target.open("wb") as raw, _PACKERS[split_compression(target.name)[1]](raw) as file:
        yield file


def join_lines(pieces: Pieces) -> Iterator[str]:
    r"""Yield the lines that stay. A file whose last line has no end keeps none, whichever line is the last.

    >>> "".join(join_lines([("", "a\n", True), ("", "b", False)]))
    'a'
    """
    # The end of a line is written with the next one.
    end, last, is_empty = "", "", True
    for before, row, stays in pieces:
        line = before + row
        text = line.rstrip(_ENDS)
        last = line[len(text) :]
        if stays:
            yield end + text
            end, is_empty = last, False
    yield "" if is_empty else last
