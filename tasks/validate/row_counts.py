"""What the facts say of the rows: findings for which no expectation has to be run, as they were counted in passing.

Each is written as an expectation all the same, on a column of what was counted, so that the suite and the Data Docs show it.
"""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.records import Dataset
from tasks.validate.checks import Check
from tasks.validate.facts import RowFacts
from tasks.validate.findings import Finding
from tasks.validate.messages import explain_rare_class, find_similar_class, show_value

Rows = NDArray[np.int64]


def find_unusable_rows(dataset: Dataset, facts: RowFacts) -> list[Finding]:
    """Return which rows ingest could not read, and which lack the numbers that the model needs."""
    why, nonfinite = facts.unreadable, facts.nonfinite.rows
    rows, findings = nonfinite["row"].to_numpy(), []
    if dataset.unreadable is not None:
        says, fails = "each value is what its column holds", "a value does not fit its column"
        unread = np.setdiff1d(np.array(sorted(why), np.int64), rows)
        findings.append(
            _make_finding(
                ("readable values", "unreadable", {"value_set": [0]}),
                (says, fails),
                (unread, dataset.rows),
                lambda rows: [why[row] for row in rows.tolist()],
            )
        )
    if dataset.payload == "text":
        return findings

    def explain(rows: Rows) -> list[str]:
        if dataset.payload == "image":
            return [why.get(row, "there is no image") for row in rows.tolist()]
        some = nonfinite.iloc[np.searchsorted(nonfinite["row"], rows)]
        return [
            f"feature '{dataset.feature_names[feature]}' is not finite ({show_value(value)})"
            + (f" and {count - 1} more" if count > 1 else "")
            for feature, value, count in zip(some["feature"], some["value"], some["count"], strict=True)
        ]

    count = len(dataset.feature_names)
    key, says, fails = "finite features", f"each of the {count} features is finite", "a feature is not finite"
    if dataset.payload == "image":
        key, says = "image", "each image is there and decodes"
        fails = "the image is missing or does not decode"
    elif dataset.columns:
        says = f"none of the {count} features is infinite, and they are not all missing"
    finite = (key, "nonfinite_features", {"value_set": [0]})
    return [*findings, _make_finding(finite, (says, fails), (rows, dataset.rows), explain)]


def find_typos(dataset: Dataset, facts: RowFacts, kept: Rows, folds: int) -> dict[str, str]:
    """Return the labels that too few kept rows have, and that are nearly the name of a class, with that class."""
    counts = np.bincount(facts.labels[kept], minlength=len(dataset.classes))
    large = [name for name, count in zip(dataset.classes, counts, strict=True) if count >= folds]
    small = [name for name, count in zip(dataset.classes, counts, strict=True) if 0 < count < folds]
    return {name: twin for name in small if (twin := find_similar_class(name, large)) is not None}


def find_small_classes(
    dataset: Dataset, facts: RowFacts, kept: Rows, folds: int, typos: Collection[str] = ()
) -> list[Finding]:
    """Return which kept rows are of a class with too few samples, or of one that is in one group.

    Args:
        kept: Numbers of the rows that are left  # (kept,)
        folds: Each class needs a sample in each fold.
        typos: Labels that are not a class of their own: their rows stay, and are asked about.
    """
    labels, names = facts.labels[kept], dataset.classes
    counts = np.bincount(labels, minlength=len(names))
    large = [name for name, count in zip(names, counts, strict=True) if count >= folds]
    is_typo = np.isin(labels, [names.index(name) for name in typos])

    def rare(rows: Rows) -> list[str]:
        return [explain_rare_class(names[i], int(counts[i]), folds, large) for i in facts.labels[rows]]

    def alone(rows: Rows) -> list[str]:
        where = f"is in one group of column '{dataset.group}', and no other group can check it"
        return [f"class '{names[i]}' {where}" for i in facts.labels[rows]]

    words = (
        f"each class has {folds} samples or more, one for each fold",
        "the class has fewer samples than folds",
    )
    samples = ("samples of each class", "samples_of_label", {"min_value": folds})
    findings = [_make_finding(samples, words, (kept[(counts[labels] < folds) & ~is_typo], len(kept)), rare)]
    if len(typos):
        spelled = ("names of classes", "class_named_nearly_the_same", {"value_set": [0]})
        said = (
            "no label that few samples have is nearly the name of a class",
            "the label is nearly the name of a class",
        )
        findings.append(_make_finding(spelled, said, (kept[is_typo], len(kept)), rare, severity="warning"))
    if facts.groups is not None:
        # One group is in one fold, and is judged by the others.
        pairs = pd.DataFrame({"label": labels, "group": facts.groups[kept]})
        few = kept[(pairs.groupby("label")["group"].transform("nunique") < 2) & ~is_typo]
        groups = ("groups of each class", "groups_of_label", {"min_value": 2})
        words = (
            f"each class is in two groups or more of column '{dataset.group}'",
            "the class is in one group",
        )
        findings.append(_make_finding(groups, words, (few, len(kept)), alone))
    return findings


def find_conflicts(kept: Rows, others: NDArray[np.int32], folds: int) -> list[Finding]:
    """Return whether enough rows stay, and which of them have content that carries another label too.

    Args:
        kept: Numbers of the rows that stay  # (kept,)
        others: For each of them, how many other labels its content carries  # (kept,)
        folds: Two classes need a sample each in each fold.
    """

    def explain(rows: Rows) -> list[str]:
        return [f"its content carries {n} more label(s)" for n in others[np.searchsorted(kept, rows)]]

    says = f"there are {2 * folds} rows or more: two classes in each of {folds} folds"
    kind, least = "expect_table_row_count_to_be_between", {"min_value": 2 * folds}
    row_count = Check(key="row count", kind=kind, kwargs=least, columns=(), says=says)
    content = ("one label for identical content", "other_labels_of_content", {"value_set": [0]})
    words = "identical content carries one label", "identical content carries another label too"
    return [
        Finding(row_count, holds=len(kept) >= 2 * folds, observed=len(kept)),
        _make_finding(content, words, (kept[others > 0], len(kept)), explain, severity="warning"),
    ]


def _make_finding(
    expectation: tuple[str, str, dict[str, Any]],
    words: tuple[str, str],
    rows: tuple[Rows, int],
    explain: Callable[[Rows], list[str]],
    severity: str = "critical",
) -> Finding:
    """Return what was counted as the finding of an expectation about a column of it.

    Args:
        expectation: Key of the check, name of what was counted, and what it has to be.
        words: What the check says, and what it is called when it fails.
        rows: Numbers of the rows that fail, and how many were looked at.
        severity: As Great Expectations names it; what is not critical sets nothing aside.
    """
    key, counted, bounds = expectation
    kind = (
        "expect_column_values_to_be_in_set" if "value_set" in bounds else "expect_column_values_to_be_between"
    )
    column = f"labelsweep_{counted}"
    check = Check(
        key=key,
        kind=kind,
        kwargs={"column": column, **bounds},
        columns=(column,),
        says=words[0],
        fails=words[1],
        explain=lambda rows, _: explain(rows),
        severity=severity,
    )
    return Finding(check, elements=rows[1], unexpected=len(rows[0]), rows=[rows[0]])
