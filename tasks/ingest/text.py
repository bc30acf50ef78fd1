"""What the text formats share: decompression, and where in the text something is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from tasks.errors import InputError
from tasks.ingest.packed import COMPRESSIONS, decompressed
from tasks.ingest.reading import looks_like, not_as_named
from tasks.ingest.source import Part

# 8 MiB of text at a time: more than any sane row, little beside the budget of memory.
BLOCK = 8 * 2**20
_HEAD = 4096


@contextmanager
def open_text(part: Part) -> Iterator[BinaryIO]:
    """Open the file's text as bytes, decompressed where its name says so."""
    with part.open() as raw, decompressed(raw, part.compression) as text:
        yield text


def check_text(part: Part, expected: str) -> bytes:
    """Return the first bytes of the text after checking that it is text.

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
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("UTF-16 text at byte 0, line 1", where=part.shown, fix="save it as UTF-8")
    if looks_like(head) or b"\x00" in head:
        raise not_as_named(part, expected, head)
    return head


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
        fix="save the file as UTF-8",
    )


def lines_in_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the text in blocks of whole lines."""
    while block := file.read(BLOCK):
        yield block + file.readline()
