"""Which column means what: what the user named, and what can be told from names, types and values."""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.columns.centres import with_centres
from tasks.ingest.columns.choice import TRUTH_NAME, Choice, check_exists, choose_content
from tasks.ingest.columns.types import fits_parquet, has_text
from tasks.ingest.columns.values import as_text
from tasks.ingest.labels.derived import AGREEMENT
from tasks.ingest.leaks.search import without_leaks
from tasks.ingest.table import SourceTable, as_delimited
from tasks.records import DECISION_COLUMNS, QUEUE_COLUMNS, Column, Payload, Source

log = logging.getLogger("labelsweep.ingest")

_CANONICAL = ("sample_id", "label", "features", "content_hash", "source_row", "image", "trusted")
# Names that columns of ours have somewhere between the data set and the queue.
_OURS = frozenset({*_CANONICAL, *QUEUE_COLUMNS, *DECISION_COLUMNS})
_LOOK = 2**16
_MADE = {"content_hash", "source_row"}
# A person reads a line of a dozen columns; the report has them all.
_TOLD = 12


@dataclass(frozen=True)
class Roles:
    """Columns by their meaning.

    Attributes:
        label: Column of the given label.
        id: Column of the user's ids, if there is one.
        trusted: Column that says whether the label is verified.
        truth: Column of the true label; nothing but the file of truths may hold it.
        group: Column that says which rows belong together, if there is one; it is one of those that are kept.
        payload: What a sample is.
        content: The columns that the model sees: many of a table, or one embedding, image or text.
        kept: The user's own columns, each with the name under which it is kept.
        columns: What each column of a table is.
        left_out: Why a column of a table is not learned from.
        leaks: Of these, the columns that give the label away.
        suspects: Columns that are learned from though they may give the label away, each with the reason.
        notes: What a person should know of how columns are read, a line each.
    """

    label: str
    id: str | None
    trusted: str | None
    truth: str | None
    payload: Payload
    content: tuple[str, ...]
    kept: dict[str, str]
    columns: tuple[Column, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    group: str | None = None
    leaks: dict[str, str] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)


def assign_roles(source: Source, table: SourceTable) -> Roles:
    """Return the meaning of each column.

    Raises:
        InputError: A named column does not exist or cannot mean that, or there is nothing to learn from.
    """
    schema = table.schema
    named = {"label": source.label, "id": source.id, "trusted": source.trusted, "truth": source.truth}
    named["group"] = source.group
    given = {role: name for role, name in named.items() if name is not None}
    _check_header(source, table)
    for role, name in given.items():
        check_exists(role, name, schema, source.uri, set(given.values()) - {name})
    _check_parts(given, source.raters or (), table)
    for role, name in given.items():
        other = next((r for r, n in given.items() if n == name and r != role), None)
        if other:
            raise InputError(
                f"column '{name}' is named as {role} and as {other}",
                where=source.uri,
                fix="name two different columns",
            )
    for name in source.raters or ():
        other = next((r for r, n in given.items() if n == name), None)
        if other:
            raise InputError(
                f"column '{name}' is named as a rater and as {other}",
                where=source.uri,
                fix="name two different columns",
            )
    if source.group is not None:
        _check_group(source.group, table)
    # What several raters said is the label already; it must not become a feature too.
    votes = {*(source.raters or ()), *((AGREEMENT,) if source.raters else ())}
    choice = choose_content(source, table, {*given.values(), *votes})
    taken = {*given.values()} - {source.group} | {*(choice.content if choice.payload != "tabular" else ())}
    taken |= _left_out(source, choice.content) | _bookkeeping(source, schema)
    kept = _kept_names(
        [field.name for field in schema if field.name not in taken and fits_parquet(field.type)],
        choice.payload,
    )
    _tell(source, schema, choice)
    return Roles(
        source.label,
        source.id,
        source.trusted,
        source.truth,
        choice.payload,
        choice.content,
        kept,
        with_centres(table, choice.columns),
        choice.left_out,
        group=source.group,
        notes=choice.notes,
    )


