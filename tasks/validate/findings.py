"""What the checks found over all parts, and the rows that have to be set aside because of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.records import Dataset
from tasks.validate.checks import (
    GROUPS_OF_LABEL,
    NONFINITE,
    OTHER_LABELS,
    SAMPLES_OF_ID,
    SAMPLES_OF_LABEL,
    UNREADABLE,
    Check,
)
from tasks.validate.engine import Engine, Outcome
from tasks.validate.facts import Facts, Progress
from tasks.validate.parts import parts

# Enough to recognise what is wrong; the quarantine has all of them.
EXAMPLES = 5
_HEAD_ROWS = 1_000


@dataclass
class Finding:
    """One check's outcome, summed over the parts.

    Attributes:
        check: The check.
        elements: Rows looked at.
        missing: Rows passed over because there is no value.
        unexpected: Rows that fail.
        rows: Numbers of the failing rows, part by part; of a check that does not quarantine, the first few only.
        values: What stands in these rows.
        holds: Whether the column or the table as a whole passes, where the check speaks of that.
        observed: What was measured.
    """

    check: Check
    elements: int = 0
    missing: int = 0
    unexpected: int = 0
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[pd.DataFrame] = field(default_factory=list)
    holds: bool = True
    observed: Any = None

    def add(self, outcome: Outcome, frame: pd.DataFrame, numbers: NDArray[np.int64]) -> None:
        """Add what was found in one frame whose rows have these numbers in the data set.

        Raises:
            InputError: The user's expectation itself broke.
        """
        if outcome.error:
            raise InputError(
                f"it cannot be run: {outcome.error.splitlines()[0]}",
                where=self.check.entry or f"the contract's check '{self.check.key}'",
                fix="correct its type or kwargs, or remove it",
            )
        self.elements += outcome.elements
        self.missing += outcome.missing
        self.observed = outcome.observed
        if outcome.rows is None:
            self.holds = self.holds and outcome.success
            return
        self.unexpected += len(outcome.rows)
        enough = None if self.check.quarantines else max(0, EXAMPLES - sum(map(len, self.rows)))
        failing = outcome.rows[:enough]
        if len(failing):
            self.rows.append(numbers[failing])
            present = [column for column in self.check.columns if column in frame.columns]
            self.values.append(frame[present].iloc[failing].reset_index(drop=True))

    @property
    def success(self) -> bool:
        """Whether the check passes: all rows, or as many as it asks for."""
        looked_at = self.elements - self.missing
        share = 1.0 if not looked_at else 1 - self.unexpected / looked_at
        return self.holds and (share >= self.check.mostly if self.check.mostly < 1 else self.unexpected == 0)

    @property
    def sets_aside(self) -> bool:
        """Whether its rows go to the quarantine."""
        return self.check.quarantines and not self.success and self.unexpected > 0

    def all_rows(self) -> NDArray[np.int64]:
        """Return the numbers of the failing rows, in order."""
        return np.concatenate(self.rows) if self.rows else np.empty(0, np.int64)

    def all_values(self) -> pd.DataFrame:
        """Return what stands in the failing rows, in order."""
        return pd.concat(self.values, ignore_index=True) if self.values else pd.DataFrame()


def judge_rows(
    engine: Engine,
    dataset: Dataset,
    checks: Sequence[Check],
    facts: Facts,
    columns: list[str],
    progress: Progress | None = None,
) -> list[Finding]:
    """Run the checks of scope columns, table and rows.

    Args:
        engine: Great Expectations.
        dataset: The data set as ingest wrote it.
        checks: All checks.
        facts: The facts about its rows.
        columns: The columns that can be checked.
        progress: Called with rows done and rows in all.
    """
    findings = {check.key: Finding(check) for check in checks if check.scope not in ("classes", "kept")}
    by_scope = {
        scope: [check for check in checks if check.scope == scope] for scope in ("columns", "table", "rows")
    }
    head = next((batch for _, batch in parts(dataset.path, columns, rows=_HEAD_ROWS)), None)
    if head is not None:
        frame = _frame(head)
        frame[[name for name in pq.read_schema(dataset.path).names if name not in frame]] = None
        _run(engine, frame, by_scope["columns"], findings, 0)
    if by_scope["table"]:
        _run(engine, _whole(dataset, by_scope["table"]), by_scope["table"], findings, 0)
    needed = _existing(columns, by_scope["rows"])
    bad = np.zeros(facts.rows, np.int32)
    bad[facts.nonfinite.rows] = facts.nonfinite.count
    unreadable = np.zeros(facts.rows, np.int8)
    unreadable[facts.unreadable] = 1
    for start, batch in parts(dataset.path, needed):
        frame = _frame(batch)
        frame[UNREADABLE] = unreadable[start : start + len(frame)]
        frame[NONFINITE] = bad[start : start + len(frame)]
        _run(engine, frame, by_scope["rows"], findings, start)
        if progress is not None:
            progress(start + len(frame), facts.rows)
    return list(findings.values())


def judge_classes(
    engine: Engine, dataset: Dataset, checks: Sequence[Check], facts: Facts, kept: NDArray[np.int64]
) -> list[Finding]:
    """Run the checks of scope classes: how many samples and groups each class has, without the rows set aside.

    Args:
        engine: Great Expectations.
        dataset: Names the classes.
        checks: All checks.
        facts: The facts about all rows.
        kept: Numbers of the rows that are left  # (kept,)
    """
    labels = facts.labels[kept]
    counts = np.bincount(labels, minlength=1).astype(np.int32)
    names = pd.Categorical.from_codes(labels, list(dataset.classes))
    frame = pd.DataFrame({"label": names, SAMPLES_OF_LABEL: counts[labels]}, index=pd.RangeIndex(len(kept)))
    if facts.groups is not None:
        pairs = pd.DataFrame({"label": labels, "group": facts.groups[kept]})
        frame[GROUPS_OF_LABEL] = pairs.groupby("label")["group"].transform("nunique")
    findings = {check.key: Finding(check) for check in checks if check.scope == "classes"}
    for key, outcome in engine.run(frame, [finding.check for finding in findings.values()]).items():
        findings[key].add(outcome, frame, kept)
    return list(findings.values())


def judge_kept(
    engine: Engine, checks: Sequence[Check], facts: Facts, kept: NDArray[np.int64], others: NDArray[np.int32]
) -> list[Finding]:
    """Run the checks of scope kept, on what was counted across parts about the rows that stay.

    Args:
        engine: Great Expectations.
        checks: All checks.
        facts: The facts about all rows.
        kept: Numbers of the rows that stay  # (kept,)
        others: For each of them, how many other labels its content carries  # (kept,)
    """
    same_id = np.ones(facts.rows, np.int8)
    for rows in facts.repeated_ids.values():
        same_id[rows] = min(len(rows), np.iinfo(np.int8).max)
    frame = pd.DataFrame({SAMPLES_OF_ID: same_id[kept], OTHER_LABELS: others}, index=pd.RangeIndex(len(kept)))
    findings = {check.key: Finding(check) for check in checks if check.scope == "kept"}
    for key, outcome in engine.run(frame, [finding.check for finding in findings.values()]).items():
        findings[key].add(outcome, frame, kept)
    return list(findings.values())


def set_aside(findings: Iterable[Finding], rows: int) -> NDArray[np.bool_]:
    """Return which of the `rows` rows go to the quarantine, as a mask."""
    aside = np.zeros(rows, bool)
    for finding in findings:
        if finding.sets_aside:
            aside[finding.all_rows()] = True
    return aside


def _run(
    engine: Engine, frame: pd.DataFrame, checks: Sequence[Check], findings: dict[str, Finding], start: int
) -> None:
    numbers = np.arange(start, start + len(frame), dtype=np.int64)
    for key, outcome in engine.run(frame, checks).items():
        findings[key].add(outcome, frame, numbers)


def _whole(dataset: Dataset, checks: Sequence[Check]) -> pd.DataFrame:
    """Return all rows of the columns that some checks name: what the user asks to compare across rows has to be there at once."""
    needed = sorted({column for check in checks for column in (*check.columns, *check.also_reads)})
    frames = [_frame(batch) for _, batch in parts(dataset.path, needed)] if needed else []
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(index=pd.RangeIndex(dataset.rows))


def _existing(columns: list[str], checks: Sequence[Check]) -> list[str]:
    wanted = {column for check in checks for column in (*check.columns, *check.also_reads)}
    return [column for column in columns if column in wanted]


def _frame(batch: Any) -> pd.DataFrame:  # noqa: ANN401 (pyarrow is untyped)
    return batch.to_pandas(ignore_metadata=True, date_as_object=False)


def checked_columns(path: Path, payload: str) -> list[str]:
    """Return the columns that a row is checked on: those of the file without features and images."""
    left_out = {"features", "image"} if payload == "image" else {"features"}
    return [name for name in pq.read_schema(path).names if name not in left_out]
