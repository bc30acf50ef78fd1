"""A zip archive again, with other data in some of its files."""

import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

from tasks.ingest.source import Part


def pack_again(archive: Part, files: Mapping[str, Path | bytes | None], target: Path) -> None:
    """Write an archive whose files are those of another one, in its order, with their names, times and compression.

    Args:
        files: What is to be in it instead, by name in the archive; None where nothing is.
    """
    with archive.open() as raw, zipfile.ZipFile(raw) as before, zipfile.ZipFile(target, "w") as after:
        for entry in before.infolist():
            new: Path | bytes | zipfile.ZipInfo | None = files.get(entry.filename, entry)
            if new is None:
                continue
            # Sizes and checksum are those of the new bytes; the rest of what the entry says stays.
            if isinstance(new, bytes):
                source, size = cast("BinaryIO", io.BytesIO(new)), len(new)
            elif isinstance(new, Path):
                source, size = new.open("rb"), new.stat().st_size
            else:
                source, size = cast("BinaryIO", before.open(new)), new.file_size
            is_large = size >= zipfile.ZIP64_LIMIT
            with source, after.open(_copy_entry(entry), "w", force_zip64=is_large) as file:
                shutil.copyfileobj(source, file)


def _copy_entry(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return an entry with the same name, time, rights and compression."""
    fresh = zipfile.ZipInfo(entry.filename, entry.date_time)
    fresh.compress_type, fresh.external_attr = entry.compress_type, entry.external_attr
    fresh.comment, fresh.create_system = entry.comment, entry.create_system
    return fresh
