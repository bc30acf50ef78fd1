"""The files of a column of images: bytes, paths, addresses, base64, or pixels written as numbers."""

import base64
import binascii
import errno
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.columns.types import is_image
from tasks.ingest.images import pixels
from tasks.ingest.source import Part, explain_access_errors, is_image_file
from tasks.ingest.table import SourceTable

_BATCH = 256
# What tells names and numbers apart; addresses and base64 are told by each value's own form.
_LOOKED_AT = 20
# How the base64 of PNG, JPEG, GIF, WebP, BMP and TIFF files begins.
_BASE64_HEADS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk", "SUkq", "TU0AK")
# The smallest image file has some fifty bytes.
_LEAST_BASE64 = 64
_WRONG_NAME = (errno.ENAMETOOLONG, errno.ELOOP)
# What a line says of a path, so that the rest of it can be read.
_LONGEST_PATH = 100
# A folder of images is in the folder of its table, or a little below; a whole disk is not searched.
_DEEPEST = 3
# Waiting for a network takes no processor; more at once would look like an attack to a server.
_AT_ONCE = 16
_ANOTHER = "name another with --image"
_RELATIVE = "paths are relative to the folder of the source"


@dataclass(frozen=True)
class UnreadImage:
    """Why the image of a row cannot be had.

    Attributes:
        fix: What to do where this is so of every row.
    """

    why: str
    fix: str = _ANOTHER


File = bytes | UnreadImage | None


@dataclass(frozen=True)
class ImageFiles:
    """How the image of each row is found.

    Attributes:
        read: Returns the file of each row, why there is none, or None where nothing is named; given the first row's number.
        notes: What was decided without being asked.
    """

    table: SourceTable
    column: str
    read: Callable[[pa.Array, int], list[File]]
    notes: tuple[str, ...] = ()

    def numbered(self) -> Iterator[tuple[int, bytes | UnreadImage]]:
        """Yield each image that is named, with the number of its row."""
        for first, values in _read_batches(self.table, self.column):
            for row, file in enumerate(self.read(values, first), start=first):
                if file is not None:
                    yield row, file


def find_image_files(table: SourceTable, column: str) -> ImageFiles:
    """Return how the images of a column are found, told from its type and its first values.

    Raises:
        InputError: Images are pixels written as numbers, which are negative or too large.
    """
    kind = table.schema.field(column).type
    if pixels.is_pixel_list(kind):
        return _make_pixel_files(table, column, lambda value: pixels.read_pixels(value.values))
    if not pa.types.is_string(kind):
        return ImageFiles(table, column, partial(_read_files, table, _Places({})))
    values = (value.as_py() for _, batch in _read_batches(table, column) for value in batch if value.is_valid)
    first = list(islice((value for value in values if value.strip()), _LOOKED_AT))
    if first and all(map(pixels.is_pixel_text, first)):
        return _make_pixel_files(table, column, lambda value: pixels.parse_pixels(value.as_py()))
    by_name = {} if any(map(_is_base64, first)) else _index_files_by_name(table, first)
    before = next(filter(None, (_find_foreign(table.readers[0].part, name) for name in first)), "")
    notes = ("images are found by their names below the folder of the source",) if by_name else ()
    if before:
        notes = (f"'{_shorten(before)}' of the paths in '{column}' is not there: images are read without it",)
    return ImageFiles(table, column, partial(_read_files, table, _Places(by_name, before)), notes)


@dataclass(frozen=True)
class _Places:
    """Where files are that are not where the column says.

    Attributes:
        by_name: The image files near the source by name and by stem.
        before: The beginning of paths that were written on another machine.
    """

    by_name: Mapping[str, Sequence[str]]
    before: str = ""


