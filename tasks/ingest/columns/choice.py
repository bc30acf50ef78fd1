"""What the model sees of a row: what the user named, and what can be told from types and values alone."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pyarrow as pa

from tasks.errors import InputError, listed
from tasks.ingest.columns.dates import is_date
from tasks.ingest.columns.kinds import TableColumns, survey_default, survey_named
from tasks.ingest.columns.types import NESTED, is_embedding, is_image, is_numeric
from tasks.ingest.images.decode import holds_images
from tasks.ingest.images.pixels import is_pixel_list
from tasks.ingest.table import SourceTable
from tasks.ingest.vectors import is_wide, vector_columns
from tasks.records import Column, Payload, Source

# A truth that nobody named must not become a feature of the very model that is to find the errors.
TRUTH_NAME = "true_label"
# These names say which row it is, not what is in it: ids, and the row numbers that pandas writes.
_IDENTIFIES = re.compile(r"(id|index|sample_id|source_row|__index_level_\d+__|unnamed: \d+)", re.IGNORECASE)
# Columns of text that a table is learned from unasked. Each adds up to 200 directions; a title, a text and an answer are three.
MOST_TEXTS = 3
# Columns that our own ingest made of the content.
_DERIVED = ("content_hash",)


@dataclass(frozen=True)
class Choice:
    """What the model sees.

    Attributes:
        payload: What a sample is.
        content: The columns that the model sees.
        columns: What each column of a table is, in the order of `content`.
        left_out: Why a column of a table is not learned from, by its name.
        leaks: Of these, the columns that give the label away.
        suspects: Columns that are learned from though they may give the label away, each with the reason.
        notes: What a person should know of how columns are read, a line each.
    """

    payload: Payload
    content: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    leaks: dict[str, str] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def choose_content(source: Source, table: SourceTable, taken: set[str]) -> Choice:
    """Return what the model sees of a row.

    Args:
        source: What the user named.
        table: The source.
        taken: Columns that have another role.

    Raises:
        InputError: Options exclude each other, a column cannot be what it was named as, or there is nothing to learn from.
    """
    schema = table.schema
    options = {
        "--features": source.features,
        "--embedding": source.embedding,
        "--image": source.image,
        "--text": source.text,
        "--pred-probs": source.pred_probs,
    }
    chosen = [option for option, value in options.items() if value is not None]
    if len(chosen) > 1:
        raise InputError(
            f"{' and '.join(chosen)} exclude each other", where=source.uri, fix="name one of them"
        )
    probabilities = tuple(dict.fromkeys(source.pred_probs or ()))
    singles = tuple(name for name in (source.embedding, source.image, source.text) if name is not None)
    for name in (source.features or ()) + singles + probabilities:
        check_exists(chosen[0].removeprefix("--"), name, schema, source.uri, taken)
        if name in taken:
            role = "group" if name == source.group else "label, id, trusted or truth"
            raise InputError(
                f"column '{name}' is the {role} column and cannot be {chosen[0]} too",
                where=source.uri,
                fix="leave it out",
            )
    if source.pred_probs is not None:
        _check_probabilities(source.uri, probabilities, table)
        return Choice("embedding", probabilities)
    if source.features is not None:
        return _named_features(source, table)
    if source.embedding is not None:
        _check_embedding(source.uri, source.embedding, table)
        return Choice("embedding", singles)
    if source.image is not None:
        _check_image(source.uri, source.image, schema.field(source.image).type)
        return Choice("image", singles)
    if source.text is not None:
        _check_text(source.uri, source.text, table)
        return Choice("text", singles)
    return _default(source.uri, table, taken)


def check_exists(role: str, name: str, schema: pa.Schema, uri: str, taken: Iterable[str] = ()) -> None:
    """Raise InputError when there is no such column, with the name that was probably meant.

    Args:
        role: The option without its dashes.
        name: What was named.
        schema: The columns that there are.
        uri: The source.
        taken: Columns that mean something else, and cannot have been meant.
    """
    if name in schema.names:
        return
    what = (
        f"no {role} column '{name}'"
        if role in {"label", "id", "trusted", "truth", "group"}
        else f"no column '{name}'"
    )
    apart = {*taken, *(() if role == "truth" else (TRUTH_NAME,))}
    lower = {other.lower().strip(): other for other in schema.names if other not in apart}
    close = difflib.get_close_matches(name.lower().strip(), lower, n=1)
    fix = f"did you mean '{lower[close[0]]}'? Name it with --{role}" if close else f"name one with --{role}"
    raise InputError(f"{what}; it has {listed(schema.names)}", where=uri, fix=fix)


def _named_features(source: Source, table: SourceTable) -> Choice:
    features = tuple(dict.fromkeys(source.features or ()))
    if not features:
        raise InputError(
            "--features names no column", where=source.uri, fix="name one or more, separated by commas"
        )
    for name in features:
        kind = table.schema.field(name).type
        if pa.types.is_null(kind):
            raise InputError(
                f"column '{name}' has no value at all", where=source.uri, fix="leave it out of --features"
            )
        if not is_numeric(kind) and not pa.types.is_string(kind) and not is_date(kind):
            hint = "--embedding" if is_embedding(kind) else "--image" if is_image(kind) else "other columns"
            raise InputError(
                f"column '{name}' holds {kind}, not numbers", where=source.uri, fix=f"use {hint}"
            )
    survey = survey_named(table, features)
    return Choice("tabular", features, survey.used, notes=survey.notes)


def _default(uri: str, table: SourceTable, taken: set[str]) -> Choice:
    """Return what the model sees where nobody says: what lies within objects, such as metadata, only where nothing else does."""
    nested = {field.name for field in table.schema if NESTED.items() <= (field.metadata or {}).items()}
    others = [field for field in table.schema if field.name not in taken | nested]
    if nested - taken and any(not _IDENTIFIES.fullmatch(field.name) for field in others):
        choice = _default_of(uri, table, taken | nested)
        aside = dict.fromkeys(sorted(nested - taken), "part of an object")
        return replace(choice, left_out={**choice.left_out, **aside})
    return _default_of(uri, table, taken)


def _default_of(uri: str, table: SourceTable, taken: set[str]) -> Choice:
    hidden = {*taken, TRUTH_NAME, *_DERIVED}
    free = [field for field in table.schema if field.name not in hidden]
    images = [field.name for field in free if is_image(field.type)]
    vectors = vector_columns(table, [field.name for field in free])
    if images and vectors == ["features"]:
        vectors = []  # pixels that an earlier ingest derived from the images
    names = [f.name for f in free if not _IDENTIFIES.fullmatch(f.name) and f.name not in [*images, *vectors]]
    numbers = [name for name in names if is_numeric(table.schema.field(name).type)]
    if numbers:  # bytes beside numbers may be anything
        others = [name for name in images if not holds_images(table, name)]
        images = [name for name in images if name not in others]
        names += others
    ours = set(_DERIVED) <= set(table.schema.names)  # then a vector may be derived from the numbers beside it
    found = images + [name for name in vectors if not numbers or (not ours and is_wide(table, name))]
    if found:
        return _one_content(uri, found, images, numbers)
    survey = survey_default(table, names)
    if len(survey.prose) == 1 and not numbers:
        return Choice("text", survey.prose)
    if not survey.used:
        raise _nothing(uri, free, survey)
    left_out = survey.left_out | {name: f"vectors; --embedding {name} reads them" for name in vectors}
    texts = {name: Column(name=name, kind="text") for name in survey.prose[:MOST_TEXTS]}
    learned = {column.name: column for column in survey.used} | texts
    used = tuple(learned[name] for name in names if name in learned)
    left_out = {name: why for name, why in left_out.items() if name not in texts}
    return Choice("tabular", tuple(column.name for column in used), used, left_out, notes=survey.notes)


def _one_content(uri: str, found: list[str], images: list[str], numbers: list[str]) -> Choice:
    """Return the images or the vectors that a row has; numbers beside them are only shown.

    Raises:
        InputError: There are several.
    """
    if len(found) > 1:
        named = (f"--image {name}" if name in images else f"--embedding {name}" for name in found)
        raise InputError(
            "several columns could be what the model sees", where=uri, fix=f"choose one: {', '.join(named)}"
        )
    what = "images" if images else "vectors"
    note = (
        f"only the {what} in '{found[0]}' are learned from, not the numbers beside them "
        f"({listed(numbers)}); --features names those"
    )
    return Choice("image" if images else "embedding", (found[0],), notes=(note,) if numbers else ())


def _nothing(uri: str, fields: list[pa.Field], survey: TableColumns) -> InputError:
    """Return the error for a source without anything that a table is learned from."""
    if not fields:
        return InputError(
            "no column to learn from beside the label",
            where=uri,
            fix="add columns, an embedding, an image or a text",
        )
    free = [field.name for field in fields]
    if nested := [field for field in fields if is_pixel_list(field.type)]:
        return InputError(
            f"column '{nested[0].name}' holds {nested[0].type}, which is no vector",
            where=uri,
            fix=f"save one list of numbers for each row, or read pixels with --image {nested[0].name}",
        )
    prose = survey.prose or tuple(name for name in free if survey.left_out.get(name, "").startswith("nearly"))
    text = f"name a text with --text {prose[0]}" if prose else "name a text with --text"
    return InputError(
        f"no numeric column and no column of categories or dates to learn from, only {listed(free)}",
        where=uri,
        fix=f"{text}, or a column with --embedding or --image",
    )


def _check_embedding(uri: str, name: str, table: SourceTable) -> None:
    kind = table.schema.field(name).type
    if not is_embedding(kind) and not pa.types.is_string(kind):
        raise InputError(
            f"column '{name}' holds {kind}, not lists of numbers",
            where=uri,
            fix="--embedding takes a column of lists, or of text such as [0.1, 0.2]",
        )


def _check_probabilities(uri: str, names: tuple[str, ...], table: SourceTable) -> None:
    kinds = [table.schema.field(name).type for name in names]
    vectors = len(names) == 1 and (is_embedding(kinds[0]) or pa.types.is_string(kinds[0]))
    if not vectors and not all(map(is_numeric, kinds)):
        raise InputError(
            f"--pred-probs {','.join(names)} holds no probabilities",
            where=uri,
            fix="name one column of lists of numbers, a numeric column for each class, or with two classes that of one",
        )


def _check_image(uri: str, name: str, kind: pa.DataType) -> None:
    paths = pa.types.is_string(kind) or (pa.types.is_struct(kind) and kind.get_field_index("path") >= 0)
    if not is_image(kind) and not paths and not is_pixel_list(kind):
        raise InputError(
            f"column '{name}' holds {kind}, not images",
            where=uri,
            fix="--image takes a column of PNG or JPEG bytes, paths, structs with 'bytes', base64, or pixels "
            "(nested lists, or text)",
        )


def _check_text(uri: str, name: str, table: SourceTable) -> None:
    kind = table.schema.field(name).type
    if vector_columns(table, [name]):
        raise InputError(
            f"column '{name}' holds vectors, not text", where=uri, fix=f"read them with --embedding {name}"
        )
    if not pa.types.is_string(kind):
        raise InputError(
            f"column '{name}' holds {kind}, not text", where=uri, fix="--text takes a column of text"
        )
