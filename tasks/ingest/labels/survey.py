"""Labels as text: as the user wrote them, and which of them there are."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.ingest.columns.numerals import NumberSurvey, as_numbers
from tasks.ingest.columns.types import has_text, is_embedding, is_list
from tasks.ingest.columns.values import as_text
from tasks.ingest.labels.multilabel import several_in_one

# Half-star ratings have 10 values, percentages in steps of 5 have 21; measured quantities have more.
_MOST_FRACTIONS = 21
# Counts of neighbouring numbers that are as alike as this rise and fall, as those of a quantity do: of 22 class numbers with
# counts by chance, the correlation is so large in one of a hundred sets.
_RISE_AND_FALL = 0.5
# Share of the rows whose label occurs once: of prices of houses (1,460 rows, 663 values) a quarter. Text may be names of many
# classes, of which some are rare: there it is most of the rows.
_OWN_NUMBER, _OWN_TEXT = 0.2, 0.5
# More classes than any softmax head is fitted for; a column with more different values is an id or free text.
_MOST_CLASSES = 100_000
# Longer ones are keys; Python reads none of more than 4,300 digits.
_INTEGER = re.compile(r"[+-]?\d{1,300}")
# Larger ones are keys, too: a float tells no two of them apart.
_LARGEST = 2**53
_Numbers = NDArray[np.float64]


@dataclass
class LabelSurvey:
    """Counts the labels of a column, batch by batch.

    Attributes:
        column: Name of the column.
        untyped: Whether the format has no types, so that a number may only look like one.
        where: The source, for messages.
        role: What the column was named as: label or truth.
        counts: How often each label occurs, as text.
        names: Names of the classes where the column holds their places, as the datasets library keeps them.
    """

    column: str
    untyped: bool
    where: str
    role: str = "label"
    counts: Counter[str] = field(default_factory=Counter)
    names: tuple[str, ...] = ()

    def see(self, column: pa.Array) -> None:
        """Count one batch."""
        check_type(column.type, self.column, self.where, self.role)
        text = as_text(named(column, self.names) if self.names else column)
        for item in pc.value_counts(text.drop_null()):
            self.counts[item["values"].as_py()] += item["counts"].as_py()
        if len(self.counts) > _MOST_CLASSES:
            self._check_not_measured()
            raise InputError(
                f"column '{self.column}' has more than {_MOST_CLASSES:,} different labels",
                where=self.where,
                fix=f"name the column of classes with --{self.role}",
            )

    @property
    def writing(self) -> "Writing":
        """How these labels are written, once all were seen."""
        return Writing(self.untyped and _whole_with_point(self.counts), self.names)

    def count(self, label: str) -> int:
        """Return how many rows have a label, as it is written."""
        return sum(rows for name, rows in self.counts.items() if self.writing.one(name) == label)

    def classes(self) -> tuple[str, ...]:
        """Return the classes in order: numerically when all are integers.

        Raises:
            InputError: There are no labels, only one class, or the labels are measured quantities.
        """
        if not self.counts:
            raise InputError(
                f"all labels are missing in column '{self.column}'",
                where=self.where,
                fix="name another with --label",
            )
        self._check_not_measured()
        self._check_shared()
        written = _written_numbers(self.counts)
        # Of several labels none stands twice: with '3,3' among them, the commas are those of numbers.
        if any(left == right for left, _, right in (label.partition(",") for label in self.counts)):
            self._check_not_measured(written)
        self._check_single()
        self._check_not_measured(written)
        labels = {self.writing.one(label) for label in self.counts}
        if len(labels) == 1:
            raise InputError(
                f"column '{self.column}' has only one class ('{labels.pop()}')",
                where=self.where,
                fix="finding wrong labels needs two classes or more",
            )
        integers = all(_INTEGER.fullmatch(label) for label in labels)
        return tuple(sorted(labels, key=(lambda label: (int(label), label)) if integers else None))

    def _check_not_measured(self, numbers: _Numbers | None = None) -> None:
        """Raise InputError where the labels are numbers with fractions: by default, those that Python reads."""
        numbers = _numbers(self.counts) if numbers is None else numbers
        if numbers is None:
            return
        fractions = int((np.isfinite(numbers) & (numbers != np.rint(numbers))).sum())
        rows = self.counts.total()
        if fractions > _MOST_FRACTIONS or (fractions > 2 and fractions > rows / 2):
            raise InputError(
                f"column '{self.column}' holds {len(self.counts)} different measured quantities, not classes",
                where=self.where,
                fix="labelsweep checks class labels; regression targets are not supported",
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the classes: they may be a quantity, such as an age or a year."""
        written = _written_numbers(self.counts)
        numbers = _numbers(self.counts) if written is None else written
        if len(self.counts) <= _MOST_FRACTIONS or numbers is None:
            return ()
        if (numbers != np.rint(numbers)).any() or np.abs(numbers).max() > _LARGEST:
            return ()
        rows = dict(zip(numbers.astype(np.int64).tolist(), self.counts.values(), strict=True))
        said = f"column '{self.column}' looks like a quantity: its {len(rows)} different whole numbers are taken as classes"
        return (
            (f"{said}, ranges of them would be better ones",)
            if written is not None or _is_quantity(rows)
            else ()
        )

    def _check_shared(self) -> None:
        """Raise InputError where too many rows have a label of their own: prices, ids or free text."""
        own = sum(rows == 1 for rows in self.counts.values())
        numbers = _numbers(self.counts) is not None
        most = _OWN_NUMBER if numbers else _OWN_TEXT
        if len(self.counts) <= _MOST_FRACTIONS or own <= most * self.counts.total():
            return
        what = "different numbers" if numbers else "different values"
        raise InputError(
            f"column '{self.column}' holds {len(self.counts):,} {what} in {self.counts.total():,} rows: "
            + ("measured quantities or ids, not classes" if numbers else "ids or free text, not classes"),
            where=self.where,
            fix="name the column of classes with --label"
            + ("; regression targets are not supported, but ranges of them are classes" if numbers else ""),
        )

    def _check_single(self) -> None:
        several = several_in_one(self.counts)
        if several is not None:
            raise InputError(
                f"{self.role} column '{self.column}' holds several labels in one value ('{several[:80]}'): "
                "multi-label data are not supported",
                where=self.where,
                fix="give every row one label, or sweep each label by itself, in a column of yes and no",
            )


