"""From what the user pointed at to the canonical data: look once, then write once."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from tasks.ingest.columns.choice import list_content_options
from tasks.ingest.columns.defaults import (
    LABEL,
    describe_answers,
    describe_lost_images,
    describe_possible_id,
    find_id,
    find_image,
    find_label,
    find_possible_ids,
    read_raters,
)
from tasks.ingest.columns.roles import Roles, assign_roles, is_ours, list_named_columns
from tasks.ingest.columns.types import is_displayable
from tasks.ingest.content import Content, open_columns, open_embedding, open_texts
from tasks.ingest.identity import IdSurvey
from tasks.ingest.images.decode import open_image_column
from tasks.ingest.labels.derived import MAJORITY, UNANIMOUS, add_majority, check_raters, unwrap_labels
from tasks.ingest.labels.survey import LabelSurvey, read_class_names
from tasks.ingest.leaks.search import drop_leaks
from tasks.ingest.probabilities import open_probabilities
from tasks.ingest.source import make_short_name, remember_sources
from tasks.ingest.table import SourceTable, open_source
from tasks.ingest.write import Canonical, write_problems, write_truth
from tasks.records import Dataset, Source, Synthetic
from tasks.storage import open_atomically

log = logging.getLogger("labelsweep.ingest")

# Qualtrics writes two more rows of headers below the names: the questions, and a row of import ids.
_IMPORT_ID = '{"ImportId"'
# The import ids are in the second row, or in the first where the questions were removed.
_ROWS = 2


@remember_sources()
def ingest(source: Source, folder: Path) -> Dataset:
    """Read labeled data and write them to `folder/dataset.parquet` in the canonical form.

    Memory depends on the size of a row group, not on the number of rows (but for 8 bytes a row to find equal
    ids). The true labels, where a column of them is named, go to `folder/truth.parquet` and nowhere else.

    Args:
        source: What to read, and which column means what.

    Returns:
        The record of the canonical data.

    Raises:
        InputError: The source cannot be read, or is no labeled data; nothing is left in `folder`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> data = ingest(Source(uri="sample:digits", id="id", truth="true_label"), folder)
    >>> data.rows, data.payload, data.feature_shape, data.classes[:3]
    (1797, 'image', (8, 8), ('0', '1', '2'))
    """
    is_guessed = source.label is None and not source.raters
    source, table, notes = _open(source)
    roles = assign_roles(source, table)
    # A person named the classes of a folder of images when they made a folder for each.
    survey = _survey_columns(table, roles, source.classes, is_guessed=is_guessed and table.image is None)
    roles = drop_leaks(source, table, roles, survey.labels)
    content = _open_content(source, table, roles, survey.labels)
    answers = describe_answers(source, table)
    ids = describe_possible_id(source, table, {*roles.content, *(one.name for one in roles.columns)})
    canonical = Canonical(table, roles, content, survey.labels, survey.rows, survey.without_id)
    path, truth, unread = (folder / f"{name}.parquet" for name in ("dataset", "truth", "unreadable"))
    with open_atomically(path) as unpublished:
        digest = canonical.write(unpublished)
        if canonical.problems:
            write_problems(canonical.problems, unread)
        if survey.truths:
            write_truth(table, survey.truths, unpublished, truth)
    seen = (source.uri, survey.rows, len(survey.classes), roles.payload, content.shape)
    log.info("%s: %d rows, %d classes, %s %s", *seen)
    return Dataset(
        path=path,
        name=make_short_name(source.uri, source.name),
        uri=source.uri,
        rows=survey.rows,
        classes=survey.classes,
        feature_names=content.names,
        feature_shape=content.shape,
        digest=digest,
        probabilities=source.pred_probs is not None,
        truth=truth if survey.truths else None,
        unreadable=unread if canonical.problems else None,
        synthetic=_recognize_synthetic(table, content),
        given_probabilities=content.classes,
        notes=(*notes, *answers, *ids, *roles.notes, *survey.notes, *content.notes),
        **_describe_columns(source, table, roles),
    )


def _open(source: Source) -> tuple[Source, SourceTable, tuple[str, ...]]:
    """Open the source; with raters, the majority of their labels is the label and their agreement the trust.

    Returns:
        What the user named and what is obvious, the source, and what was decided without being asked.
    """
    source, table, notes = _open_with_defaults(source)
    if source.raters is not None:
        check_raters(table, source.raters)
        # The label of a corrected version is what people decided, no longer what raters said.
        if not is_ours(source, table.schema):
            label = source.label or LABEL
            label = MAJORITY if label in source.raters else label
            source = source.model_copy(update={"label": label, "trusted": source.trusted or UNANIMOUS})
            table = add_majority(table, source.raters or (), label)
            notes += table.spelled
    if not any(batch.num_rows for batch in table.scan(table.schema.names[:1], 1)):
        raise table.problem("it has columns but no rows", fix="check how the file was written")
    _check_no_header_rows(table)
    return source, table, notes


def _open_with_defaults(source: Source) -> tuple[Source, SourceTable, tuple[str, ...]]:
    """Open the source; name its label, its ids and its images where the user did not and they are obvious."""
    is_named = source.label not in (None, LABEL)  # another column may be the label where none is called so
    source = source.model_copy(update={"label": source.label or LABEL})
    roles = (source.label, source.id, source.truth, source.group, source.text, *(source.raters or ()))
    texts = {name for name in (*roles, source.image) if name}  # names of image files may look like numbers
    missing = frozenset(source.missing or ())
    reopen = partial(
        open_source, source.uri, named=list_named_columns(source), encoding=source.encoding, missing=missing
    )
    table = reopen(frozenset(texts))
    if not is_named and not source.raters:
        source = source.model_copy(update={"raters": read_raters(table)})
    found = {"label": None if is_named or source.raters else find_label(source, table)}
    wanted = find_possible_ids(source, table.schema.names) | {name for name in found.values() if name}
    if wanted and table.untyped:  # a label or an id is text, whatever its values look like
        table = reopen(frozenset(texts | wanted))
    found["id"], no_id = find_id(source, table, found["label"] or source.label)
    source = source.model_copy(update={role: name for role, name in found.items() if name})
    source = _name_image(source, table.image)
    if source.image and source.image not in texts and not table.untyped:  # arrays of images keep their shape
        table = reopen(frozenset(texts | {source.image}))
    if image := find_image(source, table):
        if image == source.id:  # a column has one role
            found["id"], source = None, source.model_copy(update={"id": None})
        found["image"], source = image, _name_image(source, image)
    said = {"label": "is the label", "id": "identifies the samples", "image": "has the images"}
    notes = tuple(
        f"column '{name}' {said[role]}; --{role} names another" for role, name in found.items() if name
    )
    notes += (no_id,) if no_id else ()
    if not source.image:
        notes += describe_lost_images(source, table)
    return source, unwrap_labels(table, source.label or LABEL), (*table.notes, *notes)


def _check_no_header_rows(table: SourceTable) -> None:
    """Raise InputError where the first rows are headers that a survey tool wrote: every column would be text."""
    # As it is in the file: in a column of numbers such a value is only one that is missing.
    reader = table.readers[0]
    texts = [field.name for field in reader.schema if field.name and pa.types.is_string(field.type)]
    head = next(iter(reader.batches(texts, _ROWS)), None) if texts else None
    rows = head.slice(0, _ROWS).to_pylist() if head is not None else []
    for number, row in enumerate(rows):
        if any(isinstance(value, str) and value.startswith(_IMPORT_ID) for value in row.values()):
            first, last = table.place(0), table.place(number)
            which = first if number == 0 else f"{first} and {last}"
            raise table.problem(
                f"a Qualtrics export: {which} hold no answers but the questions and Qualtrics' own ids",
                fix=f"remove {which}",
            )


def _name_image(source: Source, image: str | None) -> Source:
    """Return the source with its images as what the model sees, unless the user named something else."""
    return (
        source.model_copy(update={"image": image}) if image and not list_content_options(source) else source
    )


@dataclass(frozen=True)
class _Survey:
    rows: int
    classes: tuple[str, ...]
    labels: LabelSurvey
    truths: LabelSurvey | None
    without_id: dict[int, str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of given and true labels, a line each."""
        return (*self.labels.notes, *(self.truths.unknown if self.truths else ()))


