"""From what the user pointed at to the canonical data: look once, then write once."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.ingest.columns.defaults import find_id, find_image, find_label, id_columns, noted_raters
from tasks.ingest.columns.roles import Roles, assign_roles, clear_of_leaks, is_ours, synthetic_metadata
from tasks.ingest.columns.types import is_displayable
from tasks.ingest.content import Content, Tabular, Text, embedding
from tasks.ingest.identity import IdSurvey
from tasks.ingest.images.decode import Images, images
from tasks.ingest.labels.derived import MAJORITY, UNANIMOUS, check_raters, rated, unwrap_labels
from tasks.ingest.labels.notes import notes_on_classes
from tasks.ingest.labels.survey import LabelSurvey, Writing, class_names
from tasks.ingest.probabilities import Probabilities, probabilities
from tasks.ingest.source import held_sources, slug
from tasks.ingest.table import SourceTable, open_source
from tasks.ingest.write import Canonical, write_problems, write_truth
from tasks.records import Dataset, Source, Synthetic
from tasks.storage import atomic_path

log = logging.getLogger("labelsweep.ingest")

_LOOK = 2**16
# Qualtrics writes two more rows of headers below the names: the questions, and a row of import ids.
_IMPORT_ID = '{"ImportId"'
# The import ids stand in the second row, or in the first where the questions were removed.
_ROWS = 2


@held_sources()
def ingest(source: Source, folder: Path) -> Dataset:
    """Read labeled data and write them to `folder/dataset.parquet` in the canonical form.

    Memory depends on the size of a row group, not on the number of rows (but for 8 bytes a row to find equal
    ids). The true labels, where a column of them is named, go to `folder/truth.parquet` and nowhere else.

    Args:
        source: What to read, and which column means what.
        folder: The run folder.

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
    source, table, notes = _opened(source)
    roles = assign_roles(source, table)
    survey = _survey(source, table, roles)
    roles = clear_of_leaks(source, table, roles)
    content = _content(source, table, roles, survey)
    canonical = Canonical(table, roles, content, survey.labels.writing, survey.rows, survey.without_id)
    path, truth = folder / "dataset.parquet", folder / "truth.parquet"
    unread = folder / "unreadable.parquet"
    with atomic_path(path) as unpublished:
        digest = canonical.write(unpublished)
        if canonical.problems:
            write_problems(canonical.problems, unread)
        if roles.truth:
            write_truth(table, roles.truth, survey.truth_writing, unpublished, truth)
    log.info(
        "%s: %d rows, %d classes, %s %s",
        source.uri,
        survey.rows,
        len(survey.classes),
        roles.payload,
        content.shape,
    )
    return Dataset(
        path=path,
        name=slug(source.uri, source.name),
        uri=source.uri,
        rows=survey.rows,
        classes=survey.classes,
        payload=roles.payload,
        feature_names=content.names,
        feature_shape=content.shape,
        display_columns=_displayed(table, roles),
        columns=roles.columns,
        left_out=roles.left_out,
        leaks=roles.leaks,
        suspects=roles.suspects,
        digest=digest,
        trusted=roles.trusted is not None,
        texts=tuple(roles.kept[column.name] for column in roles.columns if column.kind == "text"),
        raters=tuple(roles.kept[name] for name in source.raters or ()),
        group=roles.kept[roles.group] if roles.group else None,
        probabilities=source.pred_probs is not None,
        truth=truth if roles.truth else None,
        unreadable=unread if canonical.problems else None,
        synthetic=_synthetic(table, content),
        label_column=roles.label,
        given_probabilities=content.order.classes if isinstance(content, Probabilities) else (),
        notes=(
            *notes,
            *roles.notes,
            *survey.labels.notes,
            *notes_on_classes(survey.labels.counts),
            *(content.notes if isinstance(content, Probabilities | Images) else ()),
        ),
    )


def _opened(source: Source) -> tuple[Source, SourceTable, tuple[str, ...]]:
    """Open the source; with raters, the majority of their labels is the label and their agreement the trust.

    Returns:
        What the user named and what is obvious, the source, and what was decided without being asked.
    """
    source, table, notes = _with_guesses(source)
    if source.raters is not None:
        check_raters(table, source.raters)
        # The label of a corrected version is what people decided, no longer what raters said.
        if not is_ours(source, table.schema):
            label = MAJORITY if source.label in source.raters else source.label
            source = source.model_copy(update={"label": label, "trusted": source.trusted or UNANIMOUS})
            table = rated(table, source.raters or (), label)
    if not any(batch.num_rows for batch in table.scan(table.schema.names[:1], 1)):
        raise InputError("it has columns but no rows", where=source.uri, fix="check how the file was written")
    _check_no_header_rows(table)
    return source, table, notes