def _make_pixel_files(
    table: SourceTable, column: str, parse: Callable[[Any], pixels.Pixels | str]
) -> ImageFiles:
    """Return the files of images that are written as numbers; the number for white is told from all of them."""

    def parse_all(values: pa.Array) -> Iterator[pixels.Pixels | UnreadImage | None]:
        for value in values:
            if not value.is_valid or (pa.types.is_string(value.type) and not value.as_py().strip()):
                yield None
                continue
            found = parse(value)
            yield UnreadImage(f"no image: {found}", f"or {_ANOTHER}") if isinstance(found, str) else found

    images = (image for _, values in _read_batches(table, column) for image in parse_all(values))
    ranges = [(float(each.min()), float(each.max())) for each in images if isinstance(each, np.ndarray)]
    white = pixels.choose_white_level(ranges) if ranges else 255.0
    if isinstance(white, str):
        raise table.problem(f"column '{column}': {white}", fix=f"or {_ANOTHER}")

    def read(values: pa.Array, _: int) -> list[File]:
        found = parse_all(values)
        return [
            pixels.write_image_file(each, white) if isinstance(each, np.ndarray) else each for each in found
        ]

    return ImageFiles(table, column, read)


def _read_files(table: SourceTable, places: _Places, column: pa.Array, first: int) -> list[File]:
    """Return files whose bytes are in the column, or that it names."""

    def read(row: int, content: pa.Scalar, beside: pa.Scalar) -> File:
        if content.is_valid:
            return bytes(content.as_py())
        name = (beside.as_py() or "").strip()
        if not name:
            return None
        if name.startswith("data:"):
            return _decode_data_uri(name)
        if _is_base64(name):
            return _decode_base64(name)
        return _read_beside(table.part_of(row), name, places)

    inside, names = _split_bytes_and_paths(column)
    rows = range(first, first + len(column))
    # Stores and servers are asked for several files at once.
    far = getattr(table.readers[0].part.filesystem, "async_impl", False)
    if not far and not any("://" in (name.as_py() or "") for name in names):
        return list(map(read, rows, inside, names))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(read, rows, inside, names))


def _read_beside(part: Part, name: str, places: _Places) -> File:
    try:
        return _fetch(part, name) if "://" in name else _find(part, name, places)
    except (FileNotFoundError, NotADirectoryError):
        foreign = "this path is of another machine: write paths relative to the folder of the source"
        fix = foreign if _is_absolute(name) else _RELATIVE
        return UnreadImage(f"no such image file '{_shorten(name)}'", fix)
    except (OSError, ValueError) as error:
        # A disk or a network may be well again at the next try; what is wrong with a name stays wrong.
        wrong = isinstance(error, IsADirectoryError | PermissionError) or "\0" in name
        if not wrong and getattr(error, "errno", None) not in _WRONG_NAME:
            raise
        return UnreadImage(f"not a readable image file: '{_shorten(name)}'", _RELATIVE)


def _find(part: Part, name: str, places: _Places) -> File:
    names = places.by_name.get(name, (name,))
    if len(names) > 1:
        what = f"{len(names)} image files are called '{_shorten(name)}'"
        return UnreadImage(what, "write paths, not bare names")
    try:
        return part.read_beside(names[0])
    except FileNotFoundError:
        inside = name.removeprefix(places.before)
        spelled: str | None = inside.replace("\\", "/")  # as Windows writes it
        if spelled and part.local and inside[0] != "/":
            spelled = _spell_as_on_disk(part.path.rsplit("/", 1)[0], spelled)
        if places.by_name or not spelled or spelled == name:
            raise
        return part.read_beside(spelled)


def _fetch(part: Part, address: str) -> File:
    """Return the file at an address; a server that does not answer is the same for all rows, and raises."""
    try:
        return part.read_beside(address)
    except FileNotFoundError:
        raise
    except InputError as error:  # no such kind of address, or no package for it
        return UnreadImage(f"'{_shorten(address)}': {error.what}", error.fix)
    except Exception as error:
        status = getattr(error, "status", 0)
        if 400 <= status < 500:
            what = f"'{_shorten(address)}' is refused by its server ({status})"
            return UnreadImage(what, "check that it opens")
        with explain_access_errors(address):
            raise


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_PATH else f"{name[:_LONGEST_PATH]}…"


