"""Whether the first row of a table names the columns.

A header is the rule, and a row of data that is taken for one is missed by its user at once: the columns have odd names.
A header that is taken for a row of data is missed by nobody. So a table has a header unless its first row is like the others
in every column that can tell.
"""

import re
from collections.abc import Sequence

from tasks.ingest.columns.numerals import MARKS

# Fewer rows tell too little.
_LEAST_ROWS = 10
# Where values recur on average, the value of a row of data is among the others too.
_RECURRING = 0.5
MISSING = MARKS | {""}
# Names have fewer words, but for the questions of a survey, beside which no other column is called as one of its numbers.
_SENTENCE = 5
_DIGITS = re.compile(r"\d+")
NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")


def has_header(records: Sequence[Sequence[str]], needed: frozenset[str]) -> bool:
    """Return whether the first record is a header.

    >>> rows = [[f"{n / 8}", "abc"[n % 3]] for n in range(30)]
    >>> has_header([["size", "kind"], *rows], frozenset()), has_header(rows, frozenset())
    (True, False)
    >>> has_header([["?", "b"], *rows], frozenset())
    False
    """
    first, rows = records[0], [row for row in records[1:] if len(row) == len(records[0])]
    if len(rows) < _LEAST_ROWS or needed & {name.strip() for name in first}:
        return True
    columns = list(zip(first, zip(*rows, strict=True), strict=True))
    evidence = [_is_data(name, values) for name, values in columns]
    return False in evidence or not (True in evidence or _is_measured(first) or _is_labeled_text(columns))


def _is_data(name: str, values: Sequence[str]) -> bool | None:
    """Return whether the first field of a column is a value like the others, None where that cannot be told."""
    there = [value for value in values if value.strip().lower() not in MISSING]
    if not there or name.strip().lower() in MISSING:
        return None
    if all(map(NUMBER.fullmatch, there)):
        # A number may be a name: of a pixel, a year, a wavelength.
        return None if NUMBER.fullmatch(name) else False
    if len(set(there)) > _RECURRING * len(there):
        return True if _has_form_of(name, there) else None
    return name in there


def _has_form_of(name: str, values: Sequence[str]) -> bool:
    """Return whether a name has the form that all values have but for their digits, as names of files or samples do.

    >>> _has_form_of("img/000.png", ["img/001.png", "img/002.png"]), _has_form_of("file", ["img/001.png", "img/002.png"])
    (True, False)
    """
    forms = {_DIGITS.sub("0", value) for value in values}
    return len(forms) == 1 and _DIGITS.sub("0", name) in forms and any(map(str.isdigit, name))


def _is_measured(first: Sequence[str]) -> bool:
    """Return whether a row of numbers alone is no header: names are all different, and numbers that name columns ascend."""
    if not all(map(NUMBER.fullmatch, first)):
        return False
    numbers = [float(name.replace(",", ".")) for name in first]
    return len(set(numbers)) < len(numbers) or (
        any(number != int(number) for number in numbers) and numbers != sorted(numbers)
    )


def _is_labeled_text(columns: Sequence[tuple[str, Sequence[str]]]) -> bool:
    """Return whether the first row is a class number beside a sentence as those below it, as in the files of AG News and Yelp.

    >>> texts = [f"this sentence says {n} and more" for n in range(30)]
    >>> _is_labeled_text([("2", ["1", "2", "3"] * 10), ("and a sentence says more", texts)])
    True
    >>> _is_labeled_text([("rating", ["1", "2", "3"] * 10), ("What did you think of it?", texts)])
    False
    """
    numbered = any(NUMBER.fullmatch(name) and name in values for name, values in columns)
    return numbered and any(
        len(name.split()) >= _SENTENCE
        and sum(len(value.split()) for value in values) >= _SENTENCE * len(values)
        for name, values in columns
    )


def join_headers(above: Sequence[str], below: Sequence[str]) -> list[str]:
    """Return the names of columns of which groups are named in a row above: with the group where a name stands twice.

    >>> join_headers(["size", "size", "age"], ["mean", "max", ""]), join_headers(["a", "b"], ["x", "x"])
    (['mean', 'max', 'age'], ['a x', 'b x'])
    """
    names = [name or group for group, name in zip(above, below, strict=True)]
    return [
        f"{group} {name}" if names.count(name) > 1 and group != name else name
        for group, name in zip(above, names, strict=True)
    ]


def is_second_header(first: Sequence[str], second: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the second row names the columns of groups that the first row names, as pandas writes columns of two levels.

    >>> rows = [["1", "2", "cat"]] * 10
    >>> is_second_header(["size", "size", ""], ["x", "y", "label"], rows)
    True
    >>> is_second_header(["x", "x", "label"], ["3", "4", "cat"], rows), is_second_header(["x", "y", "z"], ["a", "b", "c"], rows)
    (False, False)
    """
    grouped = len(set(first)) < len(first) and len(first) == len(second)
    named = len(set(second)) == len(second) and not any(map(NUMBER.fullmatch, second))
    alike = [row for row in rows if len(row) == len(first)]
    measured = any(all(NUMBER.fullmatch(value) for value in column) for column in zip(*alike, strict=True))
    return grouped and named and len(alike) >= _LEAST_ROWS and measured
