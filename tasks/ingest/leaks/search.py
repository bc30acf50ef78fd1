"""Columns that give the label away, found before anything is learned from them.

With a second column of labels, a running number of rows that were collected class by class, or the code of a patient, a model
repeats the given label, right or wrong, and finds no error. Each column alone is asked, on a sample of rows, how well it tells
the given label. What tells it, and looks like a label or an id, is left out. A measurement is kept however well it tells.

A column that was made from the given label agrees with it in all rows, wrong ones included. One that agrees in all rows but a
few percent has a source of its own: its disagreements are evidence, unless it is itself a label. Then a person decides: it may
be a second rater, or the truth.
"""

import logging
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from tasks.errors import list_names
from tasks.ingest.columns.choice import MOST_NAMED
from tasks.ingest.columns.kinds import DIFFERENT
from tasks.ingest.columns.roles import Roles, choose_kept_names
from tasks.ingest.labels.survey import LabelSurvey
from tasks.ingest.leaks import measures
from tasks.ingest.leaks.column_names import is_id_name, is_label_name, is_person_name, is_time_name
from tasks.ingest.leaks.sample import Sample, SampledColumn, sample_columns
from tasks.ingest.leaks.shares import find_shares
from tasks.ingest.leaks.texts import find_telling_texts
from tasks.ingest.table import SourceTable
from tasks.records import Source

log = logging.getLogger("labelsweep.ingest")

# Less is left than the errors that labels usually have, 3.3 % in ten benchmark test sets (Northcutt, Athalye and Mueller,
# "Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks", 2021): a column with a source of its own
# disagrees with the wrong ones. The most telling single measurements of iris, wine, breast cancer, penguins and mushrooms
# have 0.93, 0.79, 0.83, 0.77 and 0.97.
REPEATS = 0.99
# A column that tells the true class of two even classes has this where a tenth of the given labels is wrong.
TELLS = 0.8
# "Substantial" agreement of two raters (Landis and Koch, "The Measurement of Observer Agreement for Categorical Data", 1977).
_AGREES = 0.6
# Where no row of 50 disagrees, at most 6 % would (rule of three); fewer say too little.
LEAST_ROWS = 50
# Rows outside the most frequent class: a rare mark goes with fewer by chance.
_LEAST_OTHERS = 10
# A shorter value is in many names by chance.
_LEAST_NAME = 3
# A person reads a line of a dozen columns; the report has them all.
_TOLD = 12
# The line of a step names six columns, too.
_NAMED = 6
# Values that any two-valued column has say nothing of whether it is a label.
_ANY_TWO = frozenset({"0", "1", "2", "-1", "yes", "no", "y", "n", "true", "false", "t", "f"})


@dataclass
class _Found:
    """What gives the label away: to be left out, to be kept though nobody knows, and what is only said of a column."""

    left_out: dict[str, str] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def drop_leaks(source: Source, table: SourceTable, roles: Roles, labels: LabelSurvey) -> Roles:
    """Return the roles without features that are ids or give the label away; what is left out is still shown.

    Args:
        source: What the user named; columns of `--features` stay, and are suspects where they would have been left out.
        table: The source, whose labels are known to be classes.
        labels: How they are read: each class in one spelling.

    Raises:
        InputError: Nothing is left to learn from.
    """
    found = _drop_leaks(source, table, roles, labels)
    if found.left_out:
        reasons = list(found.left_out.items())
        why = ", ".join(f"'{name}' ({reason})" for name, reason in reasons[:_TOLD])
        rest = f" and {len(reasons) - _TOLD} more" if len(reasons) > _TOLD else ""
        log.info("%d columns are features; shown to the reviewer only: %s%s", len(found.content), why, rest)
    return found


def _drop_leaks(source: Source, table: SourceTable, roles: Roles, labels: LabelSurvey) -> Roles:
    features = (*roles.columns, *roles.beside, *roles.aside)
    is_text = roles.payload == "text"
    texts = roles.content if is_text else [one.name for one in features if one.kind == "text"]
    words: dict[str, str] = {}
    for name in texts:
        words |= find_telling_texts(table, labels, name, LEAST_ROWS, REPEATS)
    asked = [column for column in features if column.kind != "text"]
    if not asked:
        return replace(roles, suspects=words)
    sample = sample_columns(table, labels, asked).without_copies()
    if source.features is not None:
        return replace(roles, suspects=_ask(sample, roles.label).left_out | words)
    ids = {
        one.name: "an id: nearly every value is different" for one in sample.columns if _is_id_by_name(one)
    }
    found = _ask(replace(sample, columns=[one for one in sample.columns if one.name not in ids]), roles.label)
    gone = {**ids, **found.left_out}
    kept = tuple(column for column in roles.columns if column.name not in gone)
    left_out = {**roles.left_out, **gone}
    if is_text:
        notes = (*roles.notes, *_describe_aside(roles, gone))
        return replace(roles, left_out=left_out, leaks=found.left_out, suspects=words, notes=notes)
    if not kept:
        raise table.problem(
            f"nothing is left to learn from: {list_reasons(gone)}",
            fix="add columns, or name with --features what is to be learned from all the same",
        )
    roles = replace(roles, left_out=left_out, leaks=found.left_out)
    if len(kept) == 1 and kept[0].kind == "text":
        shown = choose_kept_names([name for name in roles.kept if name != kept[0].name], "text")
        text = (kept[0].name,)
        return replace(roles, payload="text", content=text, columns=(), suspects=words, kept=shown)
    return replace(
        roles,
        content=tuple(column.name for column in kept),
        columns=kept,
        suspects=found.suspects | words,
        notes=(*roles.notes, *found.notes.values()),
    )