def _survey_columns(table: SourceTable, roles: Roles, known: tuple[str, ...], *, is_guessed: bool) -> _Survey:
    """Look at labels, ids and truths once, before anything is written; `known` classes keep their spelling."""
    seen = {
        role: LabelSurvey(
            name,
            table.uri,
            role,
            read_class_names(table.schema, name),
            is_guessed=is_guessed and role == "label",
        )
        for role, name in (("label", roles.label), ("truth", roles.truth))
        if name
    }
    ids = IdSurvey(table, roles.id) if roles.id else None
    rows = 0
    for batch in table.scan([name for name in (roles.label, roles.truth, roles.id) if name]):
        for survey in seen.values():
            survey.see(batch.column(survey.column))
        if ids and roles.id:
            ids.see(batch.column(roles.id))
        rows += batch.num_rows
    labels, truths = seen["label"], seen.get("truth")
    labels.merge_spellings(known)
    classes = labels.list_classes()
    if truths:
        truths.merge_spellings(classes)
        truths.check_names(classes)
    return _Survey(rows, classes, labels, truths, ids.find_problems() if ids else {})


def _open_content(source: Source, table: SourceTable, roles: Roles, labels: LabelSurvey) -> Content:
    if roles.payload == "tabular":
        return open_columns(roles.columns)
    if roles.payload == "text":
        return open_texts(roles.content[0])
    if source.pred_probs is not None:
        return open_probabilities(table, source.models, labels)
    return (open_embedding if roles.payload == "embedding" else open_image_column)(table, roles.content[0])


