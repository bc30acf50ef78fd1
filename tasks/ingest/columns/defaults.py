"""The label, the id and the images where nobody named them: taken only where one column is obvious, and always said."""

import json
import re
import shlex
from collections.abc import Collection, Sequence
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import list_names
from tasks.ingest.columns.choice import list_content_options, names_image_files, read_first_texts
from tasks.ingest.columns.label_hints import LABEL_NAMES, has_classes
from tasks.ingest.columns.roles import list_named_columns
from tasks.ingest.columns.types import has_text, is_embedding, is_image, is_numeric
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.identity import MOST_WITHOUT_ID, IdSurvey
from tasks.ingest.images.files import find_image_files
from tasks.ingest.label_studio import LABEL_NOTE, RATERS_NOTE
from tasks.ingest.leaks.column_names import is_counting_name, is_id_name, is_rater_name
from tasks.ingest.table import SourceTable
from tasks.records import Source

LABEL = "label"
# Of the rows, as many may have the id of another row or none, and are set aside: they are mistakes.
_MOST_WRONG_IDS = 0.01
# A column with more repeated values than this tells people or things that rows are of, and not rows.
_IDS_OF_ROWS = 0.5
# What looks like ids: as many rows at least, or a few numbers differ by chance; a SHA-256 has 64 digits.
_LEAST_IDS, _LONGEST_ID = 20, 64
# Rows of an item on average, from which on each is an answer of somebody.
_ANSWERS = 1.5
# Of so many columns the first rows are looked at together: ids come first.
_TRIED = 20
ID_NAMES = ("sample_id", "id")
_STEM = re.compile(r"[\w.-]{1,100}")


def find_label(source: Source, table: SourceTable) -> str | None:
    """Return the column that is obviously the label though it has another name than that, None where none is.

    Raises:
        InputError: Two columns could be it.
    """
    if noted := (table.schema.metadata or {}).get(LABEL_NOTE.encode()):
        return str(noted.decode())
    if LABEL in table.schema.names:
        return None
    free = {name: name.strip().lower() for name in _list_free_columns(source, table)}
    if len(free) > 2 and any(
        plain == "x" and is_numeric(table.schema.field(name).type) for name, plain in free.items()
    ):
        free = {name: plain for name, plain in free.items() if plain != "y"}  # a coordinate
    for place, names in enumerate(LABEL_NAMES):
        found = [name for name, plain in free.items() if plain in names and has_classes(table, name)]
        if len(found) > 1:
            raise table.problem(
                f"no label column '{LABEL}', and {list_names(found)} could each be it",
                fix="name one with --label",
            )
        if found and not any(free[found[0]] in later for later in LABEL_NAMES[place + 1 :]):
            return found[0]
    return None


def read_raters(table: SourceTable) -> tuple[str, ...] | None:
    """Return the raters that the file names, None where it names none."""
    noted = (table.schema.metadata or {}).get(RATERS_NOTE.encode())
    return tuple(json.loads(noted)) if noted else None


def find_id(source: Source, table: SourceTable, label: str | None) -> tuple[str | None, str]:
    """Return the column of ids that is called so, and what to say where it is none.

    Every row with a label has an id, and none has that of another one, but for so few that these are mistakes: ids of earlier
    nights would be lost because of one row.
    """
    if source.id is not None:
        return None, ""
    free = {name.strip().lower(): name for name in reversed(_list_free_columns(source, table))}
    label = label if label in table.schema.names else None
    said = ""
    for name in (free[plain] for plain in ID_NAMES if plain in free):
        without = _measure_without_id(table, name, label)
        if without <= _MOST_WRONG_IDS:
            return name, ""
        if without < _IDS_OF_ROWS:
            said = f"column '{name}' does not identify the samples: {without:.1%} of the rows have no id of their own there"
    return None, said


def describe_possible_id(source: Source, table: SourceTable, learned: Collection[str]) -> tuple[str, ...]:
    """Return what to say of a column that looks like an id where none is known: of codes, or of whole numbers called one.

    It is not taken unasked: another name than `id` may be that of something that only happens to differ from row to row.

    Args:
        learned: Columns that are learned from, and so are none.
    """
    if source.id is not None or table.image:
        return ()
    others = (name for name in _list_free_columns(source, table) if name not in learned)
    free = list(islice((name for name in others if _may_be_ids(table, name)), _TRIED))
    first = next(table.scan(free)) if free else None
    name = next((name for name in free if first and _looks_like_ids(name, first.column(name))), None)
    if name is None:
        return ()
    option = f"--id {shlex.quote(name)}"
    return (f"column '{name}' looks like an id; {option} keeps decisions on rows whose content changes",)


