"""What Great Expectations finds in a data set, part by part; it is kept quiet and offline.

The validator is used directly: a batch request would first hash every value of the frame, twice, for a fingerprint that nobody
reads (2 s per million rows, where the expectations themselves take 20 ms each).
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.records import Dataset
from tasks.runs.progress import report_progress
from tasks.validate.checks import MARK, Check
from tasks.validate.parts import read_parts

# Enough to recognise what is wrong; the quarantine has all of them.
EXAMPLES = 5
_HEAD_ROWS = 1_000


@dataclass
class Finding:
    """One check's outcome, summed over the parts.

    Attributes:
        missing: Rows passed over because there is no value.
        rows: Numbers of the failing rows, part by part; of a check that does not quarantine, the first few only.
        holds: Whether the column or the table as a whole passes, where the check speaks of that.
    """

    check: Check
    elements: int = 0
    missing: int = 0
    unexpected: int = 0
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[pd.DataFrame] = field(default_factory=list)
    holds: bool = True
    observed: Any = None

    def add(self, result: Any, frame: pd.DataFrame, start: int) -> None:  # noqa: ANN401 (untyped)
        """Add what Great Expectations found in a frame whose first row has the number `start`.

        Raises:
            InputError: The user's expectation itself broke.
        """
        if error := _read_error(result.exception_info or {}):
            raise InputError(
                f"it cannot be run: {error.splitlines()[0]}",
                where=self.check.entry or f"the contract's check '{self.check.key}'",
                fix="correct its type or kwargs, or remove it",
            )
        found = result.result
        self.elements += int(found.get("element_count") or 0)
        self.missing += int(found.get("missing_count") or 0)
        self.observed = found.get("observed_value")
        index = found.get("unexpected_index_list")
        if index is None and "unexpected_count" not in found:
            self.holds = self.holds and bool(result.success)
            return
        failing = np.sort(np.asarray(index or [], np.int64))
        self.unexpected += len(failing)
        enough = None if self.check.quarantines else max(0, EXAMPLES - sum(map(len, self.rows)))
        if len(failing := failing[:enough]):
            self.rows.append(start + failing)
            present = [column for column in self.check.columns if column in frame.columns]
            self.values.append(frame[present].iloc[failing].reset_index(drop=True))

    @property
    def success(self) -> bool:
        """Whether the check passes: all rows, or as many as it asks for."""
        looked_at = self.elements - self.missing
        share = 1.0 if not looked_at else 1 - self.unexpected / looked_at
        mostly = float(self.check.kwargs.get("mostly", 1))
        return self.holds and (share >= mostly if mostly < 1 else self.unexpected == 0)

    @property
    def sets_aside(self) -> bool:
        """Whether its rows go to the quarantine."""
        return self.check.quarantines and not self.success and self.unexpected > 0

    @cached_property
    def all_rows(self) -> NDArray[np.int64]:
        """Numbers of the failing rows, in order, once all parts were added."""
        return np.concatenate(self.rows) if self.rows else np.empty(0, np.int64)

    @cached_property
    def all_values(self) -> pd.DataFrame:
        """What is in the failing rows, in order, once all parts were added."""
        return pd.concat(self.values, ignore_index=True) if self.values else pd.DataFrame()

    def explain(self, low: int, high: int) -> list[str]:
        """Return why some of the failing rows fail, in order."""
        return self.check.explain_rows(self.all_rows[low:high], self.all_values.iloc[low:high])


@contextmanager
def silence_expectations() -> Iterator[None]:
    """Import and run Great Expectations without analytics, logging or warnings."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # Its modules set levels of their own; what stops here reaches no handler.
    logger = logging.getLogger("great_expectations")
    silence, propagates = logging.NullHandler(), logger.propagate
    logger.addHandler(silence)
    logger.propagate = False
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.propagate = propagates
        logger.removeHandler(silence)


def make_context() -> Any:  # noqa: ANN401 (Great Expectations is untyped here)
    """Return an ephemeral Great Expectations context: nothing on disk, no progress bars."""
    import great_expectations as gx  # noqa: PLC0415 (2 s)

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def judge_rows(dataset: Dataset, checks: Sequence[Check], names: Mapping[str, str]) -> list[Finding]:
    """Run the checks; the second half of the progress in rows.

    Args:
        dataset: The data set as ingest wrote it.
        names: The columns that can be checked, by the names that the checks have for them, with those of the file.

    Raises:
        InputError: A user's expectation itself broke.
    """
    if not checks:
        return []
    context, findings = make_context(), {check.key: Finding(check) for check in checks}

    def run(frame: pd.DataFrame, scope: str, start: int = 0) -> None:
        for result in _run_checks(context, frame, [check for check in checks if check.scope == scope]):
            findings[result.expectation_config.meta[MARK]].add(result, frame, start)

    def needed(scope: str) -> dict[str, str]:
        some = [check for check in checks if check.scope == scope]
        wanted = {column for check in some for column in (*check.columns, *check.also_reads)}
        return {name: stored for name, stored in names.items() if name in wanted}

    def frames(columns: Mapping[str, str], rows: int | None = None) -> Iterator[tuple[int, pd.DataFrame]]:
        for start, batch in read_parts(dataset.path, list(columns.values()), rows=rows):
            yield start, _make_frame(batch).set_axis(list(columns), axis=1)

    for _, frame in frames(names, _HEAD_ROWS):
        others = set(pq.read_schema(dataset.path).names) - {*names, *names.values()}
        frame[sorted(others)] = None
        run(frame, "columns")
        break
    # What the user asks to compare across rows has to be there at once.
    named = needed("table")
    whole = [frame for _, frame in frames(named)] if named else []
    run(pd.concat(whole, ignore_index=True) if whole else pd.DataFrame(index=range(dataset.rows)), "table")
    for start, frame in frames(needed("rows")):
        run(frame, "rows", start)
        report_progress("rows", dataset.rows + start + len(frame), 2 * dataset.rows)
    return list(findings.values())


def _make_frame(batch: pa.RecordBatch) -> pd.DataFrame:
    return batch.to_pandas(ignore_metadata=True, date_as_object=False)


def _run_checks(context: Any, frame: pd.DataFrame, checks: Sequence[Check]) -> list[Any]:  # noqa: ANN401 (untyped)
    """Return Great Expectations' own results on a frame with a RangeIndex."""
    from great_expectations.execution_engine import PandasExecutionEngine  # noqa: PLC0415
    from great_expectations.validator.validator import Validator  # noqa: PLC0415

    if not checks:
        return []
    engine = PandasExecutionEngine(batch_data_dict={"part": frame})
    return list(
        Validator(execution_engine=engine, data_context=context).graph_validate(
            [check.expectation.configuration for check in checks],
            runtime_configuration={"result_format": {"result_format": "COMPLETE"}},
        )
    )


def _read_error(info: dict[str, Any]) -> str:
    """Return the message of an expectation that broke: the information is flat, or one entry for each metric."""
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = (entry for entry in entries if isinstance(entry, dict) and entry.get("raised_exception"))
    return next((str(entry.get("exception_message") or "it raised an exception") for entry in raised), "")
