"""Whether data can be used: the checks of the whole set before any row is judged, and what follows from the findings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.records import Dataset
from tasks.validate import row_counts
from tasks.validate.drift import describe_drift
from tasks.validate.facts import RowFacts, compare_labels
from tasks.validate.findings import Finding
from tasks.validate.messages import find_similar_class
from tasks.validate.parts import find_source_row

TEXTS = ("sample_id", "label", "content_hash")


@dataclass(frozen=True)
class Verdict:
    """What follows from the findings.

    Attributes:
        findings: All findings, those about the kept rows included.
        aside: Which rows are set aside  # (rows,)
        reasons: Numbers of the rows set aside for each reason, the most common reason first.
        counts: Kept samples of each class  # (classes,)
        conflicting: Numbers of the kept rows whose content carries another label too  # (conflicting,)
        duplicates: Kept rows that repeat the content and label of an earlier one.
        problem: Why the run cannot continue; empty when it can.
        typos: Labels that few samples have and that are nearly the name of a class, with that class.
    """

    findings: list[Finding]
    aside: NDArray[np.bool_]
    reasons: dict[str, NDArray[np.int64]]
    counts: NDArray[np.int64]
    conflicting: NDArray[np.int64]
    duplicates: int
    problem: str
    typos: dict[str, str]


def require_layout(dataset: Dataset) -> list[str]:
    """Check that the file is the one its record speaks of; return the columns that a row is checked on.

    Raises:
        InputError: The file is gone, is not Parquet, or has other rows or columns than its record says.
    """
    features = ["features"] if dataset.feature_names else []
    shown = [dataset.payload] if dataset.payload in ("image", "text") else []
    trusted = ["trusted"] if dataset.trusted else []
    required = (*TEXTS, "source_row", *features, *shown, *trusted, *dataset.display_columns)
    what, types = "", {}
    try:
        metadata = pq.read_metadata(dataset.path)
    except (OSError, pa.ArrowInvalid) as error:
        what = f"it cannot be read ({str(error).splitlines()[0]})"
    else:
        types = {field.name: field.type for field in metadata.schema.to_arrow_schema()}
        if missing := [name for name in required if name not in types]:
            what = f"there is no column '{missing[0]}'"
        elif other := [name for name in TEXTS if types[name] != pa.string()]:
            what = f"column '{other[0]}' is {types[other[0]]}, not string"
        elif metadata.num_rows != dataset.rows:
            what = f"it has {metadata.num_rows:,} rows where {dataset.rows:,} were read"
    if what:
        fix = "start a new run, so that the source is read again"
        raise InputError(what, where=str(dataset.path), fix=fix)
    left_out = ("features", "image") if dataset.payload == "image" else ("features",)
    return [name for name in types if name not in left_out]


def require_usable(dataset: Dataset, facts: RowFacts, folds: int, tolerance: float) -> None:
    """Check what makes an audit possible at all.

    Raises:
        InputError: Too many rows have features that are not finite, there is only one class, or fewer than two have as many
            samples as there are folds.
    """
    found = facts.nonfinite
    share = len(found.rows) / dataset.rows
    # Images that do not decode are not a mistake about columns: the checks of the rows count them.
    if share > tolerance and dataset.payload != "image":
        worst = int(found.by_feature.argmax())
        in_worst = int(found.by_feature[worst])
        first = find_source_row(dataset.path, int(found.first_row[worst]))
        raise InputError(
            f"{share:.1%} of the rows have NaN or infinite features (tolerance {tolerance:.0%}); "
            f"worst is '{dataset.feature_names[worst]}' "
            f"in {in_worst:,} rows ({in_worst / dataset.rows:.1%}), first in source row {first}",
            where=dataset.uri,
            fix="fill the gaps, or leave the column out with --features",
        )
    counts = _count_classes(dataset, facts.labels)
    _require_classes(dataset, counts, counts, folds)


def decide_rows(
    dataset: Dataset, facts: RowFacts, findings: Sequence[Finding], *, folds: int, tolerance: float
) -> Verdict:
    """Decide which rows stay, and find what can only be said about them.

    Args:
        dataset: The data set as ingest wrote it.
        tolerance: Share of rows that may be set aside.

    Raises:
        InputError: Because rows are set aside, one class is left, or fewer than two have as many samples as folds.
    """
    before = _count_classes(dataset, facts.labels)
    aside = set_aside(findings, dataset.rows)
    kept = np.flatnonzero(~aside)
    if not _find_problem(dataset, findings, aside, tolerance):
        _require_classes(dataset, _count_classes(dataset, facts.labels[kept]), before, folds)
    typos = row_counts.find_typos(dataset, facts, kept, folds)
    findings = [*findings, *row_counts.find_small_classes(dataset, facts, kept, folds, typos)]
    aside = set_aside(findings, dataset.rows)
    kept = np.flatnonzero(~aside)
    counts = _count_classes(dataset, facts.labels[kept])
    problem = _find_problem(dataset, findings, aside, tolerance)
    if not problem:
        _require_classes(dataset, counts, before, 1)
    others, duplicates = compare_labels(facts, kept)
    return Verdict(
        findings=[*findings, *row_counts.find_conflicts(kept, others, folds)],
        aside=aside,
        reasons=_group_by_reason(findings),
        counts=counts,
        conflicting=kept[others > 0],
        duplicates=duplicates,
        problem=problem,
        typos=typos,
    )


def _count_classes(dataset: Dataset, labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return how many samples each class has, one number a class."""
    return np.bincount(labels[labels >= 0], minlength=len(dataset.classes)).astype(np.int64)


