"""Read .npz, the arrays that numpy saves together: an array with a number a row is a column, a matrix is a column of vectors.

Arrays are unpacked to temporary files, which numpy maps: none has to fit into memory. Those of Python objects are never loaded,
since loading them can run code.
"""

import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from tasks.errors import list_names
from tasks.ingest.images.pixels import CHANNELS
from tasks.ingest.reading import HEAD, FileReader, explain_damage, make_format_error
from tasks.ingest.source import Part

SUFFIXES, GZIP, TYPED = (".npz", ".npy"), False, True

_ZIP, _NPY = b"PK\x03\x04", b"\x93NUMPY"
# What scipy writes for a sparse matrix in rows or columns.
_SPARSE = {"indices", "indptr", "data", "shape"}
# Kinds of numpy types that become columns: truth values, integers, numbers, text, bytes, moments.
_KINDS = "biufUSM"
# An image has more pixels than a vector that numpy keeps as a matrix of one row, or a table of a few numbers.
_LEAST_SIDE = 4
_TOGETHER = "save vectors and labels together: np.savez('data.npz', embedding=X, label=y)"

Values = np.ndarray[Any, Any]


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:
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
        raise make_format_error(part, "an array of numpy's", head)
    found = _unpack(part)
    if found.keys() >= _SPARSE:
        fix = "save its rows beside the labels: np.savez('data.npz', embedding=X.toarray(), label=y)"
        raise part.problem("a sparse matrix as scipy saves it, without labels", fix=fix)
    rows = _count_samples(part, found, as_text)
    arrays = {name: array for name, array in found.items() if array.shape[:1] == (rows,)}
    for name, array in arrays.items():
        _check(part, name, array)
    nested = {name: name in as_text and _may_be_images(array) for name, array in arrays.items()}
    empty = {name: _make_column(array[:0], nested=nested[name]) for name, array in arrays.items()}

    def scan(columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, size):
            pieces = [
                _make_column(arrays[name][start : start + size], nested=nested[name]) for name in columns
            ]
            yield pa.RecordBatch.from_arrays(pieces, names=columns)

    images = [
        name
        for name, array in arrays.items()
        if array.dtype == np.uint8 and _may_be_images(array) and sorted(array.shape[1:])[-2] >= _LEAST_SIDE
    ]
    rest = [name for name in found if name not in arrays]
    note = (f"arrays that have not {rows:,} rows are not read: {list_names(rest)}",) if rest else ()
    schema = pa.schema([(name, column.type) for name, column in empty.items()])
    return FileReader(part, schema, scan, notes=note, image=images[0] if len(images) == 1 else None)


def _unpack(part: Part) -> dict[str, Values]:
    try:
        with explain_damage(part, ".npz"), part.open() as file, zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _map_array(archive.open(name)) for name in names}
    except (ValueError, KeyError, NotImplementedError) as error:
        raise part.problem(f"damaged or truncated .npz ({str(error)[:100]})") from error


def _map_array(stream: IO[bytes]) -> Values:
    """Return an array without reading it; one of Python objects has the right shape, and nothing in it."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        read_magic: Any = npy.read_magic
        read: Any = npy.read_array_header_1_0 if read_magic(file) == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        if dtype.hasobject:
            return np.broadcast_to(np.array(None, object), shape)
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if by_columns else "C")


def _may_be_images(array: Values) -> bool:
    """Return whether a row has the shape of an image: height and width, with channels first, last or not at all."""
    row = array.shape[1:]
    return len(row) == 2 or (len(row) == 3 and (row[0] in CHANNELS or row[2] in CHANNELS))


def _count_samples(part: Part, arrays: dict[str, Values], named: frozenset[str]) -> int:
    """Return how many samples there are: as many as the array of labels has rows, or as two arrays have."""
    lengths: set[int] = {arrays[name].shape[0] for name in named if name in arrays and arrays[name].shape}
    if len(lengths) == 1:
        return lengths.pop()
    counts: Counter[int] = Counter(array.shape[0] for array in arrays.values() if array.shape)
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


def _check(part: Part, name: str, array: Values) -> None:
    if array.dtype.hasobject:
        raise part.problem(
            f"array '{name}' holds Python objects, which are never loaded since that can run code",
            fix="save numbers or text: np.array(values, dtype=str)",
        )
    numbers = array.dtype.kind in "biuf" and 0 not in array.shape[1:]
    if array.dtype.kind not in _KINDS or (np.prod(array.shape[1:]) != 1 and not numbers):
        raise part.problem(
            f"array '{name}' holds {array.dtype} in the shape {array.shape}, which is no column",
            fix="save it as numbers or text, a row for each sample",
        )


def _make_column(rows: Values, *, nested: bool) -> pa.Array:
    """Return some rows as a column: of values, of vectors, or of lists within lists."""
    width = int(np.prod(rows.shape[1:]))
    values = _convert_to_arrow(np.ascontiguousarray(rows).ravel())
    for size in reversed(rows.shape[1:] if nested else (width,) if width != 1 else ()):
        values = pa.ListArray.from_arrays(np.arange(0, len(values) + 1, size, dtype=np.int32), values)
    return values


def _convert_to_arrow(values: Values) -> pa.Array:
    kind = values.dtype.kind
    if kind in "US":
        text = values if kind == "U" else np.char.decode(values, "utf-8", "replace")
        return pa.array(text.tolist(), pa.string())
    if kind == "M":
        return pa.array(values.astype("datetime64[us]"))
    if kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64)
    return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))
