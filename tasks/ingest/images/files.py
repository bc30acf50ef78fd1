"""The files of a column of images: bytes, paths, addresses, base64, or pixels written as numbers."""

import base64
import binascii
import errno
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.columns.types import is_image
from tasks.ingest.images import pixels
from tasks.ingest.source import Part, explain_access_errors, is_image_file
from tasks.ingest.table import SourceTable

_BATCH = 256
# What tells paths, base64 and numbers apart; mixed columns are told by each value's own form.
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

Kind = Literal["file", "base64", "list", "numbers"]


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
        white: The number that stands for white, where images are numbers.
        by_name: Image files near the source, where the column has bare names.
    """

    table: SourceTable
    column: str
    kind: Kind
    white: float = 255.0
    by_name: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def read(self, column: pa.Array, first_row: int) -> list[File]:
        """Return the file of each row, why there is none, or None where nothing is named."""
        if self.kind in ("list", "numbers"):
            found = self._pixels(column)
            return [
                pixels.as_file(each, self.white) if isinstance(each, np.ndarray) else each for each in found
            ]
        inside, beside = _inside_and_beside(column)
        rows = range(first_row, first_row + len(column))
        # Stores and servers are asked for several files at once.
        far = getattr(self.table.readers[0].part.filesystem, "async_impl", False)
        if not far and not any("://" in (name.as_py() or "") for name in beside):
            return list(map(self._read_one, rows, inside, beside))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self._read_one, rows, inside, beside))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided without being asked."""
        if not self.by_name:
            return ()
        return ("images are found by their names below the folder of the source",)

    def numbered(self) -> Iterator[tuple[int, bytes | UnreadImage]]:
        """Yield each image that is named, with the number of its row."""
        for row, batch in _batches(self.table, self.column):
            for offset, file in enumerate(self.read(batch, row)):
                if file is not None:
                    yield row + offset, file

    def with_white(self) -> "ImageFiles":
        """Return the same with the number that stands for white, told from all images.

        Raises:
            InputError: There is none: pixels are negative, or too large.
        """
        found = (image for _, batch in _batches(self.table, self.column) for image in self._pixels(batch))
        ranges = [(float(each.min()), float(each.max())) for each in found if isinstance(each, np.ndarray)]
        white = pixels.white_level(ranges) if ranges else 255.0
        if isinstance(white, str):
            raise self.table.problem(f"column '{self.column}': {white}", fix=f"or {_ANOTHER}")
        return replace(self, white=white)

    def _pixels(self, column: pa.Array) -> Iterator[pixels.Pixels | UnreadImage | None]:
        for value in column:
            if not value.is_valid or (self.kind == "numbers" and not value.as_py().strip()):
                yield None
                continue
            found = (
                pixels.pixels_of_list(value.values)
                if self.kind == "list"
                else pixels.pixels_of_text(value.as_py())
            )
            yield UnreadImage(f"no image: {found}", f"or {_ANOTHER}") if isinstance(found, str) else found

    def _read_one(self, row: int, inside: pa.Scalar, beside: pa.Scalar) -> File:
        if inside.is_valid:
            return bytes(inside.as_py())
        name = (beside.as_py() or "").strip() if beside.is_valid else ""
        if not name:
            return None
        if name.startswith("data:"):
            return _from_data_uri(name)
        return _from_base64(name) if self.kind == "base64" else self._read_beside(row, name)

    def _read_beside(self, row: int, name: str) -> File:
        part = self.table.part_of(row)
        try:
            return _fetch(part, name) if "://" in name else self._find(part, name)
        except (FileNotFoundError, NotADirectoryError):
            return UnreadImage(f"no such image file '{_shorten(name)}'", _what_to_do(part, name))
        except (OSError, ValueError) as error:
            # A disk or a network may be well again at the next try; what is wrong with a name stays wrong.
            wrong = isinstance(error, IsADirectoryError | PermissionError) or "\0" in name
            if not wrong and getattr(error, "errno", None) not in _WRONG_NAME:
                raise
            return UnreadImage(f"not a readable image file: '{_shorten(name)}'", _RELATIVE)

    def _find(self, part: Part, name: str) -> File:
        names = self.by_name.get(name, (name,))
        if len(names) > 1:
            what = f"{len(names)} image files are called '{_shorten(name)}'"
            return UnreadImage(what, "write paths, not bare names")
        try:
            return part.read_beside(names[0])
        except FileNotFoundError:
            spelled: str | None = name.replace("\\", "/")  # as Windows writes it
            if spelled and part.local and name[0] != "/":
                spelled = _as_on_disk(part.path.rsplit("/", 1)[0], spelled)
            if self.by_name or not spelled or spelled == name:
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


