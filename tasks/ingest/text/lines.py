"""What the text formats share: decompression, and where in the text something is wrong."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from tasks.errors import InputError
from tasks.ingest.compression import COMPRESSIONS, decompressed
from tasks.ingest.reading import looks_like, not_as_named
from tasks.ingest.source import Part

# 8 MiB of text at a time: more than any sane row, little beside the budget of memory.
BLOCK = 8 * 2**20
_HEAD = 4096
_WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# ASCII in UTF-16 has a zero in every second byte; a binary file has some anywhere.
_MOST = 0.8
# Bytes that are recoded at a time: io.BufferedReader takes them 8 KiB at a time, and the rest is copied.
_PIECE = 2**16


@contextmanager
def open_text(part: Part) -> Iterator[BinaryIO]:
    """Open the file's text as UTF-8, decompressed where its name says so."""
    with _open_bytes(part) as file:
        if is_utf8(part.encoding):
            yield file
            return
        with io.BufferedReader(_Recoded(file, part)) as text:
            yield cast("BinaryIO", text)


def is_utf8(encoding: str | None) -> bool:
    """Return whether text in an encoding is UTF-8 already, with a byte order mark or without.

    >>> is_utf8("UTF8"), is_utf8("latin-1")
    (True, False)
    """
    return encoding is None or codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}


class _Recoded(io.RawIOBase):
    """Text of another encoding, as UTF-8."""

    def __init__(self, file: BinaryIO, part: Part) -> None:
        self._file, self._part = file, part
        self._decoder = codecs.getincrementaldecoder(part.encoding or "utf-8")()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (any buffer that can be written)
        while not self._ready:
            block = self._file.read(_PIECE)
            try:
                self._ready = self._decoder.decode(block, final=not block).encode()
            except UnicodeError as error:
                raise InputError(
                    f"its text is not {self._part.encoding} ({error})",
                    where=self._part.shown,
                    fix="name its encoding with --encoding",
                ) from error
            if not block:
                break
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


@contextmanager
def _open_bytes(part: Part) -> Iterator[BinaryIO]:
    with part.open() as raw, decompressed(raw, part.compression) as text:
        yield text


def check_text(part: Part, expected: str, *, any_encoding: bool = False) -> bytes:
    """Return the first bytes of the text after checking that it is text.

    Args:
        part: The file.
        expected: The format that its name says.
        any_encoding: Whether the caller finds out the encoding, so that UTF-16 and UTF-32 are text too.

    Raises:
        InputError: It is binary, in another encoding, or empty once decompressed.
    """
    if part.compression:
        name, beginnings = COMPRESSIONS[part.compression]
        with part.open() as file:
            raw = file.read(16)
        if not raw.startswith(beginnings):
            raise not_as_named(part, name, raw)
    with open_text(part) as file:
        head = file.read(_HEAD)
    if not head.strip():
        raise InputError("the file is empty", where=part.shown, fix="write or download it again")
    if wide_encoding(head) is not None:
        if any_encoding:
            return head
        raise InputError(
            "UTF-16 text at byte 0, line 1",
            where=part.shown,
            fix="save it as UTF-8, or name its encoding with --encoding",
        )
    if looks_like(head) or b"\x00" in head:
        raise not_as_named(part, expected, head)
    return head


def wide_encoding(head: bytes) -> str | None:
    """Return the encoding of text in two or four bytes a character, None for any other.

    >>> wide_encoding("x,label".encode("utf-16")), wide_encoding("x,label".encode("utf-16-be"))
    ('utf-16', 'utf-16-be')
    """
    marked = next((name for mark, name in _WIDE_MARKS.items() if head.startswith(mark)), None)
    even, odd = head[0::2], head[1::2]
    if marked or len(odd) < 2 or b"\x00" not in head:
        return marked
    if odd.count(0) > _MOST * len(odd) and not even.count(0):
        return "utf-16-le"
    return "utf-16-be" if even.count(0) > _MOST * len(even) and not odd.count(0) else None


def check_utf8(part: Part) -> None:
    """Read the whole text and raise InputError at the first byte that is not UTF-8."""
    position, line = 0, 1
    with open_text(part) as file:
        for block in lines_in_blocks(file):
            try:
                block.decode()
            except UnicodeDecodeError as error:
                line += block[: error.start].count(b"\n")
                raise not_utf8(part, position + error.start, line, block[error.start]) from error
            position += len(block)
            line += block.count(b"\n")


def not_utf8(part: Part, position: int, line: int, byte: int) -> InputError:
    """Return the error for a byte that is not UTF-8."""
    return InputError(
        f"line {line}: byte 0x{byte:02x} at position {position} is not UTF-8",
        where=part.shown,
        fix="save the file as UTF-8, or name its encoding with --encoding",
    )


def lines_in_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the text in blocks of whole lines."""
    while block := file.read(BLOCK):
        yield block + file.readline()
