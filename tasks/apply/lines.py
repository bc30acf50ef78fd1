"""Files of text that are written again: compressed as their name says, and ending as the source ends."""

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from tasks.ingest.compression import split_compression

_ENDS = "\r\n"


@contextmanager
def create(target: Path) -> Iterator[BinaryIO]:
    """Open a new file for bytes, compressed where its name says so."""
    suffix = split_compression(target.name)[1]
    with target.open("wb") as raw:
        if suffix == ".gz":
            # Neither a name nor a time: equal data make equal files.
            file: Any = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
        elif suffix == ".zst":
            file = pa.CompressedOutputStream(pa.PythonFile(raw, mode="w"), "zstd")
        elif suffix:
            file = {".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}[suffix](raw, "wb")
        else:
            file = raw
        with file:
            yield cast("BinaryIO", file)


class LineWriter:
    r"""Writes the lines that stay. A file whose last line has no end keeps none, whichever line is the last.

    Args:
        file: Where to.
        encoding: Of the text.

    >>> import io
    >>> file = io.BytesIO()
    >>> writer = LineWriter(file, "utf-8")
    >>> writer.keep("a\n"), writer.drop("b"), writer.close()
    (None, None, None)
    >>> file.getvalue()
    b'a'
    """

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        # The end of a line is written with the next one.
        self._end = self._last = ""
        self._is_empty = True

    def keep(self, line: str) -> None:
        """Write a line."""
        self.drop(line)
        self._write(self._end + line[: len(line) - len(self._last)])
        self._end, self._is_empty = self._last, False

    def drop(self, line: str) -> None:
        """Leave out a line of the source."""
        self._last = line[len(line.rstrip(_ENDS)) :]

    def close(self) -> None:
        """Write the end of the last line."""
        self._write("" if self._is_empty else self._last)

    def _write(self, text: str) -> None:
        self._file.write(
            text.encode(self._encoding, "strict" if self._encoding == "latin-1" else "surrogatepass")
        )
