"""Files of text that are written again: every byte as it was, but for the labels that change and the rows that go."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
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


class Writer(Protocol):
    """What decides on the text between rows, some of which go."""

    def keep(self, before: str, row: str) -> None:
        """Write a row, or none at all, with what comes before it."""

    def drop(self, before: str, row: str) -> None:
        """Leave out a row of the source."""

    def close(self) -> None:
        """Write what is left."""


class TextFile(Protocol):
    """One file of the source, in any format of text."""

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yield each row with the text before it; text without a row has an empty one."""

    def label_of(self, row: str) -> str:
        """Return the label of a row as it is written."""

    def relabeled(self, row: str, label: str, forms: Mapping[str, str]) -> str:
        """Return a row with another label, written as elsewhere in the files."""

    def writer(self, file: BinaryIO) -> Writer:
        """Return what writes a new file of the format."""


def write_texts(files: Sequence[TextFile], corrected: SourceChanges, targets: Sequence[Path]) -> list[int]:
    """Write corrected files of text; return how many rows each has.

    Raises:
        InputError: The source is not what was swept, or a label cannot be written.
    """
    rows = ((source, row) for source in files for _, row in source.pieces() if row)
    forms = learn_forms(corrected, (source.label_of(row) for source, row in rows))
    number, counts = 0, []
    for source, target in zip(files, targets, strict=True):
        count = 0
        with create(target) as file:
            writer = source.writer(file)
            for before, row in source.pieces():
                change: str | None = ""
                if row:
                    change, number = corrected.changes.get(number, ""), number + 1
                    count += change is not None
                if change is None:
                    writer.drop(before, row)
                else:
                    writer.keep(before, source.relabeled(row, change, forms) if change else row)
            writer.close()
        counts.append(count)
    return counts


@contextmanager
def create(target: Path) -> Iterator[BinaryIO]:
    """Open a new file for bytes, compressed where its name says so."""
    with target.open("wb") as raw, _PACKERS[split_compression(target.name)[1]](raw) as file:
        yield file


class LineWriter:
    r"""Writes the lines that stay. A file whose last line has no end keeps none, whichever line is the last.

    Args:
        file: Where to.
        encoding: Of the text.

    >>> import io
    >>> file = io.BytesIO()
    >>> writer = LineWriter(file, "utf-8")
    >>> writer.keep("", "a\n"), writer.drop("", "b"), writer.close()
    (None, None, None)
    >>> file.getvalue()
    b'a'
    """

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        # The end of a line is written with the next one.
        self._end = self._last = ""
        self._is_empty = True

    def keep(self, before: str, row: str) -> None:
        """Write lines."""
        self.drop(before, row)
        line = before + row
        self._write(self._end + line[: len(line) - len(self._last)])
        self._end, self._is_empty = self._last, False

    def drop(self, before: str, row: str) -> None:
        """Leave out lines of the source."""
        line = before + row
        self._last = line[len(line.rstrip(_ENDS)) :]

    def close(self) -> None:
        """Write the end of the last line."""
        self._write("" if self._is_empty else self._last)

    def _write(self, text: str) -> None:
        errors = "strict" if self._encoding == "latin-1" else "surrogatepass"
        self._file.write(text.encode(self._encoding, errors))
