"""What the text formats share: decompression, and where in the text something is wrong."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import pyarrow as pa

from tasks.ingest.compression import COMPRESSIONS, decompress
from tasks.ingest.reading import describe_bytes, make_format_error
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
# Some programs write a NUL here and there: at most one byte in ten, a bound that only keeps files of zeros out.
_STRAY = 0.1
# Control characters that no text has, but for NUL.
_CONTROL = frozenset(range(1, 32)) - frozenset(b"\t\n\v\f\r\x1a\x1b")
# ASCII in UTF-16 has a zero in every second byte; a binary file has some anywhere.
_MOST = 0.8


@contextmanager
def open_text(part: Part) -> Iterator[BinaryIO]:
    """Open the file's text as UTF-8, decompressed where its name says so."""
    with part.open() as raw, decompress(raw, part.compression) as file:
        if is_utf8(part.encoding):
            yield file
            return
        recoded = pa.transcoding_input_stream(pa.PythonFile(file, mode="r"), part.encoding, "utf-8")
        try:
            with io.BufferedReader(cast("io.RawIOBase", recoded)) as text:
                yield cast("BinaryIO", text)
        except UnicodeError as error:
            raise part.problem(
                f"its text is not {part.encoding} ({error})", fix="name its encoding with --encoding"
            ) from error


def is_utf8(encoding: str | None) -> bool:
    """Return whether text in an encoding is UTF-8 already, with a byte order mark or without.

    >>> is_utf8("UTF8"), is_utf8("latin-1")
    (True, False)
    """
    return encoding is None or codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}


def check_text(part: Part, expected: str, *, any_encoding: bool = False) -> bytes:
    """Return the first bytes of the text after checking that it is text.

    Args:
        any_encoding: Whether the caller finds out the encoding, so that UTF-16 and UTF-32 are text too.

    Raises:
        InputError: It is binary, in another encoding, or empty once decompressed.
    """
    if part.compression:
        name, beginnings = COMPRESSIONS[part.compression]
        with part.open() as file:
            raw = file.read(16)
        if not raw.startswith(beginnings):
            raise make_format_error(part, name, raw)
    with open_text(part) as file:
        head = file.read(_HEAD)
    if not head.strip():
        raise part.problem("the file is empty")
    if detect_wide_encoding(head) is not None:
        if any_encoding:
            return head
        raise part.problem(
            "UTF-16 text at byte 0, line 1", fix="save it as UTF-8, or name its encoding with --encoding"
        )
    if describe_bytes(head) or not is_plain_text(head, strays=any_encoding):
        raise make_format_error(part, expected, head)
    return head


def is_plain_text(head: bytes, *, strays: bool = True) -> bool:
    r"""Return whether a file that begins so is text, with a few NULs where strays are allowed.

    >>> is_plain_text(b"x,label"), is_plain_text(b"\x00\x01\x02"), is_plain_text("x,label".encode("utf-16"))
    (True, False, True)
    """
    if b"\x00" not in head or detect_wide_encoding(head) is not None:
        return True
    # A binary file has other control characters too.
    return strays and _CONTROL.isdisjoint(head) and head.count(0) <= _STRAY * len(head)


def detect_wide_encoding(head: bytes) -> str | None:
    """Return the encoding of text in two or four bytes a character, None for any other.

    >>> detect_wide_encoding("x,label".encode("utf-16")), detect_wide_encoding("x,label".encode("utf-16-be"))
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
        for block in read_line_blocks(file):
            try:
                block.decode()
            except UnicodeDecodeError as error:
                line += block[: error.start].count(b"\n")
                byte, at = block[error.start], position + error.start
                raise part.problem(
                    f"line {line}: byte 0x{byte:02x} at position {at} is not UTF-8",
                    fix="save the file as UTF-8, or name its encoding with --encoding",
                ) from error
            position += len(block)
            line += block.count(b"\n")


def read_line_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the text in blocks of whole lines."""
    while block := file.read(BLOCK):
        yield block + file.readline()