def _with_guesses(source: Source) -> tuple[Source, SourceTable, tuple[str, ...]]:
    """Open the source; name its label and its ids where the user did not and they are obvious."""
    named = (source.label, source.id, source.truth, source.group, source.text, *(source.raters or ()))
    texts = {name for name in (*named, source.image) if name}  # names of image files may look like numbers
    opened = partial(
        open_source,
        source.uri,
        named=_named(source),
        encoding=source.encoding,
        missing=frozenset(source.missing or ()),
    )
    table = opened(frozenset(texts))
    source = source.model_copy(update={"raters": noted_raters(source, table)})
    found = {"label": find_label(source, table)}
    maybe = id_columns(source, table.schema.names)
    wanted = maybe | {name for name in found.values() if name}
    if wanted and table.untyped:  # a label or an id is text, whatever its values look like
        table = opened(frozenset(texts | wanted))
    found["id"] = find_id(source, table)
    source = source.model_copy(update={role: name for role, name in found.items() if name})
    source = _with_image(source, table.image)
    if source.image and source.image not in texts and not table.untyped:  # arrays of images keep their shape
        table = opened(frozenset(texts | {source.image}))
    if image := find_image(source, table):
        found["image"], source = image, _with_image(source, image)
    said = {"label": "is the label", "id": "identifies the samples", "image": "has the images"}
    notes = tuple(
        f"column '{name}' {said[role]}; --{role} names another" for role, name in found.items() if name
    )
    return source, unwrap_labels(table, source.label), (*table.notes, *notes)


def _check_no_header_rows(table: SourceTable) -> None:
    """Raise InputError where the first rows are headers that a survey tool wrote: every column would be text."""
    reader = table.readers[
        0
    ]  # as it stands in the file: in a column of numbers such a value is only one that is missing
    texts = [field.name for field in reader.schema if field.name and pa.types.is_string(field.type)]
    head = next(iter(reader.batches(texts, _ROWS)), None) if texts else None
    rows = head.slice(0, _ROWS).to_pylist() if head is not None else []
    for number, row in enumerate(rows):
        if any(isinstance(value, str) and value.startswith(_IMPORT_ID) for value in row.values()):
            first, last = table.place(0), table.place(number)
            which = first if number == 0 else f"{first} and {last}"
            raise InputError(
                f"a Qualtrics export: {which} hold no answers but the questions and Qualtrics' own ids",
                where=table.uri,
                fix=f"remove {which}",
            )


def _named(source: Source) -> frozenset[str]:
    """Return the columns that the user named."""
    several = (source.features, source.pred_probs, source.raters)
    roles = (source.label, source.id, source.trusted, source.truth, source.group)
    single = (*roles, source.embedding, source.image, source.text)
    return frozenset(name for names in (*several, single) for name in names or () if name)


def _with_image(source: Source, image: str | None) -> Source:
    """Return the source with its images as what the model sees, unless the user named something else."""
    others = (source.features, source.embedding, source.image, source.text, source.pred_probs)
    return source.model_copy(update={"image": image}) if image and not any(others) else source


@dataclass(frozen=True)
class _Survey:
    rows: int
    classes: tuple[str, ...]
    labels: LabelSurvey
    truth_writing: Writing
    without_id: dict[int, str]


def _survey(source: Source, table: SourceTable, roles: Roles) -> _Survey:
    """Look at labels, ids and truths once, before anything is written."""
    labels = LabelSurvey(roles.label, table.untyped, source.uri, names=class_names(table.schema, roles.label))
    truths = LabelSurvey(roles.truth or "", table.untyped, source.uri, "truth")
    if roles.truth:
        truths.names = class_names(table.schema, roles.truth)
    ids = IdSurvey(table, roles.id) if roles.id else None
    rows = 0
    for batch in table.scan([name for name in (roles.label, roles.truth, roles.id) if name], _LOOK):
        labels.see(batch.column(roles.label))
        if roles.truth:
            truths.see(batch.column(roles.truth))
        if ids and roles.id:
            ids.see(batch.column(roles.id))
        rows += batch.num_rows
    classes = labels.classes()
    return _Survey(rows, classes, labels, truths.writing, ids.problems() if ids else {})


def _content(source: Source, table: SourceTable, roles: Roles, survey: _Survey) -> Content:
    if roles.payload == "tabular":
        return Tabular(roles.columns)
    if roles.payload == "text":
        return Text(roles.content[0])
    if source.pred_probs is not None:
        return probabilities(table, roles.content, survey.labels)
    return (embedding if roles.payload == "embedding" else images)(table, roles.content[0])


def _displayed(table: SourceTable, roles: Roles) -> tuple[str, ...]:
    """Return what a reviewer sees of a row beside its content: the columns that fit into a cell."""
    return tuple(
        stored for name, stored in roles.kept.items() if is_displayable(table.schema.field(name).type)
    )


def _synthetic(table: SourceTable, content: Content) -> Synthetic | None:
    """Return how the data were drawn, if these are the features that were drawn."""
    note = synthetic_metadata(table.schema)
    try:
        synthetic = Synthetic.model_validate(note) if note else None
    except ValidationError:
        return None
    return synthetic if synthetic and (len(synthetic.mean_0),) == content.shape else None
