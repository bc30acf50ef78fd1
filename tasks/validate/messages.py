"""Expectations in plain words: what is expected, what it is called when it fails, and why one row fails."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

# Longer values are cut: a reason is one line for a person.
_LONGEST_VALUE = 60
_MOST_LISTED = 10
# How alike two names of classes are that may be one: a typo in a name of five letters or more ("norht", "north") has .8.
_ALIKE = 0.8

_OPPOSITES = {"is": "is not", "are": "are not", "has": "does not have"}
# What is expected; braces name the expectation's own arguments. A failing row does the opposite, or what stands second.
_WORDS: dict[str, str | tuple[str, str]] = {
    "expect_column_values_to_not_be_null": ("is present", "is missing"),
    "expect_column_values_to_be_null": "is empty",
    "expect_column_values_to_be_unique": "is unique",
    "expect_compound_columns_to_be_unique": "are unique together",
    "expect_select_column_values_to_be_unique_within_record": (
        "differ within a row",
        "do not differ within the row",
    ),
    "expect_multicolumn_values_to_be_equal": "are equal",
    "expect_multicolumn_sum_to_equal": ("add up to {sum_total}", "do not add up to {sum_total}"),
    "expect_column_values_to_be_between": "is {range}",
    "expect_column_value_lengths_to_be_between": "has a length {range}",
    "expect_column_value_lengths_to_equal": "has the length {value}",
    "expect_column_values_to_be_in_set": "is one of {value_set}",
    "expect_column_values_to_not_be_in_set": ("is none of {value_set}", "is one of {value_set}"),
    "expect_column_values_to_match_regex": ("matches {regex}", "does not match {regex}"),
    "expect_column_values_to_not_match_regex": ("does not match {regex}", "matches {regex}"),
    "expect_column_values_to_be_increasing": ("increases", "does not increase"),
    "expect_column_values_to_be_decreasing": ("decreases", "does not decrease"),
    "expect_column_values_to_be_of_type": "has the type {type_}",
    "expect_column_values_to_be_in_type_list": (
        "has one of the types {type_list}",
        "has none of the types {type_list}",
    ),
    "expect_column_type_to_be": "has the type {type_}",
    "expect_column_to_exist": "has the column {column}",
    "expect_column_pair_values_to_be_equal": "are equal",
    "expect_column_pair_values_a_to_be_greater_than_b": "are in descending order",
    "expect_column_min_to_be_between": "has a minimum {range}",
    "expect_column_max_to_be_between": "has a maximum {range}",
    "expect_column_mean_to_be_between": "has a mean {range}",
    "expect_column_median_to_be_between": "has a median {range}",
    "expect_column_sum_to_be_between": "has a sum {range}",
    "expect_column_stdev_to_be_between": "has a standard deviation {range}",
    "expect_table_row_count_to_be_between": "has a number of rows {range}",
    "expect_table_row_count_to_equal": "has {value} rows",
    "expect_table_columns_to_match_set": "has the columns {column_set}",
}


def describe_expectation(kind: str, kwargs: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, str]:
    """Return what an expectation says, and what it is called when it fails.

    >>> describe_expectation("expect_column_values_to_be_between", {"min_value": 0}, ["age"])
    ('age is between 0 and inf', 'age is not between 0 and inf')
    """
    subject = ", ".join(columns) if columns else "the table"
    expected, failing = _choose_predicates(kind, kwargs)
    limits = ""
    if kwargs.get("row_condition"):
        limits += f" where {kwargs['row_condition']}"
    if kwargs.get("mostly", 1) != 1:
        limits += f", in at least {float(kwargs['mostly']):.4g} of the rows"
    return f"{subject} {expected}{limits}", f"{subject} {failing}"


def explain_rows(kind: str, kwargs: Mapping[str, Any], values: pd.DataFrame) -> list[str]:
    """Return for each failing row why it fails, with its values.

    Args:
        values: The columns that it looks at, failing rows only.

    >>> explain_rows("expect_column_values_to_be_between", {"min_value": 0}, pd.DataFrame({"age": [-4.0]}))
    ['age = -4 is not between 0 and inf']
    """
    _, failing = _choose_predicates(kind, kwargs)
    if kind == "expect_column_values_to_not_be_null":
        return [f"{values.columns[0]} {failing}"] * len(values)
    rows = values.itertuples(index=False, name=None)
    names = list(values.columns)
    return [
        ", ".join(f"{name} = {show_value(value)}" for name, value in zip(names, row, strict=True))
        + f" {failing}"
        for row in rows
    ]


def explain_rare_class(label: str, count: int, folds: int, classes: Sequence[str]) -> str:
    """Return why a sample of a class with fewer samples than folds is set aside.

    >>> explain_rare_class("norht", 1, 5, ["north", "norht", "south"])
    "class 'norht' has 1 sample, fewer than the 5 folds; did you mean 'north'?"
    >>> explain_rare_class("rare", 3, 5, ["north", "rare"])
    "class 'rare' has 3 samples, fewer than the 5 folds; --folds 3 keeps it"
    """
    what = f"class '{label}' has {count} sample{'s' if count > 1 else ''}, fewer than the {folds} folds"
    twin = find_similar_class(label, classes)
    if twin is not None:
        return f"{what}; did you mean '{twin}'?"
    return what + (f"; --folds {count} keeps it" if count > 1 else "")


def find_similar_class(label: str, classes: Sequence[str]) -> str | None:
    """Return the other class whose name is nearly the same, None where there is none.

    >>> find_similar_class("Yes ", ["no", "yes", "Yes "]), find_similar_class("brid", ["cat", "bird"])
    ('yes', 'bird')
    >>> find_similar_class("class 7", ["class 6", "class 7"])
    """
    plain = {" ".join(other.split()).casefold(): other for other in classes if other != label}
    name = " ".join(label.split()).casefold()
    if name in plain:
        return plain[name]
    # Numbers tell classes apart: "class 6" is not a typo of "class 7".
    others = [other for other in plain if _keep_digits(other) == _keep_digits(name)]
    swapped = [other for other in others if len(name) > 3 and name in _list_swaps(other)]
    close = swapped or difflib.get_close_matches(name, others, 1, _ALIKE)
    return plain[close[0]] if close and len(name) > 2 else None


def _list_swaps(name: str) -> set[str]:
    """Return the names that differ by two neighbouring letters: the commonest slip at a keyboard, whatever the length."""
    return {name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)}


def _keep_digits(name: str) -> str:
    return "".join(character for character in name if character.isdigit())


def show_value(value: object) -> str:
    """Return a value as a person would write it, on one line.

    >>> show_value(-4.0), show_value(float("nan")), show_value("cat"), show_value([1, 2])
    ('-4', 'NaN', "'cat'", '[1, 2]')
    """
    if hasattr(value, "item"):  # a numpy scalar: its repr names its type
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return "missing"
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return f"{value:.15g}"
    if isinstance(value, list | tuple | set):
        items = [show_value(item) for item in list(value)[:_MOST_LISTED]]
        return "[" + ", ".join(items) + (", …]" if len(value) > _MOST_LISTED else "]")
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _choose_predicates(kind: str, kwargs: Mapping[str, Any]) -> tuple[str, str]:
    templates = _WORDS.get(kind)
    if templates is None:
        words = kind.removeprefix("expect_").replace("_", " ")
        return f"passes '{words}'", f"fails '{words}'"
    if isinstance(templates, str):
        verb, rest = templates.split(" ", 1)
        templates = templates, f"{_OPPOSITES[verb]} {rest}"
    arguments = {name: show_value(value) for name, value in kwargs.items()} | {
        "range": _describe_range(kwargs)
    }
    expected, failing = (template.format_map(arguments) for template in templates)
    return expected, failing


def _describe_range(kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    excluded = [
        side
        for side, bound, strict in (("lower", low, "strict_min"), ("upper", high, "strict_max"))
        if bound is not None and kwargs.get(strict)
    ]
    note = f" ({' and '.join(excluded)} bound excluded)" if excluded else ""
    return f"between {'-inf' if low is None else show_value(low)} and {'inf' if high is None else show_value(high)}{note}"
