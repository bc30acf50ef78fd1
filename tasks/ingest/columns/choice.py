"""What the model sees of a row: what the user named, and what can be told from types and values alone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pyarrow as pa

from tasks.errors import InputError, list_names, suggest_name
from tasks.ingest.columns.dates import is_date
from tasks.ingest.columns.kinds import TableColumns, drop_marked_copies, survey_default, survey_named
from tasks.ingest.columns.label_hints import suggest_label
from tasks.ingest.columns.types import NESTED, is_embedding, is_image, is_list, is_numeric
from tasks.ingest.images.decode import holds_images
from tasks.ingest.images.pixels import is_pixel_list
from tasks.ingest.source import is_image_file
from tasks.ingest.table import SourceTable
from tasks.ingest.vectors import find_vector_columns, is_wide
from tasks.records import Column, Payload, Source

# The roles of one column each.
ROLES = ("label", "id", "trusted", "truth", "group")
# A truth that nobody named must not become a feature of the very model that is to find the errors.
TRUTH_NAME = "true_label"
# These names say which row it is, not what is in it: ids, and the row numbers that pandas writes.
_IDENTIFIES = re.compile(
    r"(id|index|sample_id|source_row|__index_level_\d+__|unnamed: [\d.]+)", re.IGNORECASE
)
# Columns of text that a table is learned from unasked. Each adds up to 200 directions; a title, a text and an answer are three.
MOST_TEXTS = 3
# What may be named beside an image, an embedding, or each other.
BESIDE = ("--features", "--text")
# Twenty values tell paths from other text.
_FIRST = 20
# Columns that a hint spells out.
MOST_NAMED = 3
# Columns that our own ingest made of the content.
_DERIVED = ("content_hash",)


@dataclass(frozen=True)
class ContentChoice:
    """What the model sees.

    Attributes:
        payload: What a sample is.
        content: The columns that the model sees.
        columns: What each column of a table is, in the order of `content`.
        beside: What each column is that is learned from beside an image or an embedding.
        aside: What columns beside the only text are, which are not learned from.
        left_out: Why a column of a table is not learned from, by its name.
        leaks: Of these, the columns that give the label away.
        suspects: Columns that are learned from though they may give the label away, each with the reason.
        notes: What a person should know of how columns are read, a line each.
    """

    payload: Payload
    content: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    beside: tuple[Column, ...] = ()
    aside: tuple[Column, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    leaks: dict[str, str] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def list_content_options(source: Source) -> dict[str, str | tuple[str, ...]]:
    """Return the options by which the user named what the model sees, with their columns."""
    options = {
        "--features": source.features,
        "--embedding": source.embedding,
        "--image": source.image,
        "--text": source.text,
        "--pred-probs": tuple(name for model in source.models for name in model) or None,
    }
    return {option: named for option, named in options.items() if named is not None}


def choose_content(source: Source, table: SourceTable, taken: set[str]) -> ContentChoice:
    """Return what the model sees of a row.

    Raises:
        InputError: Options exclude each other, a column cannot be what it was named as, or there is nothing to learn from.
    """
    chosen = list_content_options(source)
    if not chosen:
        return _choose_default(table, taken)
    named = {
        option: (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
        for option, names in chosen.items()
    }
    for option, names in named.items():
        _check_named(option, names, source, table, taken)
    beside = {option: named.pop(option) for option in BESIDE if option in named}
    if len(named) > 1 or ("--pred-probs" in named and beside):
        raise table.problem(f"{' and '.join(chosen)} exclude each other", fix="name one of them")
    if not named and "--features" not in beside:
        return ContentChoice("text", beside["--text"])
    survey = _survey_with_text(table, beside)
    if not named:
        return ContentChoice(
            "tabular", tuple(column.name for column in survey.used), survey.used, notes=survey.notes
        )
    ((option, names),) = named.items()
    return ContentChoice(
        "image" if option == "--image" else "embedding", names, beside=survey.used, notes=survey.notes
    )


def _check_named(
    option: str, names: tuple[str, ...], source: Source, table: SourceTable, taken: set[str]
) -> None:
    """Raise InputError where a column does not exist, means something else, or cannot be what it was named as."""
    for name in names:
        check_exists(option.removeprefix("--"), name, table, taken)
        if name in taken:
            role = "group" if name == source.group else "label, id, trusted or truth"
            raise table.problem(
                f"column '{name}' is the {role} column and cannot be {option} too", fix="leave it out"
            )
    groups = source.models if option == "--pred-probs" else (names,) if option != "--features" else ()
    if problem := next(filter(None, (_find_type_problem(option, group, table) for group in groups)), None):
        raise table.problem(problem[0], fix=problem[1])


def check_exists(role: str, name: str, table: SourceTable, taken: Iterable[str] = ()) -> None:
    """Raise InputError when there is no such column, with the name that was probably meant.

    Args:
        taken: Columns that mean something else, and cannot have been meant.
    """
    names = table.schema.names
    if name in names:
        return
    what = f"no {role} column '{name}'" if role in ROLES else f"no column '{name}'"
    apart = {*taken, *(() if role == "truth" else (TRUTH_NAME,))}
    free = [other for other in names if other not in apart]
    meant = suggest_name(name, free)
    fix = f"{meant} Name it with --{role}" if meant.endswith("?") else f"name one with --{role}"
    if role == "label":
        fix = suggest_label(table, free, name) or fix
        if fix.startswith("name one") and len(table.readers) > 1:
            fix += ", or write the class into each file as a column 'label' where a file holds one class"
    raise table.problem(f"{what}; it has {list_names(names)}", fix=fix)


def _survey_with_text(table: SourceTable, named: dict[str, tuple[str, ...]]) -> TableColumns:
    """Return what the columns of --features are, then the text of --text."""
    survey = _survey_features(table, named["--features"]) if "--features" in named else TableColumns((), {})
    texts = tuple(Column(name=name, kind="text") for name in named.get("--text", ()))
    numbers = tuple(column for column in survey.used if column.name not in named.get("--text", ()))
    return replace(survey, used=(*numbers, *texts))


def _survey_features(table: SourceTable, features: tuple[str, ...]) -> TableColumns:
    if not features:
        raise table.problem("--features names no column", fix="name one or more, separated by commas")
    for name in features:
        kind = table.schema.field(name).type
        if pa.types.is_null(kind):
            raise table.problem(f"column '{name}' has no value at all", fix="leave it out of --features")
        if not is_numeric(kind) and not pa.types.is_string(kind) and not is_date(kind):
            hint = "--embedding" if is_embedding(kind) else "--image" if is_image(kind) else "other columns"
            raise table.problem(f"column '{name}' holds {kind}, not numbers", fix=f"use {hint}")
    return survey_named(table, features)


def _choose_default(table: SourceTable, taken: set[str]) -> ContentChoice:
    """Return what the model sees where nobody says.

    What lies within objects, such as metadata, is left out, unless there is nothing else, the only texts are there, or it lies
    beside the label in one object.
    """
    inside = {field.name for field in table.schema if NESTED.items() <= (field.metadata or {}).items()}
    nested = inside - taken
    others = [field for field in table.schema if field.name not in taken | nested]
    if not nested or all(_IDENTIFIES.fullmatch(field.name) for field in others):
        return _choose_columns(table, taken)
    try:
        choice = _choose_columns(table, taken | nested)
    except InputError:  # nothing to learn from
        return _choose_columns(table, taken)
    if not _has_content(choice) and _has_content(whole := _choose_columns(table, taken)):
        return whole
    beside = {name for name in nested if _name_object(name) in set(map(_name_object, inside & taken))}
    if beside and not _has_content(choice):
        nested -= beside
        choice = _choose_columns(table, taken | nested)
    return replace(choice, left_out={**choice.left_out, **dict.fromkeys(sorted(nested), "part of an object")})


def _name_object(column: str) -> str:
    return column.rpartition(".")[0]


def _has_content(choice: ContentChoice) -> bool:
    """Return whether there is more than numbers and categories."""
    return choice.payload != "tabular" or any(column.kind == "text" for column in choice.columns)


def _choose_columns(table: SourceTable, taken: set[str]) -> ContentChoice:
    hidden = {*taken, TRUTH_NAME, *_DERIVED}
    free = [field for field in table.schema if field.name not in hidden]
    images = [field.name for field in free if is_image(field.type)]
    vectors = find_vector_columns(table, [field.name for field in free])
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
        return _choose_single_content(table, found, images, numbers)
    survey = survey_default(table, names)
    prose = survey.prose if survey.used else survey.prose + survey.phrases
    prose = (drop_marked_copies(table, prose) if len(prose) > MOST_TEXTS else prose)[:MOST_TEXTS]
    if len(prose) == 1 and not numbers:
        titles = (Column(name=name, kind="text") for name in survey.phrases)
        return ContentChoice("text", prose, aside=(*survey.used, *titles))
    if not survey.used and not prose:
        raise _make_empty_error(table, free, survey)
    left_out = survey.left_out | {name: f"vectors; --embedding {name} reads them" for name in vectors}
    texts = {name: Column(name=name, kind="text") for name in prose}
    learned = {column.name: column for column in survey.used} | texts
    used = tuple(learned[name] for name in names if name in learned)
    left_out = {name: why for name, why in left_out.items() if name not in texts}
    content = tuple(column.name for column in used)
    return ContentChoice("tabular", content, used, left_out=left_out, notes=survey.notes)


def _choose_single_content(
    table: SourceTable, found: list[str], images: list[str], numbers: list[str]
) -> ContentChoice:
    """Return the images or the vectors that a row has; numbers beside them are only shown.

    Raises:
        InputError: There are several.
    """
    if len(found) > 1:
        named = (f"--image {name}" if name in images else f"--embedding {name}" for name in found)
        raise table.problem(
            "several columns could be what the model sees", fix=f"choose one: {', '.join(named)}"
        )
    what = "images" if images else "vectors"
    note = (
        f"only the {what} in '{found[0]}' are learned from, not the numbers beside them "
        f"({list_names(numbers)}); --{'image' if images else 'embedding'} {found[0]} --features "
        f"{','.join(numbers[:MOST_NAMED])} learns from both"
    )
    return ContentChoice("image" if images else "embedding", (found[0],), notes=(note,) if numbers else ())


def _make_empty_error(table: SourceTable, fields: list[pa.Field], survey: TableColumns) -> InputError:
    """Return the error for a source without anything that a table is learned from."""
    if not fields:
        return table.problem(
            "no column to learn from beside the label", fix="add columns, an embedding, an image or a text"
        )
    free = [field.name for field in fields]
    if nested := [field for field in fields if is_pixel_list(field.type)]:
        return table.problem(
            f"column '{nested[0].name}' holds {nested[0].type}, which is no vector",
            fix=f"save one list of numbers for each row, or read pixels with --image {nested[0].name}",
        )
    if lists := [field for field in fields if is_list(field.type)]:
        what = "words" if pa.types.is_string(lists[0].type.value_type) else "objects"
        return table.problem(
            f"column '{lists[0].name}' holds lists of {what}",
            fix=f"join the {what} of each row into one text",
        )
    if named := [field.name for field in fields if names_image_files(table, field.name)]:
        return table.problem(
            f"column '{named[0]}' names image files, and those of the first rows are not there",
            fix=f"write paths relative to the folder of the source; --image {named[0]} says what is looked for",
        )
    prose = survey.prose or tuple(name for name in free if survey.left_out.get(name, "").startswith("nearly"))
    text = f"name a text with --text {prose[0]}" if prose else "name a text with --text"
    return table.problem(
        f"no numeric column and no column of categories or dates to learn from, only {list_names(free)}",
        fix=f"{text}, or a column with --embedding or --image",
    )


def names_image_files(table: SourceTable, name: str) -> bool:
    """Return whether the first values of a column are names of image files."""
    values = read_first_texts(table, name)
    return bool(values) and all(map(is_image_file, values))


def read_first_texts(table: SourceTable, name: str) -> list[str]:
    """Return the first values of a column that are not blank; nothing where it holds no text."""
    if not pa.types.is_string(table.schema.field(name).type):
        return []
    batch = next(table.scan([name], _FIRST), None)
    return (
        [value for value in batch.column(0)[:_FIRST].to_pylist() if value and value.strip()] if batch else []
    )


def _find_type_problem(option: str, names: tuple[str, ...], table: SourceTable) -> tuple[str, str] | None:
    """Return why columns cannot be what they were named as, and what to do; None where they can."""
    kinds = [table.schema.field(name).type for name in names]
    if option == "--pred-probs":
        vectors = len(names) == 1 and (is_embedding(kinds[0]) or pa.types.is_string(kinds[0]))
        if vectors or all(map(is_numeric, kinds)):
            return None
        return (
            f"--pred-probs {','.join(names)} holds no probabilities",
            "name a column of lists of numbers, or a numeric column for each class; repeat it for several models",
        )
    (name,), (kind,) = names, kinds
    if option == "--text" and find_vector_columns(table, [name]):
        return f"column '{name}' holds vectors, not text", f"read them with --embedding {name}"
    text = pa.types.is_string(kind)
    paths = text or (pa.types.is_struct(kind) and kind.get_field_index("path") >= 0)
    fits, what, fix = {
        "--embedding": (
            is_embedding(kind) or text,
            "lists of numbers",
            "--embedding takes a column of lists, or of text such as [0.1, 0.2]",
        ),
        "--image": (
            is_image(kind) or paths or is_pixel_list(kind),
            "images",
            "--image takes a column of PNG or JPEG bytes, paths, structs with 'bytes', base64, or pixels (nested lists, or text)",
        ),
        "--text": (text, "text", "--text takes a column of text"),
    }[option]
    return None if fits else (f"column '{name}' holds {kind}, not {what}", fix)