def image_files(table: SourceTable, column: str) -> ImageFiles:
    """Return how the images of a column are found, told from its type and its first values."""
    kind = table.schema.field(column).type
    if pixels.is_pixel_list(kind):
        return ImageFiles(table, column, "list").with_white()
    if not pa.types.is_string(kind):
        return ImageFiles(table, column, "file")
    values = (value.as_py() for _, batch in _batches(table, column) for value in batch if value.is_valid)
    first = list(islice((value for value in values if value.strip()), _LOOKED_AT))
    if first and all(map(pixels.is_pixel_text, first)):
        return ImageFiles(table, column, "numbers").with_white()
    if first and all(map(_is_base64, first)):
        return ImageFiles(table, column, "base64")
    return ImageFiles(table, column, "file", by_name=_by_name(table, first))


def _batches(table: SourceTable, column: str) -> Iterator[tuple[int, pa.Array]]:
    row = 0
    for batch in table.scan([column], _BATCH):
        yield row, batch.column(0)
        row += batch.num_rows


def _inside_and_beside(column: pa.Array) -> tuple[pa.Array, pa.Array]:
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


def _from_base64(text: str) -> File:
    try:
        return base64.b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        return UnreadImage(f"not base64 ({error})")


def _from_data_uri(text: str) -> File:
    head, _, body = text.partition(",")
    return _from_base64(body) if head.endswith(";base64") else unquote_to_bytes(body)


def _by_name(table: SourceTable, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the image files near the source by name and by stem, if the column has bare names that are not beside it.

    Kaggle's tables have an `image_id`, and its images are in a folder of another name.
    """
    part = table.readers[0].part
    base = part.path.rsplit("/", 1)[0] + "/"
    bare = [name for name in names if not re.search(r"[/\\]", name)]
    if not bare or len(bare) < len(names) or any(part.filesystem.exists(base + name) for name in bare):
        return {}
    found: dict[str, list[str]] = defaultdict(list)
    for path in part.filesystem.find(base, maxdepth=_DEEPEST):
        inside = path.removeprefix(base)
        if is_image_file(path) and not inside.startswith((".", "__")):
            name = inside.rsplit("/", 1)[-1]
            found[name].append(inside)
            found[name.rsplit(".", 1)[0]].append(inside)
    return {name: tuple(files) for name, files in found.items()} if any(map(found.get, bare)) else {}


def _what_to_do(part: Part, name: str) -> str:
    """Return what helps where no file is found."""
    steps = name.replace("\\", "/").split("/")
    if not name.startswith("/") and not re.match(r"[A-Za-z]:[\\/]", name):
        return _RELATIVE
    base = part.path.rsplit("/", 1)[0]
    tails = ("/".join(steps[start:]) for start in range(1, len(steps)))
    there = next((tail for tail in tails if tail and part.filesystem.exists(f"{base}/{tail}")), None)
    if there is None:
        return "this path is of another machine: write paths relative to the folder of the source"
    before = name[: len(name) - len(there)]
    return f"'{there}' is beside the source: remove '{before}' from the paths"


def _as_on_disk(folder: str, name: str) -> str | None:
    """Return a path below a local folder as the disk spells it; None where no file or more than one is meant.

    A table may write names in another case (Windows), or with accents apart (macOS).
    """
    place = Path(folder)
    for step in filter(None, name.split("/")):
        if not os.path.lexists(place / step):
            if not place.is_dir():
                return None
            found = _names(place, place.stat().st_mtime_ns).get(_fold(step), ())
            if len(found) != 1:
                return None
            place /= found[0]
        else:
            place /= step
    return place.relative_to(folder).as_posix()


# A table names files of a few folders, one after another.
@lru_cache(maxsize=64)
def _names(folder: Path, changed: int) -> dict[str, tuple[str, ...]]:  # noqa: ARG001 (a folder that changed is read again)
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
