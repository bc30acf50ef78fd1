"""What follows from the findings: which rows are set aside, and whether the run can go on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.records import Dataset
from tasks.validate.checks import Check
from tasks.validate.engine import Engine
from tasks.validate.facts import Facts, conflicts
from tasks.validate.findings import Finding, judge_classes, judge_kept, set_aside
from tasks.validate.structure import class_counts, require_classes, source_row


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
        tolerance: Share of rows that may be set aside.
        problem: Why the run cannot go on; empty when it can.
    """

    findings: list[Finding]
    aside: NDArray[np.bool_]
    reasons: dict[str, NDArray[np.int64]]
    counts: NDArray[np.int64]
    conflicting: NDArray[np.int64]
    duplicates: int
    tolerance: float
    problem: str


def decide(
    engine: Engine,
    dataset: Dataset,
    facts: Facts,
    findings: Sequence[Finding],
    *,
    checks: Sequence[Check],
    folds: int,
    tolerance: float,
) -> Verdict:
    """Decide which rows stay, and check what can only be said about them.

    Args:
        engine: Great Expectations.
        dataset: The data set as ingest wrote it.
        facts: The facts about its rows.
        findings: What was found about the rows.
        checks: All checks; those about the kept rows are run here.
        folds: Folds of the audit.
        tolerance: Share of rows that may be set aside.

    Raises:
        InputError: Because rows are set aside, one class is left, or fewer than two have as many samples as folds.
    """
    aside = set_aside(findings, facts.rows)
    kept = np.flatnonzero(~aside)
    classes = len(dataset.classes)
    if not _problem(dataset, findings, aside, tolerance):
        counts = class_counts(facts.labels[kept], classes)
        require_classes(dataset, counts, class_counts(facts.labels, classes), folds)
    if len(kept):
        findings = [*findings, *judge_classes(engine, dataset, checks, facts, kept)]
        aside = set_aside(findings, facts.rows)
        kept = np.flatnonzero(~aside)
    why = _reasons(findings)
    counts = class_counts(facts.labels[kept], classes)
    problem = _problem(dataset, findings, aside, tolerance)
    if not problem:
        require_classes(dataset, counts, class_counts(facts.labels, classes), 1)
    others, duplicates = conflicts(facts, kept)
    about_kept = judge_kept(engine, checks, facts, kept, others)
    return Verdict(
        findings=[*findings, *about_kept],
        aside=aside,
        reasons=why,
        counts=counts,
        conflicting=kept[others > 0],
        duplicates=duplicates,
        tolerance=tolerance,
        problem=problem,
    )


def _reasons(findings: Sequence[Finding]) -> dict[str, NDArray[np.int64]]:
    """Return the rows set aside for each reason, the most common reason first."""
    rows: dict[str, list[NDArray[np.int64]]] = {}
    for finding in findings:
        if finding.sets_aside:
            rows.setdefault(finding.check.fails, []).append(finding.all_rows())
    united = {reason: np.unique(np.concatenate(arrays)) for reason, arrays in rows.items()}
    return dict(sorted(united.items(), key=lambda item: (-len(item[1]), item[0])))


def _problem(
    dataset: Dataset,
    findings: Sequence[Finding],
    aside: NDArray[np.bool_],
    tolerance: float,
) -> str:
    """Return why the run cannot go on, in one line; empty when it can."""
    share = aside.mean()
    if share > tolerance or aside.all():
        reason, rows = next(iter(_reasons(findings).items()))
        first = source_row(dataset.path, int(rows[0]))
        left = "no row is left" if aside.all() else f"{share:.1%} of {len(aside):,} rows fail validation"
        return (
            f"{left} (tolerance {tolerance:.0%}); most common reason: {reason}, "
            f"in {len(rows):,} rows, first in source row {first}"
        )
    for finding in findings:
        if finding.check.quarantines and not finding.holds:
            return f"this does not hold: {finding.check.says} (found {finding.observed})"
    return ""
