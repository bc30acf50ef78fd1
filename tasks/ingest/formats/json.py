"""Read JSON: an array of objects, objects one after the other, or a document that holds a table.

A document is an object with one list of objects in it, or what pandas writes: by columns, by index, split, as a table.
"""

import io
import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import Any

from tasks.errors import list_names
from tasks.ingest.formats import jsonl
from tasks.ingest.formats.jsonl import LISTED
from tasks.ingest.label_studio import is_label_studio, read_export
from tasks.ingest.reading import FileReader, explain_damage, make_format_error
from tasks.ingest.source import Part
from tasks.ingest.text import json_values
from tasks.ingest.text.json_values import read_values
from tasks.ingest.text.lines import check_text, open_text

SUFFIXES, GZIP, TYPED = (".json",), True, True

# What names a column in an object that describes it.
_NAMES = ("name", "id", "title", "field", "fieldName", "label")
# Objects under names of their own are rows where there are so many.
_LEAST_ROWS = 10
# Where a document has several lists of objects, one that is called so is the table.
_TABLES = ("data", "records", "rows", "items", "samples", "examples", "instances")


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:
    """Open a JSON file.

    Raises:
        InputError: It is not UTF-8 text, not JSON, or holds no table.
    """
    with explain_damage(part, "JSON"):
        head = check_text(part, "JSON").removeprefix(b"\xef\xbb\xbf").lstrip()
        if head[:1] not in b'{["-0123456789tfnNI':
            raise make_format_error(part, "JSON", head)
        if head.startswith(b"{") and _are_lines(part):
            return jsonl.open_part(part, as_text)
        values = _read_values(part)
        first = list(islice(values, 2))
    rows, notes = _find_rows(part, first, values, array=head.startswith(b"["))
    found = list(islice(rows, 1))
    if found and is_label_studio(found[0]):
        export = read_export([*found, *rows], part)
        return jsonl.open_objects(part, export.rows, export.place, as_text, export.notes, export.metadata)
    return jsonl.open_objects(part, chain(found, rows), lambda row: f"record {row + 1}", as_text, notes)


def _are_lines(part: Part) -> bool:
    """Return whether the first line is a whole object and another line follows."""
    with open_text(part) as file:
        lines = (line.removeprefix(b"\xef\xbb\xbf").strip() for line in file)
        first = list(islice(filter(None, lines), 2))
    try:
        return len(first) == 2 and isinstance(json.loads(first[0]), dict) and first[1].startswith(b"{")
    except (ValueError, RecursionError):
        return False


def _read_values(part: Part) -> Iterator[Any]:
    """Yield the items of an array at the top, or the values that follow each other.

    Raises:
        InputError: Something is not JSON, or follows the array.
    """
    with open_text(part) as file, io.TextIOWrapper(file, encoding="utf-8-sig") as text:
        buffer = text.read(json_values.CHUNK)
        array = buffer.lstrip().startswith("[")
        start = buffer.index("[") + 1 if array else 0
        for before, written, value in read_values(part, text, buffer, start, array=array):
            if written:
                yield value
            elif rest := before.partition("]")[2].strip():
                raise part.problem(f"more text follows the end of its array ({rest[:20]!r})", fix=LISTED)


def _find_rows(
    part: Part, first: Sequence[Any], rest: Iterator[Any], *, array: bool
) -> tuple[Iterator[Any], tuple[str, ...]]:
    """Return the rows of what the file holds, and what there is to say about it."""
    if array and first and isinstance(first[0], list):
        rows = _name_values({}, [*first, *rest])
        if rows is None:
            raise part.problem("an array of arrays has no names of columns", fix=LISTED)
        return rows, ()
    if array or len(first) > 1:
        return chain(first, rest), ()
    document = first[0] if first else None
    if not isinstance(document, dict):
        raise part.problem("holds no list of objects", fix=LISTED)
    return _find_document_rows(part, document)


def _find_document_rows(part: Part, document: dict[str, Any]) -> tuple[Iterator[Any], tuple[str, ...]]:
    if {"images", "annotations", "categories"} <= document.keys():
        raise part.problem(
            "a COCO file of object detection: boxes have no label that can be swept",
            fix="cut the objects out, one image each, and sweep the folder of them",
        )
    columns, data = document.get("columns"), document.get("data")
    if isinstance(columns, list) and isinstance(data, list) and not any(isinstance(c, dict) for c in columns):
        return _read_split(part, columns, data), ()
    arrays = [value for value in document.values() if _are_arrays(value)]
    named_values = _name_values(document, arrays[0]) if len(arrays) == 1 else None
    if named_values is not None:
        return named_values, ()
    lists = _find_lists(document)
    rows = None if lists else _read_pandas(document)
    path = find_table_path(document)
    if rows is None and path is not None:
        for name in path:
            document = document[name]
        return iter(document), (f"the list under '{'.'.join(path)}' is read",)
    if len(lists) > 1:
        raise part.problem(
            f"holds several lists of objects ({list_names(list(lists))})",
            fix="write the one to be swept as an array",
        )
    if rows is None:
        raise part.problem("holds one object, which is no table", fix=LISTED)
    return rows, ()


