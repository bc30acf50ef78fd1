"""Read JSON: an array of objects, objects one after the other, or a document that holds a table.

A document is an object with one list of objects in it, or what pandas writes: by columns, by index, split, as a table.
"""

import io
import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
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
        raise part.problem("an array of arrays has no names of columns", fix=LISTED)
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
    lists = _find_lists(document)
    named = find_table_key(document)
    if named is not None:
        return iter(lists[named]), (f"the list under '{named}' is read",)
    if len(lists) > 1:
        raise part.problem(
            f"holds several lists of objects ({list_names(list(lists))})",
            fix="write the one to be swept as an array",
        )
    columns, data = document.get("columns"), document.get("data")
    if isinstance(columns, list) and isinstance(data, list):
        return _read_split(part, columns, data), ()
    rows = _read_pandas(document)
    if rows is None:
        raise part.problem("holds one object, which is no table", fix=LISTED)
    return rows, ()


def find_table_key(document: dict[str, Any]) -> str | None:
    """Return the key of the list of objects that is the table of a document, None where no single one is."""
    lists = _find_lists(document)
    named = [name for name in lists if name in _TABLES] if len(lists) > 1 else list(lists)
    return named[0] if len(named) == 1 else None


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
    if not all(isinstance(value, dict) for value in values):
        return None
    keys = [list(value) for value in values]
    # By columns, the inner names are row numbers, and the same in every column; by index, the outer ones are.
    if all(key.isdecimal() for key in keys[0]) and all(key == keys[0] for key in keys):
        return ({name: document[name][row] for name in document} for row in keys[0])
    return iter(values) if all(key.isdecimal() for key in document) else None