def _describe_aside(roles: Roles, gone: Container[str]) -> tuple[str, ...]:
    """Return how to learn from what is beside the only text, but for what gives the label away."""
    text, columns = roles.content[0], [column for column in roles.aside if column.name not in gone]
    features = [column.name for column in columns if column.kind != "text"][:MOST_NAMED]
    said = f"only the text in '{text}' is learned from, not {list_names(list(dict.fromkeys(column.name for column in columns)))}"
    return (f"{said}; --text {text} --features {','.join(features)} learns from both",) if features else ()


def describe_leaks(leaks: dict[str, str], suspects: dict[str, str]) -> list[str]:
    """Return what a person must know of columns that give the label away, a line for each kind.

    >>> describe_leaks({"code": "repeats the label in 100.0 % of the rows"}, {})
    ["left out, since it gives the label away: 'code' (repeats the label in 100.0 % of the rows); --features brings it back"]
    """
    lines = []
    if leaks:
        it, gives = ("it", "it gives") if len(leaks) == 1 else ("them", "they give")
        lines.append(
            f"left out, since {gives} the label away: {list_reasons(leaks)}; --features brings {it} back"
        )
    if suspects:
        lines.append(f"no estimate of this run can be trusted: {list_reasons(suspects)}")
    return lines


def list_reasons(found: dict[str, str]) -> str:
    """Return names with their reasons, those of one reason together.

    >>> list_reasons({"a": "repeats the label", "b": "repeats the label"})
    "'a', 'b' (repeats the label)"
    """
    names: dict[str, list[str]] = {}
    for name, why in found.items():
        names.setdefault(why, []).append(name)
    shown = ", ".join(f"{list_names(same)} ({why})" for why, same in list(names.items())[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _is_id_by_name(column: SampledColumn) -> bool:
    """Return whether name and values say that a column tells rows apart."""
    if not is_id_name(column.name) or column.kind == "date" or not len(column.known):
        return False
    return column.is_whole and column.different > DIFFERENT * len(column.known)


def _ask(sample: Sample, label: str) -> _Found:
    """Ask every column alone, and those of two values together."""
    found, labels = _Found(), sample.labels
    if len(labels) < LEAST_ROWS or len(labels) - np.bincount(labels).max() < _LEAST_OTHERS:
        return found
    rows_tell = measures.measure_neighbours(sample.rows.astype(np.float64), labels)
    for column in sample.columns:
        why = (
            _is_label(column, sample, label)
            or _is_running(column, sample, rows_tell)
            or _is_code(column, labels)
            or _has_gaps(column, labels)
        )
        if why:
            found.left_out[column.name] = why
        elif (share := measures.measure_column(column.codes, column.numbers, labels)) >= REPEATS:
            found.suspects[column.name] = (
                f"tells {share:.1%} of what there is to tell of the label; leave it out if it was made from the label, "
                "name it in --features if it was measured"
            )
        elif (agreement := measures.measure_match(column.codes, labels))[0] >= _AGREES:
            found.notes[column.name] = (
                f"column '{column.name}' agrees with the label in {agreement[1]:.1%} of the rows and is learned from; "
                "if it was made from the label, name only the others with --features"
            )
    rest = [one for one in sample.columns if one.name not in found.left_out]
    for name, why in (find_shares(rest, sample, REPEATS) | _find_flags(rest, sample)).items():
        found.left_out[name] = why
        found.suspects.pop(name, None)
        found.notes.pop(name, None)
    return found


def _is_label(column: SampledColumn, sample: Sample, label: str) -> str:
    """Return how a column is the label once more, one value for each class."""
    there = column.present if column.present.sum() >= LEAST_ROWS else np.ones_like(column.present)
    codes, labels = column.codes[there], sample.labels[there]
    share, rows = measures.measure_match(codes, labels)
    what = "rows" if there.all() else "rows that have a value"
    if share >= REPEATS:
        return f"repeats the label in {rows:.1%} of the {what}"
    if _is_part_of_names(column, sample):
        return "is a coarser label: its values are parts of the names of the classes"
    is_called_label = is_label_name(column.name, label)
    if is_called_label and measures.measure_value(labels, codes)[0] >= REPEATS:
        return "is a coarser label: each class has one of its values"
    if share < _AGREES:
        return ""
    same_names = _has_class_names(column, sample, rows, there)
    # With two classes, any column of two values goes with them one to one.
    alike = same_names or 2 < len(sample.classes) == len(np.unique(codes))
    if not is_called_label and not (share >= TELLS and alike):
        return ""
    fix = f"--raters {label},{column.name} if a second person gave it, --truth {column.name} if it is right"
    return f"looks like a second label, and agrees in {rows:.1%} of the {what}" + (
        f": {fix}" if same_names else ""
    )


def _is_part_of_names(column: SampledColumn, sample: Sample) -> bool:
    """Return whether each value is a part of the name of its row's class, as 'animal' is of 'animal/cat'."""
    if column.kind != "category" or len(set(column.distinct) - {""}) < 2:
        return False
    pairs = pd.Series(zip(column.codes[column.present], sample.labels[column.present], strict=True))
    parts = [
        count
        for (value, label), count in pairs.value_counts().items()
        if len(str(column.distinct[value])) >= _LEAST_NAME
        and str(column.distinct[value]).strip().casefold() in sample.classes[label].casefold()
    ]
    return bool(sum(parts) >= REPEATS * len(sample.labels))


def _has_class_names(column: SampledColumn, sample: Sample, matching: float, there: measures.Flags) -> bool:
    """Return whether the values of a column are the names of the classes, in as many rows as they match one to one."""
    names = [name.strip().casefold() for name in sample.classes]
    if len(names) == 2 and set(names) <= _ANY_TWO:
        return False
    place = {name: number for number, name in enumerate(names)}
    values = (
        one if isinstance(one, str) else "" if np.isnan(one) else f"{one:.15g}" for one in column.distinct
    )
    number = np.array([place.get(value.strip().casefold(), -1) for value in values])
    return float((number[column.codes] == sample.labels)[there].mean()) >= matching - 0.01


def _has_gaps(column: SampledColumn, labels: measures.Ints) -> str:
    """Return how a column has a value in the rows of one class and none in those of the others, or the other way round."""
    there = column.present.astype(np.int64)
    if there.all() or not there.any() or min(there.sum(), len(there) - there.sum()) < _LEAST_OTHERS:
        return ""
    flag = measures.find_class_of_flag(there, labels, REPEATS)
    if flag is None:
        return ""
    rows = float((flag[1] == (labels == flag[0])).mean())
    return f"has a value or none as the label says in {rows:.1%} of the rows"


def _is_running(column: SampledColumn, sample: Sample, rows_tell: float) -> str:
    """Return how a column numbers rows that were collected class by class."""
    if column.numbers is None or column.present.mean() < 1 - measures.SHARED:
        return ""
    known = column.known
    steps = np.diff(known[np.argsort(sample.rows[column.present])])
    in_order = rows_tell >= TELLS and bool((steps >= 0).all() or (steps <= 0).all())
    numbering = measures.is_numbering(known) or (
        in_order and measures.is_numbering(measures.convert_to_steps(known))
    )
    if not numbering and not (column.kind == "date" or is_time_name(column.name)):
        return ""
    told = measures.measure_neighbours(known, sample.labels[column.present])
    if told < (TELLS if numbering or in_order else REPEATS):
        return ""
    return f"{'a running number' if numbering else 'a time'} of rows that were collected class by class"


def _is_code(column: SampledColumn, labels: measures.Ints) -> str:
    """Return how a column is a code of which each value belongs to one class."""
    told, shared = measures.measure_value(column.codes, labels)
    if shared < measures.SHARED or column.different < 2:
        return ""
    classes = int(labels.max()) + 1
    somebody = is_person_name(column.name)
    if told >= TELLS and somebody and column.different > classes:
        return f"says whom a row is of, each of one class; --group {column.name} keeps their rows together"
    if told < REPEATS:
        return ""
    if column.numbers is not None and column.kind != "date":
        # A measurement has a threshold between two classes; a code goes to and fro.
        dense = somebody or np.ptp(column.known) < 2 * column.different
        to_and_fro = measures.count_stretches(column.known, labels[column.present]) > 2 * classes
        if not (column.is_whole and dense and to_and_fro):
            return ""
    return "each of its values belongs to one class"


def _find_flags(columns: Sequence[SampledColumn], sample: Sample) -> dict[str, str]:
    """Return the columns of two values that are the label together, one for each class."""
    found, all_named = {}, True
    for column in columns:
        if column.different != 2:
            continue
        named = any(column.name.casefold().endswith(name.casefold()) for name in sample.classes)
        flag = measures.find_class_of_flag(column.codes, sample.labels, TELLS if named else REPEATS)
        if flag is not None:
            found[column.name] = flag
            all_named = all_named and named
    if len(found) < 2:
        return {}
    share, rows = measures.measure_flags(list(found.values()), sample.labels)
    if share < (TELLS if all_named else REPEATS):
        return {}
    return dict.fromkeys(
        found, f"one for each class, together they repeat the label in {rows:.1%} of the rows"
    )
