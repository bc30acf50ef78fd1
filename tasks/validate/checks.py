"""One thing to check, and the contract: what Great Expectations checks on the columns of every data set."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.records import Dataset
from tasks.validate.messages import describe_expectation, explain_rows, show_value

# columns: the first rows, every column. table: all rows of the columns that it names. rows: part by part.
Scope = Literal["columns", "table", "rows"]
Explain = Callable[[NDArray[np.int64], pd.DataFrame], list[str]]

# The mark that a Great Expectations result carries back to its check.
MARK = "labelsweep"


@dataclass(kw_only=True)
class Check:
    """One expectation and what follows from it; the words come from its type and arguments unless given.

    Attributes:
        also_reads: Columns that only its row condition names.
        fails: What it is called when it fails, in words; counts of the quarantine are kept under it.
        explain: Returns why each failing row fails, from row numbers and values.
        severity: Rows that fail are set aside where it is critical; others are findings only.
        entry: Where the user wrote it; empty for the contract.
        drift: What of the last run it holds the data to; empty for other checks.
        stops: Whether the run ends where it fails.
    """

    key: str
    kind: str
    kwargs: Mapping[str, Any]
    columns: tuple[str, ...]
    scope: Scope = "rows"
    also_reads: tuple[str, ...] = ()
    says: str = ""
    fails: str = ""
    explain: Explain | None = None
    severity: str = "critical"
    meta: Mapping[str, Any] = field(default_factory=dict)
    entry: str = ""
    drift: str = ""
    stops: bool = False
    expectation: Any = field(init=False)

    def __post_init__(self) -> None:
        from great_expectations.expectations.registry import get_expectation_impl  # noqa: PLC0415 (2 s)

        self.expectation = get_expectation_impl(self.kind)(
            **_read_dates_as_times(self.kwargs), severity=self.severity, meta={**self.meta, MARK: self.key}
        )
        expected, failing = describe_expectation(self.kind, self.kwargs, self.columns)
        self.says, self.fails = self.says or expected, self.fails or failing

    @property
    def quarantines(self) -> bool:
        """Whether rows that fail are set aside."""
        return self.severity == "critical" and not self.stops

    def explain_rows(self, rows: NDArray[np.int64], values: pd.DataFrame) -> list[str]:
        """Return why each of some failing rows fails."""
        return self.explain(rows, values) if self.explain else explain_rows(self.kind, self.kwargs, values)


def _read_dates_as_times(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with dates as moments: a bound that is a date cannot be compared with a column of times.

    >>> _read_dates_as_times({"min_value": date(2024, 2, 3), "max_value": "2024-02-04", "column": "2024-02-04"})
    {'min_value': '2024-02-03T00:00:00', 'max_value': '2024-02-04T00:00:00', 'column': '2024-02-04'}
    """
    converted = dict(kwargs)
    for name in ("min_value", "max_value"):
        value = kwargs.get(name)
        if isinstance(value, date):
            converted[name] = datetime.fromisoformat(value.isoformat()).isoformat()
        elif isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            converted[name] = f"{value}T00:00:00"
    return converted


def list_contract_checks(dataset: Dataset) -> list[Check]:
    """Return the checks that follow from what a data set is; `verdict.require_layout` has looked at columns and types."""
    present = {"sample id": "sample_id", "label": "label"} | (
        {"text": "text"} if dataset.payload == "text" else {}
    )
    kind = "expect_column_values_to_not_be_null"
    return [
        *(
            Check(key=key, kind=kind, kwargs={"column": name}, columns=(name,))
            for key, name in present.items()
        ),
        Check(
            key="label in the class set",
            kind="expect_column_values_to_be_in_set",
            kwargs={"column": "label", "value_set": list(dataset.classes)},
            columns=("label",),
            says=f"label is one of the {len(dataset.classes)} classes",
            fails="label is not one of the classes",
            explain=lambda _, values: [
                f"label = {show_value(label)} is not one of the classes" for label in values["label"]
            ],
        ),
    ]