def _check_parts(given: dict[str, str], raters: Iterable[str], table: SourceTable) -> None:
    """Raise InputError when one file of several lacks a column that the user named: a test set without labels, say."""
    for name in dict.fromkeys([*given.values(), *raters]):
        without = [reader.part.shown for reader in table.readers if name not in reader.schema.names]
        if 0 < len(without) < len(table.readers):
            more = f", nor have {len(without) - 1:,} other files" if len(without) > 1 else ""
            raise InputError(
                f"has no column '{name}'{more}",
                where=without[0],
                fix="add the column, or sweep the files that have it",
            )


def _check_group(group: str, table: SourceTable) -> None:
    """Raise InputError when a column cannot say which rows belong together."""
    kind = table.schema.field(group).type
    if not has_text(kind) or all(
        as_text(batch.column(0)).null_count == batch.num_rows for batch in table.scan([group], _LOOK)
    ):
        raise InputError(
            f"group column '{group}' holds {kind if not has_text(kind) else 'no value at all'}",
            where=table.uri,
            fix="name a column of text or numbers with --group",
        )


def _check_header(source: Source, table: SourceTable) -> None:
    """Raise InputError when the label is not among the columns of a file that does not name them."""
    reader = as_delimited(table.readers[0])
    dialect = reader.dialect if reader is not None and reader.notes else None
    if dialect is not None and not dialect.has_header and source.label not in table.schema.names:
        last = f"c{len(dialect.names) - 1}"
        raise InputError(
            f"it has no header, and its columns are named c0 to {last}",
            where=source.uri,
            fix=f"name the column of the labels, such as --label {last}, or write a header",
        )


def clear_of_leaks(source: Source, table: SourceTable, roles: Roles) -> Roles:
    """Return the roles without features that are ids or give the label away; what is left out is still shown.

    Args:
        source: What the user named.
        table: The source, whose labels are known to be classes.
        roles: The meaning of each column.

    Raises:
        InputError: Nothing is left to learn from.
    """
    before = Choice(roles.payload, roles.content, roles.columns, roles.left_out)
    choice = without_leaks(source, table, before)
    kept = roles.kept
    if choice.payload != roles.payload:
        kept = _kept_names([name for name in kept if name not in choice.content], choice.payload)
    _tell_left_out(choice)
    return replace(
        roles,
        payload=choice.payload,
        content=choice.content,
        kept=kept,
        columns=choice.columns,
        left_out=choice.left_out,
        leaks=choice.leaks,
        suspects=choice.suspects,
        notes=(*roles.notes, *choice.notes),
    )


def _left_out(source: Source, content: Iterable[str]) -> set[str]:
    return {TRUTH_NAME} - {source.truth, source.label, source.id, source.trusted} - set(content)


def _bookkeeping(source: Source, schema: pa.Schema) -> set[str]:
    """Return what an earlier ingest added to a file of its own making: it is made anew, not kept beside."""
    return {*_MADE, "features"} if is_ours(source, schema) else set()


def is_ours(source: Source, schema: pa.Schema) -> bool:
    """Return whether a file is of an earlier ingest's making, as the versions of a data set are."""
    return source.id == "sample_id" and set(schema.names) >= _MADE


def _kept_names(names: list[str], payload: Payload) -> dict[str, str]:
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


def _tell(source: Source, schema: pa.Schema, choice: Choice) -> None:
    """Say that a column of truths is no feature, so that nobody is surprised by it."""
    if TRUTH_NAME in schema.names and TRUTH_NAME in _left_out(source, choice.content):
        log.info("column '%s' is left out; --truth %s scores the queue with it", TRUTH_NAME, TRUTH_NAME)


def _tell_left_out(choice: Choice) -> None:
    """Say which columns are no features, and why."""
    if choice.left_out:
        why = ", ".join(f"'{name}' ({reason})" for name, reason in list(choice.left_out.items())[:_TOLD])
        rest = f" and {len(choice.left_out) - _TOLD} more" if len(choice.left_out) > _TOLD else ""
        log.info("%d columns are features; shown to the reviewer only: %s%s", len(choice.content), why, rest)


def synthetic_metadata(schema: pa.Schema) -> dict[str, object] | None:
    """Return what `synthesize` wrote about how the data were drawn, if it did."""
    text = (schema.metadata or {}).get(b"labelsweep.synthetic")
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
