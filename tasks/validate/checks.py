"""One thing to check, and the contract: the checks that every data set has to pass."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.records import Dataset
from tasks.storage import read_parquet
from tasks.validate.facts import NonFinite
from tasks.validate.words import rare_class_words, row_reasons, sentences, shown

# columns: the first rows, every column. table: all rows of the columns that it names. rows: part by part. kept: the facts
# across parts about the rows that stay. classes: how many samples each class has, once other rows are set aside.
Scope = Literal["columns", "table", "rows", "classes", "kept"]
Explain = Callable[[NDArray[np.int64], pd.DataFrame], list[str]]

# What the checks look at besides the data set's own columns: a thousand feature columns make one number a row, and what has
# to be compared across parts is counted before.
NONFINITE = "labelsweep_nonfinite_features"
UNREADABLE = "labelsweep_unreadable"
SAMPLES_OF_ID = "labelsweep_samples_of_id"
SAMPLES_OF_LABEL = "labelsweep_samples_of_label"
GROUPS_OF_LABEL = "labelsweep_groups_of_label"
OTHER_LABELS = "labelsweep_other_labels_of_content"

# The mark that a Great Expectations result carries back to its check.
MARK = "labelsweep"
CONFLICT = "one label for identical content"


@dataclass(frozen=True)
class Check:
    """One expectation and what follows from it.

    Attributes:
        key: Unique name.
        expectation: The Great Expectations object.
        scope: What it runs on.
        columns: The columns it looks at.
        says: What is expected, in words.
        fails: What it is called when it fails, in words; counts of the quarantine are kept under it.
        explain: Returns why each failing row fails, from row numbers and values.
        quarantines: Whether rows that fail are set aside; a check that does not is a finding only.
        also_reads: Columns that only its row condition names.
        entry: Where the user wrote it; empty for the contract.
        mostly: Share of the rows that has to pass.
    """

    key: str
    expectation: Any
    scope: Scope
    columns: tuple[str, ...]
    says: str
    fails: str
    explain: Explain
    quarantines: bool = True
    also_reads: tuple[str, ...] = ()
    entry: str = ""
    mostly: float = 1.0


def make_check(
    key: str,
    kind: str,
    kwargs: Mapping[str, Any],
    *,
    scope: Scope,
    columns: tuple[str, ...],
    also_reads: tuple[str, ...] = (),
    says: str | None = None,
    fails: str | None = None,
    explain: Explain | None = None,
    severity: str = "critical",
    meta: Mapping[str, Any] | None = None,
    entry: str = "",
) -> Check:
    """Build a check from an expectation's type and arguments; the words come from them unless given."""
    from great_expectations.expectations.registry import get_expectation_impl  # noqa: PLC0415 (2 s)

    expectation = get_expectation_impl(kind)(
        **_with_times(kwargs), severity=severity, meta={**(meta or {}), MARK: key}
    )
    expected, failing = sentences(kind, kwargs, columns)
    return Check(
        key=key,
        expectation=expectation,
        scope=scope,
        columns=columns,
        says=says or expected,
        fails=fails or failing,
        explain=explain or (lambda _rows, values: row_reasons(kind, kwargs, values)),
        quarantines=severity == "critical",
        also_reads=also_reads,
        entry=entry,
        mostly=float(kwargs.get("mostly", 1)),
    )


