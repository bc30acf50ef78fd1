"""Read .npz, the arrays that numpy saves together: an array with a number a row is a column, a matrix is a column of vectors.

Rows are read as they are needed. Arrays of Python objects are never loaded, since loading them can run code.
"""

import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from tasks.errors import list_names
from tasks.ingest.images.pixels import CHANNELS
from tasks.ingest.reading import HEAD, explain_damage, wrong_format_error
from tasks.ingest.source import Part

SUFFIXES, GZIP, TYPED = (".npz", ".npy"), False, True

_ZIP, _NPY = b"PK\x03\x04", b"\x93NUMPY"
# Kinds of numpy types that become columns: truth values, integers, numbers, text, bytes, moments.
_KINDS = "biufUSM"
# An image has more pixels than a vector that numpy keeps as a matrix of one row, or a table of a few numbers.
_LEAST_SIDE = 4
_TOGETHER = "save vectors and labels together: np.savez('data.npz', embedding=X, label=y)"


@dataclass(frozen=True)
class _Array:
    """What the header of one array says."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: Any
    nested: bool = False

    @property
    def width(self) -> int:
        """Numbers in one row."""
        return int(np.prod(self.shape[1:], dtype=np.int64))

    @property
    def type(self) -> pa.DataType:
        """Type of the column."""
        value = _as_arrow(np.empty(0, self.dtype)).type
        for _ in self.sizes:
            value = pa.list_(value)
        return value

    @property
    def sizes(self) -> tuple[int, ...]:
        """How long the lists of a row are, the outer one first."""
        if self.nested:
            return self.shape[1:]
        return (self.width,) if self.width != 1 else ()

    @property
    def may_be_images(self) -> bool:
        """Whether the shape of a row is that of an image: height and width, with channels first, last or not at all."""
        row = self.shape[1:]
        return len(row) == 2 or (len(row) == 3 and (row[0] in CHANNELS or row[2] in CHANNELS))


@dataclass(frozen=True)
class ArraysReader:
    """One .npz file: its arrays with as many rows as there are samples."""

    part: Part
    arrays: dict[str, _Array]
    notes: tuple[str, ...] = ()

    @property
    def image(self) -> str | None:
        """The one array of bytes whose rows have the shape of images."""
        found = [
            name
            for name, array in self.arrays.items()
            if array.dtype == np.uint8 and array.may_be_images and sorted(array.shape[1:])[-2] >= _LEAST_SIDE
        ]
        return found[0] if len(found) == 1 else None

    @property
    def schema(self) -> pa.Schema:
        """The arrays by their names."""
        return pa.schema([(name, array.type) for name, array in self.arrays.items()])

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        with _archive(self.part) as archive, ExitStack() as stack:
            members = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in columns}
            pieces = {name: _rows(members[name], self.arrays[name], rows) for name in columns}
            total = next(iter(self.arrays.values())).shape[0]
            for _ in range(0, total, rows):
                found = [_column(next(pieces[name]), self.arrays[name]) for name in columns]
                yield pa.RecordBatch.from_arrays(found, schema=schema)

    def place(self, row: int) -> str:
        """Return how a person finds the row."""
        return f"row {row + 1}"


def open_part(part: Part, as_text: frozenset[str]) -> ArraysReader:
    """Open an .npz file.

    Args:
        as_text: Columns of labels, ids and images: the arrays with as many rows as labels are read, and images keep their shape.

    Raises:
        InputError: It is a lone array, no .npz, or its arrays do not belong together.
    """
    with explain_damage(part, ".npz"), part.open() as file:
        head = file.read(HEAD)
    if head.startswith(_NPY):
        raise part.problem("an .npy file holds one array and no labels", fix=_TOGETHER)
    if not head.startswith(_ZIP):
        raise wrong_format_error(part, "an array of numpy's", head)
    with _archive(part) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        found = {name.removesuffix(".npy"): _header(archive.open(name)) for name in names}
    rows = _rows_of_samples(part, found, as_text)
    chosen = {name: array for name, array in found.items() if array.shape[:1] == (rows,)}
    for name, array in chosen.items():
        _check(part, name, array)
    chosen = {
        name: replace(array, nested=name in as_text and array.may_be_images) for name, array in chosen.items()
    }
    rest = [name for name in found if name not in chosen]
    note = (f"arrays that have not {rows:,} rows are not read: {list_names(rest)}",) if rest else ()
    return ArraysReader(part, chosen, note)


def _rows_of_samples(part: Part, arrays: dict[str, _Array], named: frozenset[str]) -> int:
    """Return how many samples there are: as many as the array of labels has rows, or as two arrays have."""
    lengths = {arrays[name].shape[0] for name in named if name in arrays and arrays[name].shape}
    if len(lengths) == 1:
        return lengths.pop()
    counts = Counter(array.shape[0] for array in arrays.values() if array.shape)
    several = [rows for rows, arrays_of in counts.items() if arrays_of > 1]
    if len(several) == 1:
        return several[0]
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if len(several) > 1:
        raise part.problem(
            f"its arrays have different numbers of rows: {shapes}",
            fix="name the array of labels with --label: the arrays with as many rows are read",
        )
    raise part.problem(f"no two arrays have as many rows: {shapes}", fix=_TOGETHER)


def _check(part: Part, name: str, array: _Array) -> None:
    if array.dtype.hasobject:
        raise part.problem(
            f"array '{name}' holds Python objects, which are never loaded since that can run code",
            fix="save numbers or text: np.array(values, dtype=str)",
        )
    if array.dtype.kind not in _KINDS or (array.width != 1 and array.dtype.kind not in "biuf"):
        raise part.problem(
            f"array '{name}' holds {array.dtype} in the shape {array.shape}, which is no column",
            fix="save it as numbers or text, a row for each sample",
        )


@contextmanager
def _archive(part: Part) -> Iterator[zipfile.ZipFile]:
    try:
        with explain_damage(part, ".npz"), part.open() as file, zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, ValueError, KeyError, NotImplementedError) as error:
        raise part.problem(f"damaged or truncated .npz ({str(error)[:100]})") from error


def _header(stream: IO[bytes]) -> _Array:
    version = npy.read_magic(stream)  # type: ignore[no-untyped-call]
    read: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return _Array(*read(stream))


def _rows(stream: IO[bytes], array: _Array, rows: int) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the array some rows at a time; one that numpy keeps column by column is read whole."""
    _header(stream)
    each = array.width * array.dtype.itemsize
    whole = None
    if array.by_columns and len(array.shape) > 1:
        data = np.frombuffer(_read_exactly(stream, each * array.shape[0]), array.dtype)
        whole = data.reshape(array.shape, order="F").reshape(array.shape[0], array.width)
    for start in range(0, array.shape[0], rows):
        count = min(rows, array.shape[0] - start)
        if whole is not None:
            yield whole[start : start + count]
        else:
            data = np.frombuffer(_read_exactly(stream, each * count), array.dtype)
            yield data.reshape(count, array.width)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("an array ends too early")
    return data


def _column(rows: np.ndarray[Any, Any], array: _Array) -> pa.Array:
    values = _as_arrow(rows.ravel())
    for size in reversed(array.sizes):
        offsets = np.arange(0, len(values) + 1, size, dtype=np.int32)
        values = pa.ListArray.from_arrays(pa.array(offsets), values)
    return values


def _as_arrow(values: np.ndarray[Any, Any]) -> pa.Array:
    kind = values.dtype.kind
    if kind in "US":
        text = values if kind == "U" else np.char.decode(values, "utf-8", "replace")
        return pa.array(text.tolist(), pa.string())
    if kind == "M":
        return pa.array(values.astype("datetime64[us]"))
    if kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64)
    return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))