def find_table_path(document: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the keys that lead to the list of objects that is the table of a document, None where no single one is.

    >>> find_table_path({"took": 3, "hits": {"total": 1, "hits": [{"x": 1}]}}), find_table_path({"train": [{}], "test": [{}]})
    (('hits', 'hits'), None)
    """
    lists = _find_lists(document)
    named = [name for name in lists if name in _TABLES] if len(lists) > 1 else list(lists)
    if lists:
        return (named[0],) if len(named) == 1 else None
    objects = ((name, value) for name, value in document.items() if isinstance(value, dict))
    inner = [(name, *path) for name, value in objects if (path := find_table_path(value))]
    return inner[0] if len(inner) == 1 else None


def _find_lists(document: dict[str, Any]) -> dict[str, Any]:
    """Return the lists of objects in a document."""
    lists = {name: value for name, value in document.items() if isinstance(value, list) and value}
    return {name: value for name, value in lists.items() if all(isinstance(item, dict) for item in value)}


def _read_split(part: Part, columns: list[Any], data: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table that pandas wrote as `split`."""
    for number, row in enumerate(data, 1):
        if not isinstance(row, list) or len(row) != len(columns):
            raise part.problem(
                f"record {number}: it does not have one value for each of the {len(columns)} columns",
                fix="write the file again",
            )
        yield dict(zip(map(str, columns), row, strict=True))


def _read_pandas(document: dict[str, Any]) -> Iterator[dict[str, Any]] | None:
    """Return the rows of a table as pandas writes it: `columns`, `index` or a dictionary of lists; else None."""
    values = list(document.values())
    if not values:
        return iter(())
    if all(isinstance(value, list) for value in values) and len({len(value) for value in values}) == 1:
        return (dict(zip(document, row, strict=True)) for row in zip(*values, strict=True))
    return _read_objects(document) if all(isinstance(value, dict) for value in values) else None


def _read_objects(document: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]] | None:
    """Return the rows of a document of objects: one for each column, or one for each row; None where it is neither."""
    values = list(document.values())
    keys = [list(value) for value in values]
    same = all(key == keys[0] for key in keys)
    # By columns, the inner names are those of rows, and the same in every column; by index, the outer ones are.
    if same and (all(key.isdecimal() for key in keys[0]) or len(keys[0]) > len(values)):
        return ({name: document[name][row] for name in document} for row in keys[0])
    if all(key.isdecimal() for key in document):
        return iter(values)
    known = set(keys[0])
    if len(values) < _LEAST_ROWS or not all(known & value.keys() for value in values):
        return None
    return ({"key": name, **value} for name, value in document.items())


def _are_arrays(value: Any) -> bool:  # noqa: ANN401 (any value of JSON)
    return isinstance(value, list) and bool(value) and all(isinstance(item, list) for item in value)


def _name_values(document: dict[str, Any], arrays: list[list[Any]]) -> Iterator[dict[str, Any]] | None:
    """Return the rows of arrays whose columns a list of the document or the first array names, None where none does.

    Open data portals write the names as objects, at some depth; spreadsheets on the web leave out empty cells at the end.
    """
    if not all(isinstance(row, list) for row in arrays):
        return None
    width = max(map(len, arrays))
    names = next((found for found in _list_names(document) if len(found) == width), None)
    if names is None and len(arrays) > _LEAST_ROWS and all(isinstance(name, str) for name in arrays[0]):
        # A row of texts is a header where some column has no text below it.
        below = zip(*(row for row in arrays[1:] if len(row) == width), strict=True)
        if len(arrays[0]) == width and any(not any(isinstance(v, str) for v in column) for column in below):
            names, arrays = arrays[0], arrays[1:]
    if names is None or len(set(names)) < len(names):
        return None
    return (dict(zip_longest(names, row)) for row in arrays)


def _list_names(value: Any) -> Iterator[list[str]]:  # noqa: ANN401 (any value of JSON)
    """Yield each list of names, at any depth."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _list_names(inner)
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield value
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for key in _NAMES:
            if all(isinstance(item.get(key), str) for item in value):
                yield [item[key] for item in value]