def _describe_columns(source: Source, table: SourceTable, roles: Roles) -> dict[str, Any]:
    """Return what the record says of columns; a reviewer is shown those whose values fit into a cell."""
    cells = (name for name in roles.kept if is_displayable(table.schema.field(name).type))
    return {
        "payload": roles.payload,
        "display_columns": tuple(roles.kept[name] for name in cells),
        "columns": roles.columns,
        "beside": tuple(
            column.model_copy(update={"name": roles.kept[column.name]}) for column in roles.beside
        ),
        "left_out": roles.left_out,
        "leaks": roles.leaks,
        "suspects": roles.suspects,
        "trusted": roles.trusted is not None,
        "texts": tuple(
            roles.kept[column.name] for column in (*roles.columns, *roles.beside) if column.kind == "text"
        ),
        "raters": tuple(roles.kept[name] for name in source.raters or ()),
        "group": roles.kept[roles.group] if roles.group else None,
        "label_column": roles.label,
        "own_names": _list_renamed(roles),
    }


def _list_renamed(roles: Roles) -> dict[str, str]:
    """Return the columns that have another name in the data set than in the source, with that name."""
    ours = {"label": roles.label, "sample_id": roles.id, "trusted": roles.trusted}
    if roles.payload == "text":
        ours["text"] = roles.content[0]
    renamed = {name: stored for name, stored in roles.kept.items() if name != stored}
    return {name: stored for stored, name in ours.items() if name} | renamed


def _recognize_synthetic(table: SourceTable, content: Content) -> Synthetic | None:
    """Return how `synthesize` drew the data, if these are the features that it drew."""
    note = (table.schema.metadata or {}).get(b"labelsweep.synthetic")
    try:
        synthetic = Synthetic.model_validate_json(note) if note else None
    except ValidationError:
        return None
    return synthetic if synthetic and (len(synthetic.mean_0),) == content.shape else None