@dataclass(frozen=True)
class Writing:
    """How the labels of one column are written.

    Attributes:
        whole: All labels are whole numbers, some with a point, as pandas writes them beside missing ones.
        names: Names of the classes where the column holds their places.
    """

    whole: bool
    names: tuple[str, ...] = ()

    def one(self, label: str) -> str:
        """Return one label as it is written."""
        return label.strip().split(".")[0] if self.whole else label

    def text(self, column: pa.Array) -> pa.Array:
        """Return a column of labels as text, null where missing."""
        text = as_text(named(column, self.names) if self.names else column)
        return pc.replace_substring_regex(text, r"^\s*([+-]?\d+)(\.0*)?\s*$", r"\1") if self.whole else text


def named(column: pa.Array, names: tuple[str, ...]) -> pa.Array:
    """Return the names that the places in a column stand for; a place that is none, such as -1, is missing.

    >>> named(pa.array([1, 0, -1]), ("cat", "dog")).to_pylist()
    ['dog', 'cat', None]
    """
    inside = pc.and_(pc.greater_equal(column, 0), pc.less(column, len(names)))
    return pa.array(names, pa.string()).take(pc.if_else(inside, column, None).cast(pa.int64()))


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Return the names that the datasets library wrote down for a column of class numbers, if it did."""
    text = (schema.metadata or {}).get(b"huggingface")
    try:
        feature = json.loads(text)["info"]["features"][column] if text else {}
        names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    whole = pa.types.is_integer(schema.field(column).type)
    return tuple(map(str, names)) if whole and isinstance(names, list) else ()


def check_type(kind: pa.DataType, column: str, where: str, role: str) -> None:
    """Raise InputError when values of this type cannot be labels (or ids)."""
    if is_list(kind):
        raise InputError(
            f"{role} column '{column}' holds lists: multi-label data are not supported",
            where=where,
            fix="give every row one label"
            + ("; of one-hot rows, take the place of the 1 (argmax)" if is_embedding(kind) else ""),
        )
    if not has_text(kind):
        raise InputError(
            f"{role} column '{column}' holds {kind}", where=where, fix="it should hold text or integers"
        )


def _numbers(labels: Counter[str]) -> _Numbers | None:
    try:
        return np.array([float(label) for label in labels])
    except ValueError:
        return None


def _written_numbers(labels: Counter[str]) -> _Numbers | None:
    """Return the numbers that labels are in a person's writing, such as 5 %, $1,000 or 12,5; None where a label is none."""
    text = pa.array(list(labels), pa.string())
    survey = NumberSurvey()
    survey.see(text)
    notation = survey.judge(",").notation
    if _numbers(labels) is not None or notation is None or survey.present < len(labels):
        return None
    numbers = as_numbers(text, notation)
    return None if numbers.null_count else numbers.to_numpy()


def _is_quantity(rows: dict[int, int]) -> bool:
    """Return whether whole numbers are a quantity by how many rows each has; classes are counted from 0 or 1."""
    numbers = np.sort(list(rows))
    steps = np.diff(numbers)
    step = np.gcd.reduce(steps)
    # Years, or prices in steps of 5, lie close together, and far from 1.
    if numbers[0] not in (0, 1) and len(numbers) > (numbers[-1] - numbers[0]) / step / 2:
        return True
    near = [(rows[first], rows[first + step]) for first in numbers[:-1][steps == step]]
    if len(near) < len(rows) / 2 or min(map(np.ptp, zip(*near, strict=True))) == 0:
        return False
    return bool(np.corrcoef(np.array(near).T)[0, 1] >= _RISE_AND_FALL)


def _whole_with_point(labels: Counter[str]) -> bool:
    text = pa.array(list(labels), pa.string())
    whole = pc.all(pc.match_substring_regex(text, r"^\s*[+-]?\d+(\.0*)?\s*$")).as_py()
    pointed = pc.any(pc.match_substring(text, ".")).as_py()
    return bool(whole and pointed)