def _read_batches(table: SourceTable, column: str) -> Iterator[tuple[int, pa.Array]]:
    row = 0
    for batch in table.scan([column], _BATCH):
        yield row, batch.column(0)
        row += batch.num_rows


def _split_bytes_and_paths(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the bytes and the paths of a column."""
    nothing = pa.nulls(len(column))
    if pa.types.is_struct(column.type):
        fields = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
        return fields.get("bytes", nothing), fields.get("path", nothing)
    return (column, nothing) if is_image(column.type) else (nothing, column)


def _is_base64(text: str) -> bool:
    return (
        len(text) >= _LEAST_BASE64
        and text.startswith(_BASE64_HEADS)
        and re.fullmatch(r"[A-Za-z0-9+/_\-\s]+={0,2}\s*", text) is not None
    )


def _decode_base64(text: str) -> File:
    try:
        return base64.b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        return UnreadImage(f"not base64 ({error})")


def _decode_data_uri(text: str) -> File:
    head, _, body = text.partition(",")
    return _decode_base64(body) if head.endswith(";base64") else unquote_to_bytes(body)


def _index_files_by_name(table: SourceTable, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the image files near the source by name and by stem, if the column has bare names that are not beside it.

    Kaggle's tables have an `image_id`, and its images are in a folder of another name.
    """
    part = table.readers[0].part
    base = part.path.rsplit("/", 1)[0] + "/"
    if not names or any(re.search(r"[/\\]", name) or part.filesystem.exists(base + name) for name in names):
        return {}
    found: dict[str, list[str]] = defaultdict(list)
    for path in part.filesystem.find(base, maxdepth=_DEEPEST):
        inside = path.removeprefix(base)
        if is_image_file(path) and not inside.startswith((".", "__")):
            name = inside.rsplit("/", 1)[-1]
            found[name].append(inside)
            found[name.rsplit(".", 1)[0]].append(inside)
    return dict(found) if any(name in found for name in names) else {}


def _is_absolute(name: str) -> bool:
    """Return whether a path begins at the root of a disk, as Windows writes it too."""
    return name.startswith("/") or re.match(r"[A-Za-z]:[\\/]|\\\\", name) is not None


def _find_foreign(part: Part, name: str) -> str:
    """Return the beginning of a path of another machine whose rest is a file beside the source; empty where it is none."""
    if not _is_absolute(name) or part.filesystem.exists(name):
        return ""
    base = part.path.rsplit("/", 1)[0]
    steps = name.replace("\\", "/").split("/")
    tails = ("/".join(steps[start:]) for start in range(1, len(steps)))
    there = next((tail for tail in tails if tail and part.filesystem.exists(f"{base}/{tail}")), "")
    return name[: len(name) - len(there)] if there else ""


def _spell_as_on_disk(folder: str, name: str) -> str | None:
    """Return a path below a local folder as the disk spells it; None where no file or more than one is meant.

    A table may write names in another case (Windows), or with accents apart (macOS).
    """
    place = Path(folder)
    for step in filter(None, name.split("/")):
        if not os.path.lexists(place / step):
            if not place.is_dir():
                return None
            found = _index_folder(place, place.stat().st_mtime_ns).get(_fold(step), ())
            if len(found) != 1:
                return None
            place /= found[0]
        else:
            place /= step
    return place.relative_to(folder).as_posix()


# A table names files of a few folders, one after another.
@lru_cache(maxsize=64)
def _index_folder(folder: Path, changed: int) -> dict[str, tuple[str, ...]]:  # noqa: ARG001 (a folder that changed is read again)
    found = defaultdict(list)
    for path in folder.iterdir():
        found[_fold(path.name)].append(path.name)
    return {key: tuple(names) for key, names in found.items()}


def _fold(name: str) -> str:
    """Return what two spellings of a name share.

    >>> _fold("Ka\u0308se.JPG") == _fold("k\u00e4se.jpg")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