def _with_times(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with dates as moments: a bound that is a date cannot be compared with a column of times.

    >>> _with_times({"min_value": date(2024, 2, 3), "max_value": "2024-02-04", "column": "2024-02-04"})
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


def contract(
    dataset: Dataset, folds: int, nonfinite: NonFinite, columns: Sequence[str], large: Sequence[str]
) -> list[Check]:
    """Return the checks that follow from what a data set is.

    Args:
        dataset: What ingest wrote.
        folds: Each class needs a sample in each fold.
        nonfinite: Names the feature in the reason of a row whose features are not finite.
        columns: The columns that the data set has to have.
        large: The classes that have enough samples, for the reason of a class that has not.
    """
    return [
        *_column_checks(columns),
        *_row_checks(dataset, nonfinite),
        _class_check(folds, large),
        *_group_check(dataset),
        *_kept_checks(folds),
    ]


def _column_checks(columns: Sequence[str]) -> list[Check]:
    has_columns = make_check(
        "columns",
        "expect_table_columns_to_match_set",
        {"column_set": list(columns), "exact_match": False},
        scope="columns",
        columns=(),
    )
    kind = "expect_column_values_to_be_of_type"
    types = [
        make_check(
            f"type of {name}", kind, {"column": name, "type_": "str"}, scope="columns", columns=(name,)
        )
        for name in ("sample_id", "label", "content_hash")
    ]
    return [has_columns, *types]


def _row_checks(dataset: Dataset, nonfinite: NonFinite) -> list[Check]:
    present = "expect_column_values_to_not_be_null"
    classes = list(dataset.classes)
    return [
        make_check("sample id", present, {"column": "sample_id"}, scope="rows", columns=("sample_id",)),
        make_check("label", present, {"column": "label"}, scope="rows", columns=("label",)),
        make_check(
            "label in the class set",
            "expect_column_values_to_be_in_set",
            {"column": "label", "value_set": classes},
            scope="rows",
            columns=("label",),
            says=f"label is one of the {len(classes)} classes",
            fails="label is not one of the classes",
            explain=lambda _, values: [
                f"label = {shown(label)} is not one of the classes" for label in values["label"]
            ],
        ),
        *_content_checks(dataset, nonfinite),
    ]


def _content_checks(dataset: Dataset, nonfinite: NonFinite) -> list[Check]:
    """Return what the model needs of each row: its text, or features that are numbers."""
    if dataset.payload == "text":
        present = "expect_column_values_to_not_be_null"
        there = make_check("text", present, {"column": "text"}, scope="rows", columns=("text",))
        return [*_readable_check(dataset), there]
    if dataset.payload == "image":
        return [*_readable_check(dataset), _image_check(dataset)]
    return [*_readable_check(dataset), _finite_check(dataset, nonfinite)]


def _finite_check(dataset: Dataset, nonfinite: NonFinite) -> Check:
    count = len(dataset.feature_names)
    says = f"each of the {count} features is finite"
    if dataset.columns:
        says = f"none of the {count} features is infinite, and they are not all missing"
    return make_check(
        "finite features",
        "expect_column_values_to_be_in_set",
        {"column": NONFINITE, "value_set": [0]},
        scope="rows",
        columns=(NONFINITE,),
        says=says,
        fails="a feature is not finite",
        explain=_feature_words(dataset.feature_names, nonfinite),
    )


def _readable_check(dataset: Dataset) -> list[Check]:
    """Return the check that ingest could read every value; without a value that it could not, there is no check."""
    if dataset.unreadable is None:
        return []

    def explain(rows: NDArray[np.int64], _values: pd.DataFrame) -> list[str]:
        why = unreadable_rows(dataset)
        return [why[row] for row in rows.tolist()]

    check = make_check(
        "readable values",
        "expect_column_values_to_be_in_set",
        {"column": UNREADABLE, "value_set": [0]},
        scope="rows",
        columns=(UNREADABLE,),
        says="each value is what its column holds",
        fails="a value does not fit its column",
        explain=explain,
    )
    return [check]


def _image_check(dataset: Dataset) -> Check:
    """Return the check that every image was decoded; its reason is what the decoder said."""

    def explain(rows: NDArray[np.int64], _values: pd.DataFrame) -> list[str]:
        why = unreadable_rows(dataset)
        return [why.get(row, "there is no image") for row in rows.tolist()]

    return make_check(
        "image",
        "expect_column_values_to_be_in_set",
        {"column": NONFINITE, "value_set": [0]},
        scope="rows",
        columns=(NONFINITE,),
        says="each image is there and decodes",
        fails="the image is missing or does not decode",
        explain=explain,
    )


def unreadable_rows(dataset: Dataset) -> dict[int, str]:
    """Return why a row cannot be read, by its number in the source: before validation, that in the data set."""
    if dataset.unreadable is None:
        return {}
    table = read_parquet(dataset.unreadable)
    return dict(zip(table["source_row"].to_pylist(), table["reason"].to_pylist(), strict=True))


def _class_check(folds: int, large: Sequence[str]) -> Check:
    """Return the check that each class has enough samples; the reason names a larger class of nearly the same name."""

    def explain(_: NDArray[np.int64], values: pd.DataFrame) -> list[str]:
        pairs = zip(values["label"], values[SAMPLES_OF_LABEL].tolist(), strict=True)
        return [rare_class_words(str(label), count, folds, large) for label, count in pairs]

    return make_check(
        "samples of each class",
        "expect_column_values_to_be_between",
        {"column": SAMPLES_OF_LABEL, "min_value": folds},
        scope="classes",
        columns=("label", SAMPLES_OF_LABEL),
        says=f"each class has {folds} samples or more, one for each fold",
        fails="the class has fewer samples than folds",
        explain=explain,
    )


def _group_check(dataset: Dataset) -> list[Check]:
    """Return the check that each class is in two groups: one group lies in one fold, and is judged by the others."""
    if dataset.group is None:
        return []

    def explain(_: NDArray[np.int64], values: pd.DataFrame) -> list[str]:
        where = f"lies in one group of column '{dataset.group}', and no other group can check it"
        return [f"class '{label}' {where}" for label in values["label"]]

    check = make_check(
        "groups of each class",
        "expect_column_values_to_be_between",
        {"column": GROUPS_OF_LABEL, "min_value": 2},
        scope="classes",
        columns=("label", GROUPS_OF_LABEL),
        says=f"each class is in two groups or more of column '{dataset.group}'",
        fails="the class lies in one group",
        explain=explain,
    )
    return [check]


def _kept_checks(folds: int) -> list[Check]:
    return [
        make_check(
            "unique sample id",
            "expect_column_values_to_be_in_set",
            {"column": SAMPLES_OF_ID, "value_set": [1]},
            scope="kept",
            columns=(SAMPLES_OF_ID,),
            says="sample_id is unique",
            fails="sample_id is not unique",
        ),
        make_check(
            "row count",
            "expect_table_row_count_to_be_between",
            {"min_value": 2 * folds},
            scope="kept",
            columns=(),
            says=f"there are {2 * folds} rows or more: two classes in each of {folds} folds",
        ),
        make_check(
            CONFLICT,
            "expect_column_values_to_be_in_set",
            {"column": OTHER_LABELS, "value_set": [0]},
            scope="kept",
            columns=(OTHER_LABELS,),
            says="identical content carries one label",
            fails="identical content carries another label too",
            explain=lambda _, values: [
                f"its content carries {count} more label(s)" for count in values[OTHER_LABELS]
            ],
            severity="warning",
        ),
    ]


def _feature_words(names: tuple[str, ...], nonfinite: NonFinite) -> Explain:
    def explain(rows: NDArray[np.int64], _values: pd.DataFrame) -> list[str]:
        at = np.searchsorted(nonfinite.rows, rows)
        found = zip(
            nonfinite.feature[at].tolist(),
            nonfinite.value[at].tolist(),
            nonfinite.count[at].tolist(),
            strict=True,
        )
        return [
            f"feature '{names[feature]}' is not finite ({shown(value)})"
            + (f" and {count - 1} more" if count > 1 else "")
            for feature, value, count in found
        ]

    return explain
