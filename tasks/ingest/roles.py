"""Which column means what: what the user named, and what can be told from names and types alone."""

import difflib
import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.table import SourceTable
from tasks.records import Payload, Source

log = logging.getLogger("labelsweep.ingest")

CANONICAL = ("sample_id", "label", "features", "content_hash", "source_row", "image", "trusted")
# A truth that nobody named must not become a feature of the very model that is to find the errors.
TRUTH_NAME = "true_label"
# Numbers of these names say which row it is, not what is in it: ids, and the row numbers that pandas writes.
_IDENTIFIES = re.compile(r"(id|index|sample_id|source_row|__index_level_\d+__|unnamed: \d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Roles:
    """Columns by their meaning.

    Attributes:
        label: Column of the given label.
        id: Column of the user's ids, if there is one.
        trusted: Column that says whether the label is verified.
        truth: Column of the true label; nothing but the file of truths may hold it.
        payload: What a sample is.
        content: The columns that the model sees: many numeric ones, or one embedding, or one image.
        kept: The user's own columns, each with the name under which it is kept.
    """

    label: str
    id: str | None
    trusted: str | None
    truth: str | None
    payload: Payload
    content: tuple[str, ...]
    kept: dict[str, str]


def assign_roles(source: Source, table: SourceTable) -> Roles:
    """Return the meaning of each column.

    Raises:
        InputError: A named column does not exist or cannot mean that, or there is nothing to learn from.
    """
    schema = table.schema
    named = {"label": source.label, "id": source.id, "trusted": source.trusted, "truth": source.truth}
    given = {role: name for role, name in named.items() if name is not None}
    for role, name in given.items():
        _check_exists(role, name, schema, source.uri)
    for role, name in given.items():
        other = next((r for r, n in given.items() if n == name and r != role), None)
        if other:
            raise InputError(
                f"column '{name}' is named as {role} and as {other}",
                where=source.uri,
                fix="name two different columns",
            )
    payload, content = _content(source, schema, set(given.values()))
    taken = {*given.values(), *(content if payload != "tabular" else ())}
    kept = _kept_names(
        [name for name in schema.names if name not in taken and name not in _left_out(source, content)]
    )
    _tell(source, schema, payload, content)
    return Roles(source.label, source.id, source.trusted, source.truth, payload, content, kept)


def is_numeric(kind: pa.DataType) -> bool:
    """Return whether every value of the type is a number (true and false count as 1 and 0)."""
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    """Return whether the type is any kind of list."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_embedding(kind: pa.DataType) -> bool:
    """Return whether the type is a list of numbers."""
    return is_list(kind) and is_numeric(kind.value_type) and not pa.types.is_boolean(kind.value_type)


def is_image(kind: pa.DataType) -> bool:
    """Return whether the type holds the bytes of a file, alone or in a struct (as Hugging Face does)."""
    if pa.types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return bool(position >= 0 and pa.types.is_binary(kind.field(position).type))
    return bool(pa.types.is_binary(kind))


def is_displayable(kind: pa.DataType) -> bool:
    """Return whether a value fits into a cell for a person to read."""
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind))


def _content(source: Source, schema: pa.Schema, taken: set[str]) -> tuple[Payload, tuple[str, ...]]:
    options = {"--features": source.features, "--embedding": source.embedding, "--image": source.image}
    chosen = [option for option, value in options.items() if value is not None]
    if len(chosen) > 1:
        raise InputError(
            f"{' and '.join(chosen)} exclude each other", where=source.uri, fix="name one of them"
        )
    for name in (source.features or ()) + tuple(n for n in (source.embedding, source.image) if n is not None):
        _check_exists(chosen[0].removeprefix("--"), name, schema, source.uri)
        if name in taken:
            raise InputError(
                f"column '{name}' is the label, id, trusted or truth column and cannot be {chosen[0]} too",
                where=source.uri,
                fix="leave it out",
            )
    if source.features is not None:
        return "tabular", _named_features(source, schema)
    if source.embedding is not None:
        _check_embedding(source.uri, source.embedding, schema.field(source.embedding).type)
        return "embedding", (source.embedding,)
    if source.image is not None:
        _check_image(source.uri, source.image, schema.field(source.image).type)
        return "image", (source.image,)
    return _default_content(source.uri, schema, taken)


def _named_features(source: Source, schema: pa.Schema) -> tuple[str, ...]:
    features = tuple(dict.fromkeys(source.features or ()))
    if not features:
        raise InputError(
            "--features names no column", where=source.uri, fix="name one or more, separated by commas"
        )
    for name in features:
        kind = schema.field(name).type
        if pa.types.is_null(kind):
            raise InputError(
                f"column '{name}' has no value at all", where=source.uri, fix="leave it out of --features"
            )
        if not is_numeric(kind) and not pa.types.is_string(kind):
            hint = "--embedding" if is_embedding(kind) else "--image" if is_image(kind) else "numeric columns"
            raise InputError(
                f"column '{name}' holds {kind}, not numbers", where=source.uri, fix=f"use {hint}"
            )
    return features


def _default_content(uri: str, schema: pa.Schema, taken: set[str]) -> tuple[Payload, tuple[str, ...]]:
    free = [field for field in schema if field.name not in taken and field.name != TRUTH_NAME]
    numeric = tuple(f.name for f in free if is_numeric(f.type) and not _IDENTIFIES.fullmatch(f.name))
    if numeric:
        return "tabular", numeric
    images = [field.name for field in free if is_image(field.type)]
    vectors = [field.name for field in free if is_embedding(field.type)]
    if images and vectors == ["features"]:
        vectors = []  # pixels that an earlier ingest derived from the images
    found = images + vectors
    if len(found) == 1:
        return ("image" if images else "embedding"), (found[0],)
    if found:
        named = ", ".join(
            [f"--image {name}" for name in images] + [f"--embedding {name}" for name in vectors]
        )
        raise InputError(
            "several columns could be what the model sees", where=uri, fix=f"choose one: {named}"
        )
    rest = [field.name for field in free]
    if not rest:
        raise InputError(
            "no column to learn from beside the label",
            where=uri,
            fix="add numeric columns, an embedding or an image column",
        )
    raise InputError(
        f"no numeric column to learn from; {_listed(rest)} {'hold' if len(rest) > 1 else 'holds'} no numbers",
        where=uri,
        fix="encode text as numbers, or name a column with --embedding or --image",
    )


def _check_embedding(uri: str, name: str, kind: pa.DataType) -> None:
    if not is_embedding(kind):
        raise InputError(
            f"column '{name}' holds {kind}, not lists of numbers",
            where=uri,
            fix="--embedding takes a column of lists, as Parquet or JSON Lines can hold it",
        )


def _check_image(uri: str, name: str, kind: pa.DataType) -> None:
    paths = pa.types.is_string(kind) or (pa.types.is_struct(kind) and kind.get_field_index("path") >= 0)
    if not is_image(kind) and not paths:
        raise InputError(
            f"column '{name}' holds {kind}, not images",
            where=uri,
            fix="--image takes a column of PNG or JPEG bytes, of paths, or of structs with 'bytes'",
        )


def _check_exists(role: str, name: str, schema: pa.Schema, uri: str) -> None:
    if name in schema.names:
        return
    what = (
        f"no {role} column '{name}'" if role in {"label", "id", "trusted", "truth"} else f"no column '{name}'"
    )
    lower = {other.lower().strip(): other for other in schema.names}
    close = difflib.get_close_matches(name.lower().strip(), lower, n=1)
    meant = f"did you mean '{lower[close[0]]}'? " if close else ""
    option = "" if role == "label" and name != "label" else f" with --{role}"
    raise InputError(f"{what}; it has {_listed(schema.names)}", where=uri, fix=f"{meant}name another{option}")


def _listed(names: Sequence[str]) -> str:
    """Name some columns: a person needs a few to recognise the file, not a thousand."""
    shown = ", ".join(f"'{name}'" for name in names[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown


def _left_out(source: Source, content: Iterable[str]) -> set[str]:
    return {TRUTH_NAME} - {source.truth, source.label, source.id, source.trusted} - set(content)


def _kept_names(names: list[str]) -> dict[str, str]:
    """Return the name under which each of the user's columns is kept; our own names are taken."""
    kept: dict[str, str] = {}
    used = {*CANONICAL, *names}
    for name in names:
        stored = name
        while stored in CANONICAL or (stored != name and stored in used):
            stored = f"source.{stored}"
        used.add(stored)
        kept[name] = stored
    return kept


def _tell(source: Source, schema: pa.Schema, payload: Payload, content: tuple[str, ...]) -> None:
    """Say what was decided without being asked, so that nobody is surprised by it."""
    if TRUTH_NAME in schema.names and TRUTH_NAME in _left_out(source, content):
        log.info("column '%s' is left out; --truth %s scores the queue with it", TRUTH_NAME, TRUTH_NAME)
    if payload != "tabular" or source.features is not None:
        return
    taken = {source.label, source.id, source.trusted, source.truth, TRUTH_NAME, *content}
    rest = [field.name for field in schema if field.name not in taken]
    if rest:
        log.info(
            "%d numeric columns are features; shown to the reviewer only: %s", len(content), _listed(rest)
        )


def synthetic_metadata(schema: pa.Schema) -> dict[str, object] | None:
    """Return what `synthesize` wrote about how the data were drawn, if it did."""
    text = (schema.metadata or {}).get(b"labelsweep.synthetic")
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
