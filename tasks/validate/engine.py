"""Great Expectations, kept quiet and offline, run on one frame at a time.

The validator is used directly: a batch request would first hash every value of the frame, twice, for a fingerprint that nobody
reads (2 s per million rows, where the expectations themselves take 20 ms each).
"""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.validate.checks import MARK, Check


@dataclass(frozen=True)
class Outcome:
    """What one expectation found in one frame.

    Attributes:
        success: Whether it holds, its `mostly` included.
        elements: Values looked at.
        missing: Values that are null, which only the null expectations look at.
        rows: Numbers of the rows that fail, in order, where the expectation speaks of rows  # (failing,) int64
        observed: What it measured, where it speaks of the column or the table.
        error: Why the expectation itself broke; empty when it ran.
    """

    success: bool
    elements: int = 0
    missing: int = 0
    rows: NDArray[np.int64] | None = None
    observed: Any = None
    error: str = ""


@contextmanager
def quiet() -> Iterator[None]:
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


class Engine:
    """An ephemeral Great Expectations context: nothing on disk, no progress bars."""

    def __init__(self) -> None:
        import great_expectations as gx  # noqa: PLC0415 (2 s)

        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}

    def run(self, frame: pd.DataFrame, checks: Sequence[Check]) -> dict[str, Outcome]:
        """Run the checks on a frame with a RangeIndex; return an outcome for each check's key."""
        from great_expectations.execution_engine import PandasExecutionEngine  # noqa: PLC0415
        from great_expectations.validator.validator import Validator  # noqa: PLC0415

        if not checks:
            return {}
        validator = Validator(
            execution_engine=PandasExecutionEngine(batch_data_dict={"part": frame}), data_context=self.context
        )
        results = validator.graph_validate(
            [check.expectation.configuration for check in checks],
            runtime_configuration={"result_format": {"result_format": "COMPLETE"}},
        )
        return {result.expectation_config.meta[MARK]: _outcome(result) for result in results}


def _outcome(result: Any) -> Outcome:  # noqa: ANN401 (Great Expectations is untyped here)
    error = _error(result.exception_info or {})
    if error:
        return Outcome(success=False, error=error)
    details = result.result
    index = details.get("unexpected_index_list")
    rows = None
    if index is not None or "unexpected_count" in details:
        rows = np.sort(np.asarray(index or [], np.int64))
    return Outcome(
        success=bool(result.success),
        elements=int(details.get("element_count") or 0),
        missing=int(details.get("missing_count") or 0),
        rows=rows,
        observed=details.get("observed_value"),
    )


def _error(info: dict[str, Any]) -> str:
    """Return the message of an expectation that broke: the information is flat, or one entry for each metric."""
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = (entry for entry in entries if isinstance(entry, dict) and entry.get("raised_exception"))
    return next((str(entry.get("exception_message") or "it raised an exception") for entry in raised), "")
