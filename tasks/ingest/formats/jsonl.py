"""Read JSON Lines: one object a line; the columns are those that any line has, and those of nested objects as `a.b`.

A column that mixes kinds of values is read as text. NaN, as Python writes it, is a missing value.
"""

import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.json as pajson

from tasks.errors import InputError
from tasks.ingest.label_studio import LABEL_NOTE
from tasks.ingest.nested import flatten_objects
from tasks.ingest.prodigy import is_doccano, is_prodigy, list_answers
from tasks.ingest.reading import FileReader, explain_damage, number_lines
from tasks.ingest.source import Part
from tasks.ingest.temporary_files import open_temporary_part, write_value
from tasks.ingest.text.json_values import DECODER
from tasks.ingest.text.lines import check_text, check_utf8, open_text, read_line_blocks

SUFFIXES, GZIP, TYPED = (".jsonl", ".ndjson"), True, True

LISTED = "write an array of objects, or one object a line"

_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}
# How Arrow names a column whose values do not fit together, within one block and between two.
_NAMED = re.compile(r"Column\(/([^/)]+)[^)]*\) changed|Field (.+) has incompatible types")


# Columns of several kinds of values, which are read as text, with what there is to say of each; None where all lines are even.
Uneven = dict[str, str] | None


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:
    """Open a JSON Lines file, or the labels that an annotation tool wrote as one.

    Raises:
        InputError: It is not UTF-8 text, empty, a line is no JSON object, or labels or ids are of several kinds.
    """
    with explain_damage(part, "JSON Lines"):
        head = check_text(part, "JSON Lines")
        first = next(_read_lines(part))[1].removeprefix(b"\xef\xbb\xbf")
    if b'"_task_hash"' in first or b'"annotations"' in first:
        with suppress(ValueError, RecursionError):
            found = json.loads(first)
            if is_prodigy(found) or is_doccano(found):
                return _open_answers(part, as_text)
    if head.lstrip().startswith(b"["):
        raise part.problem("a JSON array, not JSON Lines", fix="write one object a line")
    return _open_lines(part, as_text)


