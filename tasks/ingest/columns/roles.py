"""Which column means what: what the user named, and what can be told from names, types and values."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.columns.centres import choose_centres
from tasks.ingest.columns.choice import (
    ROLES,
    TRUTH_NAME,
    ContentChoice,
    check_exists,
    choose_content,
    list_content_options,
)
from tasks.ingest.columns.label_hints import suggest_label
from tasks.ingest.columns.types import fits_parquet, has_text
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.labels.derived import AGREEMENT
from tasks.ingest.reading import FileReader
from tasks.ingest.table import SourceTable
from tasks.records import DECISION_COLUMNS, QUEUE_COLUMNS, Payload, Source

log = logging.getLogger("labelsweep.ingest")

_CANONICAL = ("sample_id", "label", "features", "content_hash", "source_row", "image", "trusted")
# Names that columns of ours have somewhere between the data set and the queue.
_OURS = frozenset({*_CANONICAL, *QUEUE_COLUMNS, *DECISION_COLUMNS})
_MADE = {"content_hash", "source_row"}


@dataclass(frozen=True, kw_only=True)
class Roles(ContentChoice):
    """Columns by their meaning.

    Attributes:
        id: Column of the user's ids, if there is one.
        trusted: Column that says whether the label is verified.
        truth: Column of the true label; nothing but the file of truths may hold it.
        group: Column that says which rows belong together, if there is one; it is one of those that are kept.
        kept: The user's own columns, each with the name under which it is kept.
    """

    label: str
    id: str | None
    trusted: str | None
    truth: str | None
    group: str | None
    kept: dict[str, str]


def assign_roles(source: Source, table: SourceTable) -> Roles:
    """Return the meaning of each column.

    Raises:
        InputError: A named column does not exist or cannot mean that, or there is nothing to learn from.
    """
    schema = table.schema
    named = {role: getattr(source, role) for role in ROLES}
    given = {role: name for role, name in named.items() if name is not None}
    raters = source.raters or ()
    _check_header(source, table)
    for role, name in given.items():
        check_exists(role, name, table, set(given.values()) - {name})
    _check_parts(given, raters, table)
    for role, name in [*given.items(), *(("a rater", name) for name in raters)]:
        other = next((r for r, n in given.items() if n == name and r != role), None)
        if other:
            raise table.problem(
                f"column '{name}' is named as {role} and as {other}", fix="name two different columns"
            )
    if source.group is not None:
        _check_group(source.group, table)
    # What several raters said is the label already; it must not become a feature too.
    choice = choose_content(source, table, {*given.values(), *raters, *((AGREEMENT,) if raters else ())})
    taken = {*given.values()} - {source.group} | {*(choice.content if choice.payload != "tabular" else ())}
    if TRUTH_NAME in schema.names and TRUTH_NAME not in {*given.values(), *raters, *choice.content}:
        log.info("column '%s' is left out; --truth %s scores the queue with it", TRUTH_NAME, TRUTH_NAME)
        taken.add(TRUTH_NAME)
    if is_ours(source, schema):  # what an earlier ingest added is made again, not kept beside
        taken |= {*_MADE, "features"}
    free = [field.name for field in schema if field.name not in taken and fits_parquet(field.type)]
    columns, beside = (choose_centres(table, some) for some in (choice.columns, choice.beside))
    choice = replace(choice, columns=columns, beside=beside)
    return Roles(**vars(choice), **named, kept=choose_kept_names(free, choice.payload))


def list_named_columns(source: Source) -> frozenset[str]:
    """Return the columns that the user named."""
    roles = (*(getattr(source, role) for role in ROLES), *(source.raters or ()))
    contents = list_content_options(source).values()
    content = (name for names in contents for name in ([names] if isinstance(names, str) else names))
    return frozenset(name for name in (*roles, *content) if name)


def _check_parts(given: dict[str, str], raters: Iterable[str], table: SourceTable) -> None:
    """Raise InputError when one file of several lacks a column that the user named: a test set without labels, say."""
    for name in dict.fromkeys([*given.values(), *raters]):
        without = [reader for reader in table.readers if name not in reader.schema.names]
        if 0 < len(without) < len(table.readers):
            more = f", nor have {len(without) - 1:,} other files" if len(without) > 1 else ""
            has_it = next(reader for reader in table.readers if reader not in without)
            raise InputError(
                f"has no column '{name}'{more}",
                where=without[0].part.shown,
                fix=_explain_join(without[0], has_it),
            )


def _explain_join(without: FileReader, has_it: FileReader) -> str:
    """Return what to do where one file has the labels and another has none."""
    shared = [name for name in has_it.schema.names if name in without.schema.names]
    if len(shared) > 1:
        return "add the column, or sweep the files that have it"
    how = f"features.merge(labels, on='{shared[0]}')" if shared else "pd.concat([features, labels], axis=1)"
    return f"of features and labels in two files make one table: {how} in pandas"


def _check_group(group: str, table: SourceTable) -> None:
    """Raise InputError when a column cannot say which rows belong together."""
    kind = table.schema.field(group).type
    if not has_text(kind) or all(
        convert_to_text(batch.column(0)).null_count == batch.num_rows for batch in table.scan([group])
    ):
        raise table.problem(
            f"group column '{group}' holds {kind if not has_text(kind) else 'no value at all'}",
            fix="name a column of text or numbers with --group",
        )


def _check_header(source: Source, table: SourceTable) -> None:
    """Raise InputError when the label is not among the columns of a file that does not name them."""
    reader = table.readers[0]
    dialect = reader.dialect if reader.notes else None
    if dialect is not None and not dialect.has_header and source.label not in table.schema.names:
        raise table.problem(
            f"it has no header, and its columns are named c0 to c{len(dialect.names) - 1}",
            fix=f"{suggest_label(table) or 'name the column of the labels with --label'}, or write a header",
        )


def is_ours(source: Source, schema: pa.Schema) -> bool:
    """Return whether a file is of an earlier ingest's making, as the versions of a data set are."""
    return source.id == "sample_id" and set(schema.names) >= _MADE


def choose_kept_names(names: list[str], payload: Payload) -> dict[str, str]:
    """Return the name under which each of the user's columns is kept; our own names are taken."""
    kept: dict[str, str] = {}
    ours = {*_OURS, *([payload] if payload == "text" else [])}
    used = {*ours, *names}
    for name in names:
        stored = name
        while stored in ours or (stored != name and stored in used):
            stored = f"source.{stored}"
        used.add(stored)
        kept[name] = stored
    return kept