def _require_classes(
    dataset: Dataset, counts: NDArray[np.int64], before: NDArray[np.int64], folds: int
) -> None:
    """Check that two classes or more have a sample for each fold; the others can be set aside.

    Args:
        counts: Samples of each class now  # (classes,)
        before: Samples of each class before rows were set aside  # (classes,)

    Raises:
        InputError: Only one class is left, or fewer than two have as many samples as there are folds.
    """
    if (counts >= folds).sum() >= 2:
        return
    present = np.flatnonzero(counts)
    if len(present) < 2:
        aside = int(before.sum() - counts.sum())
        note = f" after {aside:,} rows were set aside" if aside else ""
        only = (
            f"there is only one class ('{dataset.classes[present[0]]}')"
            if len(present)
            else "no label is left"
        )
        raise InputError(
            f"{only}{note}", where=dataset.uri, fix="finding wrong labels needs two classes or more"
        )
    small = np.flatnonzero((counts > 0) & (counts < folds))
    worst = small[counts[small].argmax()]
    count, name = int(counts[worst]), dataset.classes[worst]
    lost = f" ({before[worst]:,} before rows were set aside)" if before[worst] > count else ""
    others = {1: "", 2: "; so has another class"}.get(len(small), f"; so have {len(small) - 1} other classes")
    fewer = f"use --folds {count}, or " if count > 1 else ""
    twin = find_similar_class(name, dataset.classes)
    another = "another" if twin is None else f"'{twin}', whose name is nearly the same,"
    raise InputError(
        f"class '{name}' has {count} sample{'s' if count > 1 else ''}{lost}, "
        f"fewer than the {folds} folds{others}",
        where=dataset.uri,
        fix=f"{fewer}merge the class with {another} or remove it",
    )


def set_aside(findings: Sequence[Finding], rows: int) -> NDArray[np.bool_]:
    """Return which of the `rows` rows go to the quarantine, as a mask."""
    aside = np.zeros(rows, bool)
    for finding in findings:
        if finding.sets_aside:
            aside[finding.all_rows] = True
    return aside


def _group_by_reason(findings: Sequence[Finding]) -> dict[str, NDArray[np.int64]]:
    """Return the rows set aside for each reason, the most common reason first."""
    rows: dict[str, list[NDArray[np.int64]]] = {}
    for finding in findings:
        if finding.sets_aside:
            rows.setdefault(finding.check.fails, []).append(finding.all_rows)
    united = {reason: np.unique(np.concatenate(arrays)) for reason, arrays in rows.items()}
    return dict(sorted(united.items(), key=lambda item: (-len(item[1]), item[0])))


def _find_problem(
    dataset: Dataset, findings: Sequence[Finding], aside: NDArray[np.bool_], tolerance: float
) -> str:
    """Return why the run cannot continue, in one line; empty when it can."""
    share = aside.mean()
    if share > tolerance or aside.all():
        reason, rows = next(iter(_group_by_reason(findings).items()))
        first = find_source_row(dataset.path, int(rows[0]))
        left = "no row is left" if aside.all() else f"{share:.1%} of {len(aside):,} rows fail validation"
        return (
            f"{left} (tolerance {tolerance:.0%}); most common reason: {reason}, "
            f"in {len(rows):,} rows, first in source row {first}"
        )
    if drifted := describe_drift([one for one in findings if one.check.stops]):
        return f"unlike the last run, {'; '.join(drifted)} (--drift stops at this; --drift warn accepts it)"
    for finding in findings:
        if finding.check.quarantines and not finding.holds:
            return f"this does not hold: {finding.check.says} (found {finding.observed})"
    return ""
