"""Values within objects as columns of their own: `a.b` is the value of b in the object a, or in the only object of the list a."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.columns.types import NESTED, is_list
from tasks.ingest.reading import FileReader

Path = tuple[str, ...]
# Rows that are looked at together.
_ROWS = 2**16


def flatten_objects(reader: FileReader) -> FileReader:
    """Return a reader with a column for each value within an object; an image stays one column."""
    if reader.paths or not any(pa.types.is_nested(field.type) for field in reader.schema):
        return reader
    columns = {_name_column(path): (path, kind) for path, kind in _list_columns(reader)}
    paths = {name: path for name, (path, _) in columns.items()}
    if [*columns.items()] == [(field.name, ((field.name,), field.type)) for field in reader.schema]:
        return replace(reader, paths=paths)
    plain = set(reader.schema.names)
    fields = [
        pa.field(name, kind, metadata=None if name in plain else NESTED)
        for name, (path, kind) in columns.items()
    ]

    def scan(names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        wanted = [columns[name] for name in names]
        for batch in reader.scan(list(dict.fromkeys(path[0] for path, _ in wanted)), rows):
            arrays = [_reach_value(batch.column(first), rest, kind) for (first, *rest), kind in wanted]
            yield pa.RecordBatch.from_arrays(arrays, names=names)

    return replace(reader, schema=pa.schema(fields, reader.schema.metadata), scan=scan, paths=paths)


def _name_column(path: Path) -> str:
    """Return the name of a column; what MongoDB writes as an object with a type, such as {"$date": …}, is a value.

    >>> _name_column(("meta", "kind")), _name_column(("when", "$date"))
    ('meta.kind', 'when')
    """
    return ".".join(name for name in path if not name.startswith("$")) or ".".join(path)


def take_first(lists: pa.Array) -> pa.Array:
    """Return the first item of each list, null where there is none.

    >>> take_first(pa.array([["a", "b"], [], None, ["c"]])).to_pylist()
    ['a', None, None, 'c']
    """
    rows = pa.array(np.arange(len(lists)))
    return pc.list_flatten(lists).take(
        pc.index_in(rows, value_set=pc.list_parent_indices(lists).cast(rows.type))
    )


def _list_columns(reader: FileReader) -> Iterator[tuple[Path, pa.DataType]]:
    """Yield path and type of each column, with what lies within objects one by one."""
    several, plain = _find_long_lists(reader), set(reader.schema.names)
    waiting: list[tuple[Path, pa.DataType]]
    waiting = [((field.name,), field.type) for field in reversed(list(reader.schema))]
    while waiting:
        path, kind = waiting.pop()
        while _holds_objects(kind) and path not in several:
            kind = kind.value_type
        inner = list(kind) if pa.types.is_struct(kind) else []
        names = {field.name for field in inner}
        clash = any(f"{'.'.join(path)}.{name}" in plain for name in names)
        if not inner or names & {"bytes", "path"} or clash:
            yield path, kind
        else:
            waiting += [((*path, field.name), field.type) for field in reversed(inner)]


def _holds_objects(kind: pa.DataType) -> bool:
    return is_list(kind) and (is_list(kind.value_type) or pa.types.is_struct(kind.value_type))


def _find_long_lists(reader: FileReader) -> set[Path]:
    """Return where lists of objects or of lists have several items in some row."""
    names = [field.name for field in reader.schema if _has_list_of_objects(field.type)]
    found: set[Path] = set()
    for batch in reader.batches(names, _ROWS) if names else ():
        for name in names:
            found.update(_list_long((name,), batch.column(name)))
    return found


def _has_list_of_objects(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_has_list_of_objects(field.type) for field in kind)
    return _holds_objects(kind)


def _list_long(path: Path, column: pa.Array) -> Iterator[Path]:
    if is_list(column.type):
        if (pc.max(pc.list_value_length(column)).as_py() or 0) > 1:
            yield path
        elif _holds_objects(column.type):
            yield from _list_long(path, pc.list_flatten(column))
    elif pa.types.is_struct(column.type):
        for field in column.type:
            yield from _list_long((*path, field.name), pc.struct_field(column, field.name))


def _reach_value(column: pa.Array, path: list[str], kind: pa.DataType) -> pa.Array:
    """Return what lies at a path within a column; in an object that is missing, all values are."""
    for name in path:
        while is_list(column.type):
            column = take_first(column)
        column = pc.struct_field(column, name)
    while column.type != kind:
        column = take_first(column)
    return column
