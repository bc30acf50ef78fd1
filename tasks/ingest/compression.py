"""Compressed files and archives: what their names say, and how their bytes are read."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import pyarrow as pa

from tasks.errors import InputError

# The first bytes of each compression; zstd may begin with a frame that readers skip, as parallel writers do.
COMPRESSIONS: dict[str, tuple[str, tuple[bytes, ...]]] = {
    ".gz": ("gzip", (b"\x1f\x8b",)),
    ".bz2": ("bzip2", (b"BZh",)),
    ".xz": ("xz", (b"\xfd7zXZ",)),
    ".zst": ("zstd", (b"\x28\xb5\x2f\xfd", *(bytes([first]) + b"\x2a\x4d\x18" for first in range(80, 96)))),
}
# Archives that are not read: what to do is the same for all.
ARCHIVES = (".7z", ".rar")
# What Python's own module unpacks; Windows writes Deflate64 for large files, which it does not.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}


def split_compression(name: str) -> tuple[str, str]:
    """Return a file name without the suffix of a compression, and that suffix.

    >>> split_compression("cats.csv.gz"), split_compression("cats.csv")
    (('cats.csv', '.gz'), ('cats.csv', ''))
    """
    suffix = next((end for end in COMPRESSIONS if name.lower().endswith(end)), "")
    return (name[: -len(suffix)], suffix) if suffix else (name, "")


@contextmanager
def decompress(raw: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    """Yield the bytes behind a compression, all members of the file one after the other."""
    if not suffix:
        yield raw
        return
    if suffix == ".zst":
        stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
        with io.BufferedReader(cast("io.RawIOBase", stream)) as text:
            yield cast("BinaryIO", text)
        return
    opened: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}[suffix]
    with opened(raw) as text:
        yield cast("BinaryIO", text)


def open_zip(raw: BinaryIO, uri: str) -> tuple[Any, str]:
    """Return the inside of a zip archive as a file system, and the folder in it that holds everything.

    Raises:
        InputError: It is damaged, encrypted, or packed in a way that is not read.
    """
    from fsspec.implementations.zip import ZipFileSystem  # noqa: PLC0415 (only for archives)

    try:
        inside = ZipFileSystem(fo=raw, skip_instance_cache=True)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(
            f"the archive cannot be read ({error})", where=uri, fix="check it, or unpack it and name the file"
        ) from error
    for entry in inside.zip.infolist():
        if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
            what = "is encrypted" if entry.flag_bits & 1 else "is packed in a way that is not read"
            raise InputError(
                f"'{entry.filename}' in the archive {what}", where=uri, fix="unpack it and name the file"
            )
    return inside, _find_common_folder(
        [entry.filename for entry in inside.zip.infolist() if not entry.is_dir()]
    )


def _find_common_folder(names: list[str]) -> str:
    """Return the folder that all files of an archive lie in, as unpacking would make it; empty where there is none."""
    first = {name.split("/", 1)[0] for name in names if not name.startswith(("__MACOSX/", "."))}
    alone = len(first) == 1 and all("/" in name for name in names)
    # A folder of a partition or a class is no wrapper: only one that holds folders or files of its own beside them is.
    return next(iter(first)) if alone and "=" not in next(iter(first)) else ""