def open_objects(
    part: Part,
    rows: Iterable[Any],
    place: Callable[[int], str],
    as_text: frozenset[str],
    notes: tuple[str, ...] = (),
    metadata: dict[str, str] | None = None,
) -> FileReader:
    """Write rows as JSON Lines, and return the reader of those; messages say where a row is in the file.

    Raises:
        InputError: There are no rows, or one is no object.
    """
    count = 0
    with open_temporary_part(part, ".jsonl") as (made, file):
        for count, row in enumerate(rows, start=1):
            if not isinstance(row, dict):
                raise part.problem(f"{place(count - 1)} is not a JSON object", fix=LISTED)
            file.write(json.dumps(row, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")
    if not count:
        raise part.problem("holds no rows", fix=LISTED)

    def find_row(text: str) -> str:
        return re.sub(r"\bline (\d+)", lambda found: place(int(found[1]) - 1), text)

    try:
        reader = open_part(made, as_text)
    except InputError as error:
        raise part.problem(find_row(error.what), fix=error.fix) from error
    said = map(find_row, reader.notes)
    return reader.standing_for(part, place, (*notes, *said), metadata or reader.schema.metadata)


def _open_answers(part: Part, as_text: frozenset[str]) -> FileReader:
    """Return the reader of what an annotation tool wrote: a row for each answer that is a label."""
    numbered = [(number, _parse_object(part, number, line)) for number, line in _read_lines(part)]
    answers = list_answers([item for _, item in numbered])
    found = [(number, row) for (number, _), row in zip(numbered, answers, strict=True) if row is not None]
    if not found:
        raise part.problem("no question in it was answered", fix="export it again")
    left = len(numbered) - len(found)
    said = (f"{left:,} of {len(numbered):,} questions have no answer that is a label, and are left out",)
    rows, notes = (row for _, row in found), said if left else ()
    return open_objects(
        part, rows, lambda row: f"line {found[row][0]}", as_text, notes, {LABEL_NOTE: "label"}
    )


def _open_lines(part: Part, as_text: frozenset[str]) -> FileReader:
    """Infer the types of the columns by reading the file once."""
    with explain_damage(part, "JSON Lines"):
        texts: Uneven = None
        try:
            nested = _infer_types(part, texts)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError):
            check_utf8(part)
            nested, texts = _infer_uneven(part, _find_uneven_columns(part, as_text), as_text)

    def scan(names: list[str], _: int) -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([nested.field(name) for name in names])
        with explain_damage(part, "JSON Lines"), open_text(part) as file:
            for block in read_line_blocks(file):
                yield from _parse(_make_even(block, texts), wanted, "ignore").select(names).to_batches()

    notes = tuple((texts or {}).values())
    return flatten_objects(FileReader(part, nested, scan, number_lines(_read_lines(part)), notes))


def _infer_uneven(part: Part, texts: Uneven, as_text: frozenset[str]) -> tuple[pa.Schema, Uneven]:
    """Return the types of columns of which some are uneven; those that are uneven within lists or objects are found here."""
    while True:
        try:
            return _infer_types(part, texts), texts
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            found = _NAMED.search(str(error))
            name = next(filter(None, found.groups()), "") if found else ""
            if not name or name in (texts or ()) or name in as_text:
                raise
            said = f"column '{name}' holds lists or objects of several kinds, and is read as text"
            texts = {**(texts or {}), name: said}


def _make_even(block: bytes, texts: Uneven) -> bytes:
    """Return lines in which each column has one kind of value, and what is not a number is missing."""
    if texts is None:
        return block
    rows = [
        json.loads(line, parse_constant=DECODER.parse_constant) for line in block.splitlines() if line.strip()
    ]
    even = (row | {name: write_value(row[name]) for name in texts.keys() & row.keys()} for row in rows)
    return b"\n".join(json.dumps(row).encode() for row in even)


def _infer_types(part: Part, texts: Uneven) -> pa.Schema:
    schema = pa.schema([])
    with open_text(part) as file:
        for block in read_line_blocks(file):
            block.decode()
            found = _parse(_make_even(block, texts), None, "infer").schema
            # The parser takes text that looks like a time for one; text stays as it is written.
            plain = [
                field.with_type(pa.string()) if pa.types.is_timestamp(field.type) else field
                for field in found
            ]
            schema = pa.unify_schemas([schema, pa.schema(plain)], promote_options="permissive")
    return schema


def _parse(block: bytes, schema: pa.Schema | None, unexpected: str) -> pa.Table:
    if not block.strip():
        return (schema or pa.schema([])).empty_table()
    return pajson.read_json(
        io.BytesIO(block),
        # The whole block at once: a line may not straddle two of the parser's own.
        read_options=pajson.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected),
    )


def _read_lines(part: Part) -> Iterator[tuple[int, bytes]]:
    with open_text(part) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def _find_uneven_columns(part: Part, as_text: frozenset[str]) -> Uneven:
    """Return the columns whose values are of several kinds; None where values are not what Arrow refuses.

    Raises:
        InputError: A line is no object, or labels or ids mix values with lists or objects.
    """
    first: dict[str, tuple[str, int]] = {}
    texts: dict[str, str] = {}
    gaps: set[str] = set()
    for number, line in _read_lines(part):
        for name, item in _parse_object(part, number, line).items():
            kind = _KINDS.get(type(item))
            if isinstance(item, float) and math.isnan(item):
                gaps.add(name)
            elif kind and first.setdefault(name, (kind, number))[0] != kind:
                expected, before = first[name]
                what = f"{kind} where line {before} has {expected}"
                if name in as_text and {kind, expected} & {"a list", "an object"}:
                    raise part.problem(
                        f"line {number}, column '{name}': {what}", fix="use one kind of value in a column"
                    )
                texts.setdefault(name, f"column '{name}' is read as text: line {number} has {what}")
    beside_others = any(name in first and first[name][0] != _KINDS[float] for name in gaps)
    return texts if texts or beside_others else None


def _parse_object(part: Part, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise part.problem(f"line {number} is not JSON ({error})", fix="write one object a line") from error
    if not isinstance(value, dict):
        raise part.problem(f"line {number} is not a JSON object", fix="write one object a line")
    return value