def describe_answers(source: Source, table: SourceTable) -> tuple[str, ...]:
    """Return what to say of a file with a row for each answer of each rater: its samples are there several times."""
    free = _list_free_columns(source, table)
    who = next((name for name in free if is_rater_name(name) and has_classes(table, name)), None)
    items = [name for name in free if name != who and is_id_name(name) and not is_rater_name(name)]
    items += [name for name in (source.id, source.group, source.text, source.image) if name]
    batch = next(table.scan([who, *items]), None) if who and items else None
    if batch is None or source.raters:
        return ()
    answers = batch.to_pandas()
    item = next(
        (
            name
            for name in items
            if len(answers) >= _ANSWERS * answers[name].nunique()
            and not answers.duplicated([name, who]).any()
        ),
        None,
    )
    if item is None:
        return ()
    pivot = f"df.pivot(index={item!r}, columns={who!r}, values={source.label!r}) in pandas"
    what = f"each {item!r} has several rows, one for each {who!r}"
    return (f"{what}: make a column of each one's answers ({pivot}) and name them with --raters",)


def find_image(source: Source, table: SourceTable) -> str | None:
    """Return the column of paths of images, None where something else is obvious, or the images are not there."""
    free = [name for name in _list_free_columns(source, table) if name.strip().lower() not in ID_NAMES]
    kinds = [table.schema.field(name).type for name in free]
    if list_content_options(source) or any(is_image(kind) or is_embedding(kind) for kind in kinds):
        return None
    found = [name for name in free if _is_image_names(table, name)]
    if not found and table.readers[0].part.local:
        free = [
            name for name in table.schema.names if name == source.id or name not in list_named_columns(source)
        ]
        found = [name for name in free if _is_image_stems(table, name)]
    return found[0] if len(found) == 1 else None


def describe_lost_images(source: Source, table: SourceTable) -> tuple[str, ...]:
    """Return what to say of images that are not read: beside the table, or where columns name them and none is there."""
    if list_content_options(source):
        return ()
    if table.images_beside:
        many = f"{table.images_beside:,} image files beside the table are"
        what = "1 image file beside the table is" if table.images_beside == 1 else many
        return (f"{what} not read; --image names the column of their paths",)
    lost = [name for name in _list_free_columns(source, table) if names_image_files(table, name)]
    return tuple(
        f"column '{name}' names image files, and those of the first rows are not there; --image {name} says what is looked for"
        for name in lost
    )


def find_possible_ids(source: Source, names: Sequence[str]) -> set[str]:
    """Return the columns that may turn out to be the id, and must stay text until then."""
    if source.id is not None:
        return set()
    return {name for name in names if name.strip().lower() in ID_NAMES} - list_named_columns(source)


def _list_free_columns(source: Source, table: SourceTable) -> list[str]:
    named = list_named_columns(source)
    return [name for name in table.schema.names if name not in named]


def _may_be_ids(table: SourceTable, name: str) -> bool:
    kind = table.schema.field(name).type
    is_type = pa.types.is_string(kind) or (pa.types.is_integer(kind) and is_id_name(name))
    return is_type and not is_counting_name(name)


def _looks_like_ids(name: str, column: pa.Array) -> bool:
    """Return whether values all differ, and are codes: words, or without blanks in what is called an id."""
    values = convert_to_text(column)
    start = "" if is_id_name(name) else "[[:alpha:]]"
    is_code = pc.match_substring_regex(values, rf"^{start}\S{{1,{_LONGEST_ID}}}$")
    differ = pc.count_distinct(values, "all").as_py() == len(values) >= _LEAST_IDS
    return differ and bool(pc.all(is_code, skip_nulls=False).as_py())


def _is_image_names(table: SourceTable, name: str) -> bool:
    """Return whether the first values of a column are names of image files, and one of them is there."""
    return names_image_files(table, name) and any(
        isinstance(file, bytes)
        for file in find_image_files(table, name).read(pa.array(read_first_texts(table, name)), 0)
    )


def _is_image_stems(table: SourceTable, name: str) -> bool:
    """Return whether the first values of a column are names of image files but for their endings, as in many competitions."""
    stems = read_first_texts(table, name)
    if len(set(stems)) < len(stems) or not all(map(_STEM.fullmatch, stems)) or len(stems) < _LEAST_IDS:
        return False
    files = find_image_files(table, name).read(pa.array(stems), 0)
    return 2 * sum(isinstance(file, bytes) for file in files) > len(stems)


def _measure_without_id(table: SourceTable, name: str, label: str | None) -> float:
    """Return the share of the rows that have no id of their own, in 8 bytes a row; empty rows at the end need none."""
    kind = table.schema.field(name).type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind)):
        return 1.0
    label = label if label and has_text(table.schema.field(label).type) else None
    survey = IdSurvey(table, name)
    rows = empty = 0
    for batch in table.scan([name, label or name]):
        ids, labels = (convert_to_text(batch.column(each)) for each in (name, label or name))
        there = ids.filter(pc.or_(ids.is_valid(), labels.is_valid()))
        survey.see(there)
        rows, empty = rows + len(ids), empty + len(ids) - len(there)
    return survey.share_without if empty <= MOST_WITHOUT_ID * rows else 1.0
