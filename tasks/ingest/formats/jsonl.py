"""Read JSON Lines: one object a line; the columns are those that any line has, and those of nested objects as `a.b`."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from tasks.errors import InputError
from tasks.ingest.kinds import NESTED
from tasks.ingest.reading import readable
from tasks.ingest.source import Part
from tasks.ingest.text import check_text, check_utf8, lines_in_blocks, open_text

SUFFIXES, GZIP, TYPED = (".jsonl", ".ndjson"), True, True

_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


@dataclass(frozen=True)
class JsonLinesReader:
    """One JSON Lines file.

    Attributes:
        part: The file.
        nested: Columns and types as the lines have them.
        paths: Where each column lies in them.
    """

    part: Part
    nested: pa.Schema
    paths: dict[str, tuple[str, ...]]

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return pa.schema(
            [
                pa.field(name, _type_at(self.nested, path), metadata=NESTED if len(path) > 1 else None)
                for name, path in self.paths.items()
            ]
        )

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        paths = [self.paths[name] for name in columns]
        wanted = pa.schema([self.nested.field(name) for name in dict.fromkeys(path[0] for path in paths)])
        with readable(self.part, "JSON Lines"), open_text(self.part) as file:
            for block in lines_in_blocks(file):
                found = _parse(block, wanted, "ignore")
                arrays = [_at(found[path[0]], path[1:]) for path in paths]
                yield from pa.table(arrays, names=list(columns)).to_batches(max_chunksize=rows)

    def place(self, row: int) -> str:
        """Return the line of the row; blank lines make it differ from the row's number."""
        lines = (number for number, _ in _lines(self.part))
        return next((f"line {line}" for index, line in enumerate(lines) if index == row), f"row {row + 1}")


def open_part(part: Part, as_text: frozenset[str]) -> JsonLinesReader:  # noqa: ARG001 (JSON has types of its own)
    """Open a JSON Lines file and settle the types of its columns by reading it once.

    Raises:
        InputError: It is not UTF-8 text, empty, a line is no JSON object, or a column mixes kinds of values.
    """
    with readable(part, "JSON Lines"):
        head = check_text(part, "JSON Lines")
        if head.lstrip().startswith(b"["):
            raise InputError("a JSON array, not JSON Lines", where=part.shown, fix="write one object a line")
        try:
            nested = _settle_types(part)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            check_utf8(part)
            _check_lines(part)
            raise
    return JsonLinesReader(part, nested, _paths(nested))


def _paths(nested: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the columns, with those of nested objects under names such as `a.b`; an image stays one column."""
    found: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[tuple[str, ...], pa.DataType]] = [
        ((field.name,), field.type) for field in reversed(nested)
    ]
    while waiting:
        path, kind = waiting.pop()
        name = ".".join(path)
        inner = [kind.field(place) for place in range(kind.num_fields)] if pa.types.is_struct(kind) else []
        names = {field.name for field in inner}
        clash = any(f"{name}.{other}" in nested.names for other in names)
        if not inner or names & {"bytes", "path"} or clash:
            found[name] = path
        else:
            waiting += [((*path, field.name), field.type) for field in reversed(inner)]
    return found


def _type_at(nested: pa.Schema, path: tuple[str, ...]) -> pa.DataType:
    kind = nested.field(path[0]).type
    for name in path[1:]:
        kind = kind.field(name).type
    return kind


def _at(column: pa.ChunkedArray, path: tuple[str, ...]) -> pa.ChunkedArray:
    """Return the values that lie within objects; in an object that is missing, all of them are."""
    for name in path:
        column = pc.struct_field(column, name)
    return column


def _settle_types(part: Part) -> pa.Schema:
    schema = pa.schema([])
    with open_text(part) as file:
        for block in lines_in_blocks(file):
            block.decode()
            # The parser takes text that looks like a time for one; text stays as it is written.
            found = pa.schema([_untimed(field) for field in _parse(block, None, "infer").schema])
            schema = pa.unify_schemas([schema, found], promote_options="permissive")
    return schema


def _untimed(field: pa.Field) -> pa.Field:
    return field.with_type(pa.string()) if pa.types.is_timestamp(field.type) else field


def _parse(block: bytes, schema: pa.Schema | None, unexpected: str) -> pa.Table:
    if not block.strip():
        return (schema or pa.schema([])).empty_table()
    return pajson.read_json(
        io.BytesIO(block),
        # The whole block at once: a line may not straddle two of the parser's own.
        read_options=pajson.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected),
    )


def _lines(part: Part) -> Iterator[tuple[int, bytes]]:
    with open_text(part) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def _check_lines(part: Part) -> None:
    """Raise InputError at the first line that is no object, or has a value of another kind than before."""
    first: dict[str, tuple[str, int]] = {}
    for number, line in _lines(part):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"line {number} is not JSON ({error})", where=part.shown, fix="write one object a line"
            ) from error
        if not isinstance(value, dict):
            raise InputError(
                f"line {number} is not a JSON object", where=part.shown, fix="write one object a line"
            )
        for name, item in value.items():
            kind = _KINDS.get(type(item))
            if kind and first.setdefault(name, (kind, number))[0] != kind:
                expected, before = first[name]
                raise InputError(
                    f"line {number}, column '{name}': {kind} where line {before} has {expected}",
                    where=part.shown,
                    fix="use one kind of value in a column",
                )
