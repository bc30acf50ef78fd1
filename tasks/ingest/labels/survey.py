"""Labels as text: as the user wrote them, and which of them there are."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import Array
from tasks.errors import InputError, name_first_three
from tasks.ingest.columns.numerals import NumberSurvey, parse_numbers
from tasks.ingest.columns.types import has_text, is_embedding, is_list
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.labels.multilabel import find_joined_labels
from tasks.ingest.labels.spelling import describe_odd_names, describe_spellings, find_spellings
from tasks.ingest.vectors import is_written_vector

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
# Codes are filled up with zeros, and a quantity is not.
_PADDED = re.compile(r"0\d+")
# Larger ones are keys, too: a float tells no two of them apart.
_LARGEST = 2**53


@dataclass
class LabelSurvey:
    """Counts the labels of a column, batch by batch.

    Attributes:
        role: What the column was named as: label or truth.
        names: Names of the classes where the column holds their places, as the datasets library keeps them.
        is_guessed: Whether nobody named the column, so that it may be no label.
        counts: How often each label occurs, as text.
        spellings: The class of each label that is another spelling of it.
        merged: What there is to say of these.
        unknown: What there is to say of true labels that are no class.
    """

    column: str
    where: str
    role: str = "label"
    names: tuple[str, ...] = ()
    is_guessed: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    spellings: dict[str, str] = field(default_factory=dict)
    merged: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def read_text(self, column: pa.Array) -> pa.Array:
        """Return one batch of labels as text, null where missing, each class in one spelling."""
        text = convert_to_text(name_classes(column, self.names) if self.names else column)
        if not self.spellings:
            return text
        place = pc.index_in(text, value_set=pa.array(list(self.spellings)))
        return pc.coalesce(pa.array(list(self.spellings.values())).take(place), text)

    def merge_spellings(self, known: Iterable[str] = ()) -> None:
        """Make one class of labels that differ in capitals, blanks or the encoding of accents; `known` names are kept.

        Names of classes that the file states are left alone.
        """
        if self.names:
            return
        self.spellings = find_spellings(self.counts, known)
        self.merged = describe_spellings(self.spellings, self.counts)
        counts: Counter[str] = Counter()
        for label, rows in self.counts.items():
            counts[self.spellings.get(label, label)] += rows
        self.counts = counts

    def check_names(self, classes: tuple[str, ...]) -> None:
        """Check that the true labels are called as the given ones, and note those that are no class.

        Raises:
            InputError: None of them is a class: each label would count as wrong.
        """
        unknown = {label: rows for label, rows in self.counts.items() if label not in classes}
        if self.counts and len(unknown) == len(self.counts):
            raise self._make_error(
                f"holds {name_first_three(list(unknown))}, and the classes are {name_first_three(classes)}: each label would "
                "count as wrong",
                "write the true labels as the given ones",
            )
        if unknown:
            rows = f"{sum(unknown.values()):,} rows" if sum(unknown.values()) > 1 else "1 row"
            said = f"column '{self.column}' names a true label that no row is given, in {rows}"
            self.unknown = (f"{said}: {name_first_three(sorted(unknown))}",)

    def see(self, column: pa.Array) -> None:
        """Count one batch."""
        check_type(column.type, self.column, self.where, self.role)
        for item in pc.value_counts(self.read_text(column).drop_null()):
            self.counts[item["values"].as_py()] += item["counts"].as_py()
        if len(self.counts) > _MOST_CLASSES:
            self._check_not_measured(_parse_numbers(self.counts))
            raise self._make_error(
                f"has more than {_MOST_CLASSES:,} different labels",
                f"name the column of classes with --{self.role}",
            )

    def list_classes(self) -> tuple[str, ...]:
        """Return the classes in order: numerically when all are integers.

        Raises:
            InputError: There are no labels, only one class, or the labels are measured quantities, or look like a quantity
                in a column that nobody named.
        """
        if not self.counts:
            what = f"all labels are missing in column '{self.column}'"
            raise InputError(what, where=self.where, fix="name another with --label")
        lists = all(label.lstrip().startswith("[") and label.rstrip().endswith("]") for label in self.counts)
        if lists and is_written_vector(pa.array(list(self.counts), pa.string())):
            raise self._make_error(
                f"holds vectors such as '{next(iter(self.counts))[:40]}', not classes",
                "of one-hot rows or shares of classes, take the name of the largest (argmax); "
                "probabilities of a model are read with --pred-probs",
            )
        numbers, written = _parse_numbers(self.counts), _parse_written_numbers(self.counts)
        self._check_not_measured(numbers)
        self._check_shared(is_number=numbers is not None)
        # Of several labels none stands twice: with '3,3' among them, the commas are those of numbers.
        if any(left == right for left, _, right in (label.partition(",") for label in self.counts)):
            self._check_not_measured(written)
        if (several := find_joined_labels(self.counts)) is not None:
            raise InputError(
                f"{self.role} column '{self.column}' holds several labels in one value ('{several[:80]}'): "
                "multi-label data are not supported",
                where=self.where,
                fix="give every row one label, or sweep each label by itself, in a column of yes and no",
            )
        self._check_not_measured(written)
        if len(self.counts) == 1:
            spelled = f": {self.merged[0]}" if self.merged else ""
            raise self._make_error(
                f"has only one class ('{next(iter(self.counts))}'){spelled}",
                "finding wrong labels needs two classes or more, whose names differ in more than capitals and blanks",
            )
        quantity = self._find_quantity()
        if quantity is not None and self.is_guessed:
            raise self._make_error(
                f"looks like a quantity ({len(quantity)} different whole numbers from {quantity[0]} to {quantity[-1]}), and "
                "nobody named it as the label",
                f"--label {self.column} takes each number as a class; else name another column, or write ranges of the "
                "numbers (bins) into one",
            )
        integers = all(_INTEGER.fullmatch(label) for label in self.counts)
        return tuple(sorted(self.counts, key=(lambda label: (int(label), label)) if integers else None))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the classes, a line each."""
        quantity = self._find_quantity()
        said = (
            f"column '{self.column}' looks like a quantity: its {len(quantity or ())} different whole numbers are taken as "
            "classes, ranges of them would be better ones"
        )
        return (*((said,) if quantity else ()), *self.merged, *describe_odd_names(self.counts))

    def _find_quantity(self) -> list[int] | None:
        """Return the labels as whole numbers where they look like a quantity, such as an age or a year; else None."""
        written = _parse_written_numbers(self.counts)
        numbers = _parse_numbers(self.counts) if written is None else written
        if len(self.counts) <= _MOST_FRACTIONS or numbers is None:
            return None
        if (numbers != np.rint(numbers)).any() or np.abs(numbers).max() > _LARGEST:
            return None
        rows = dict(zip(numbers.astype(np.int64).tolist(), self.counts.values(), strict=True))
        padded = any(_PADDED.fullmatch(label) for label in self.counts)
        return sorted(rows) if written is not None or (not padded and _is_quantity(rows)) else None

    def _make_error(self, what: str, fix: str) -> InputError:
        return InputError(f"column '{self.column}' {what}", where=self.where, fix=fix)

    def _check_not_measured(self, numbers: Array | None) -> None:
        """Raise InputError where the labels are numbers with fractions."""
        if numbers is None:
            return
        fractions = int((np.isfinite(numbers) & (numbers != np.rint(numbers))).sum())
        if fractions > _MOST_FRACTIONS or (fractions > 2 and fractions > self.counts.total() / 2):
            raise self._make_error(
                f"holds {len(self.counts)} different measured quantities, not classes",
                "labelsweep checks class labels; regression targets are not supported",
            )

    def _check_shared(self, *, is_number: bool) -> None:
        """Raise InputError where too many rows have a label of their own: prices, ids or free text."""
        own = sum(rows == 1 for rows in self.counts.values())
        rows = self.counts.total()
        if len(self.counts) <= _MOST_FRACTIONS or own <= (_OWN_NUMBER if is_number else _OWN_TEXT) * rows:
            return
        what, instead = (
            ("numbers", "measured quantities or ids") if is_number else ("values", "ids or free text")
        )
        raise self._make_error(
            f"holds {len(self.counts):,} different {what} in {rows:,} rows: {instead}, not classes",
            "name the column of classes with --label"
            + ("; regression targets are not supported, but ranges of them are classes" if is_number else ""),
        )


def name_classes(column: pa.Array, names: tuple[str, ...]) -> pa.Array:
    """Return the names that the places in a column stand for; a place that is none, such as -1, is missing.

    >>> name_classes(pa.array([1, 0, -1]), ("cat", "dog")).to_pylist()
    ['dog', 'cat', None]
    """
    inside = pc.and_(pc.greater_equal(column, 0), pc.less(column, len(names)))
    return pa.array(names, pa.string()).take(pc.if_else(inside, column, None).cast(pa.int64()))


def read_class_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
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
        fix = "it should hold text or integers"
        if pa.types.is_binary(kind):  # as Impala and Spark write text where nobody says that it is text
            fix = f"write its bytes as text: df['{column}'] = df['{column}'].str.decode('utf-8')"
        raise InputError(f"{role} column '{column}' holds {kind}", where=where, fix=fix)


def _parse_numbers(labels: Counter[str]) -> Array | None:
    try:
        return np.array([float(label) for label in labels])
    except ValueError:
        return None


def _parse_written_numbers(labels: Counter[str]) -> Array | None:
    """Return the numbers that labels are in a person's writing, such as 5 %, $1,000 or 12,5; None where a label is none."""
    text = pa.array(list(labels), pa.string())
    survey = NumberSurvey()
    survey.see(text)
    notation = survey.judge(",").notation
    if _parse_numbers(labels) is not None or notation is None or survey.present < len(labels):
        return None
    numbers = parse_numbers(text, notation)
    return None if numbers.null_count else numbers.to_numpy()


def _is_quantity(rows: dict[int, int]) -> bool:
    """Return whether whole numbers are a quantity by how many rows each has.

    Classes are counted from 0 or 1, clusters with -1 for what is in none. Classes as large as each other were chosen so, and
    those that only become smaller were numbered by their size.
    """
    numbers = np.sort([number for number in rows if number != -1])
    if (np.diff([rows[number] for number in numbers]) <= 0).all():
        return False
    steps = np.diff(numbers)
    step = np.gcd.reduce(steps)
    # Years, or prices in steps of 5, lie close together, and far from 1.
    if numbers[0] not in (0, 1) and len(numbers) > (numbers[-1] - numbers[0]) / step / 2:
        return True
    near = [(rows[first], rows[first + step]) for first in numbers[:-1][steps == step]]
    if len(near) < len(rows) / 2 or min(map(np.ptp, zip(*near, strict=True))) == 0:
        return False
    return bool(np.corrcoef(np.array(near).T)[0, 1] >= _RISE_AND_FALL)
