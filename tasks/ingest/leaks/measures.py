"""How well one column alone tells the given label, measured on rows that the guess did not see.

The share is the lambda of Goodman and Kruskal, "Measures of Association for Cross Classifications" (1954): of the errors that
guessing the most frequent class makes, how many the column avoids. It is 0 for a column that says nothing, and 1 for one that
says everything. Every row is guessed from the other rows, so that a column of ids, which says nothing of other rows, has 0.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Repeats that chance must explain before their absence means anything: with 20 expected, none has probability 2e-9 (Poisson).
_EXPECTED_REPEATS = 20
# A number that was given out once may be in a few rows twice, where rows were copied.
_FEW_REPEATS = 0.1
# Rows that share their value with another: else a column has nothing to say by its values.
SHARED = 0.5
# Neighbours on each side in the order of a column; three of the four must agree with a row.
_REACH, _AGREE = 2, 3


def measure_share_avoided(right: float, labels: Ints) -> float:
    """Return the share of the errors of guessing the most frequent class that is avoided.

    Args:
        right: Share of the rows that were guessed right.
        labels: (m,) classes.

    >>> measure_share_avoided(0.75, np.array([0, 0, 1, 1]))
    0.5
    """
    base = np.bincount(labels).max() / len(labels)
    return 0.0 if base == 1 else float((right - base) / (1 - base))


def measure_value(codes: Ints, labels: Ints) -> tuple[float, float]:
    """Return how well the value of a column tells the class, and the share of rows whose value occurs again.

    Each row is guessed as the most frequent class among the other rows with its value; where two are equally frequent, the
    guess is wrong. Rows with a value of their own say nothing.

    Args:
        codes: (m,) number of each row's value.
        labels: (m,) classes.

    >>> measure_value(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1]))
    (1.0, 0.8)
    """
    again = np.bincount(codes)[codes] > 1
    if not again.any():
        return 0.0, 0.0
    codes, labels = codes[again], labels[again]
    value, _, count = _count_cells(codes, labels)
    order = np.lexsort((-count, value))
    value, count = value[order], count[order]
    first = np.concatenate([[True], value[1:] != value[:-1]])
    second = np.concatenate([count[1:] * ~first[1:], [0]])[first]
    best = count[first]
    right = best[best - 1 > second].sum() / len(labels)
    return measure_share_avoided(float(right), labels), float(again.mean())


def measure_neighbours(numbers: Floats, labels: Ints) -> float:
    """Return how well the neighbours in the order of a column tell the class.

    A row counts as told where three of its four neighbours carry its class: strict, so that chance stays near 0 or below. Where
    each class has one stretch of the order, all are told.

    Args:
        numbers: (m,) values, none missing; equal ones must be in random order.
        labels: (m,) classes.

    >>> measure_neighbours(np.arange(100.0), np.arange(100) // 50)
    1.0
    """
    if len(labels) <= 2 * _REACH:
        return 0.0
    ordered = labels[np.argsort(numbers, kind="stable")]
    if (ordered[1:] != ordered[:-1]).sum() + 1 == len(np.unique(labels)):
        return 1.0
    padded = np.concatenate([ordered[:_REACH][::-1], ordered, ordered[-_REACH:][::-1]])
    same = sum(
        (padded[_REACH + shift : len(padded) - _REACH + shift] == ordered).astype(int)
        for shift in range(-_REACH, _REACH + 1)
        if shift
    )
    return measure_share_avoided(float((same >= _AGREE).mean()), labels)


def measure_column(codes: Ints, numbers: Floats | None, labels: Ints) -> float:
    """Return how well a column tells the class, by its values where most rows share theirs, or by its order.

    Args:
        codes: (m,) number of each row's value.
        numbers: (m,) values, equal ones in random order; None where they have no order.
        labels: (m,) classes.
    """
    told, shared = measure_value(codes, labels)
    found = told if shared >= SHARED else 0.0
    if numbers is None or not np.isfinite(numbers).all():
        return found
    return max(found, measure_neighbours(numbers, labels))


def measure_match(codes: Ints, labels: Ints) -> tuple[float, float]:
    """Return how well a column repeats the label, one value for each class: the share avoided, and the share of the rows.

    A value and a class belong together where each is the other's most frequent one.

    Args:
        codes: (m,) number of each row's value.
        labels: (m,) classes.

    >>> measure_match(np.array([5, 5, 7, 7]), np.array([0, 0, 1, 1]))
    (1.0, 1.0)
    >>> measure_match(np.array([5, 6, 7, 8]), np.array([0, 0, 1, 1]))
    (0.0, 0.5)
    """
    value, label, count = _count_cells(codes, labels)
    best_of_value, best_of_label = (
        _find_most_frequent(value, label, count),
        _find_most_frequent(label, value, count),
    )
    together = (best_of_value[value] == label) & (best_of_label[label] == value)
    right = float(count[together].sum() / len(labels))
    return measure_share_avoided(right, labels), right


def find_class_of_flag(codes: Ints, labels: Ints, least: float) -> tuple[int, Flags] | None:
    """Return the class that a column of two values tells from all others, and the rows in which it says so.

    Args:
        codes: (m,) 0 or 1.
        labels: (m,) classes.
        least: Share of the errors that it must avoid as an answer to "is it this class?".

    >>> find_class_of_flag(np.array([0, 0, 1, 1]), np.array([2, 1, 0, 0]), 0.99)[0]
    0
    """
    for value in (1, 0):
        says = codes == value
        likely = int(np.bincount(labels[says]).argmax())
        is_class = labels == likely
        if measure_share_avoided(float((says == is_class).mean()), is_class.astype(np.int64)) >= least:
            return likely, says
    return None


def measure_flags(flags: Sequence[tuple[int, Flags]], labels: Ints) -> tuple[float, float]:
    """Return how well columns of 0 and 1 tell the label together: the share avoided, and the share of the rows.

    Args:
        flags: The class that each tells from the others, and the rows in which it says so.
        labels: (m,) classes.
    """
    guess = np.full(len(labels), -1, np.int64)
    for likely, says in flags:
        guess[says] = likely
    rest = labels[~np.isin(labels, [likely for likely, _ in flags])]
    if len(rest):
        guess[guess < 0] = np.bincount(rest).argmax()
    right = float((guess == labels).mean())
    return measure_share_avoided(right, labels), right


def is_numbering(numbers: Floats) -> bool:
    """Return whether whole numbers were given out, each once, as numbers of rows or of people are.

    Numbers that were measured repeat by chance where they are as close as these.

    >>> is_numbering(np.arange(1000.0)), is_numbering(np.random.default_rng(0).integers(0, 1000, 1000).astype(float))
    (True, False)
    """
    if not len(numbers) or (numbers != np.rint(numbers)).any():
        return False
    span = float(numbers.max() - numbers.min()) + 1
    different = len(np.unique(numbers))
    expected = len(numbers) - span * -np.expm1(len(numbers) * np.log1p(-1 / span)) if span > 1 else 0.0
    return bool(expected >= _EXPECTED_REPEATS and len(numbers) - different <= _FEW_REPEATS * expected)


def convert_to_steps(numbers: Floats) -> Floats:
    """Return numbers in multiples of the smallest step between two of them, from 0.

    >>> convert_to_steps(np.array([0.5, 1.5, 3.5])).tolist()
    [0.0, 1.0, 3.0]
    """
    different = np.unique(numbers)
    if len(different) < 2:
        return np.zeros_like(numbers)
    steps: Floats = (numbers - different[0]) / np.diff(different).min()
    # Decimal fractions are not exact in binary: a running number up to a million is known to 1e-4 of its step.
    return np.where(np.abs(steps - np.rint(steps)) < 1e-4, np.rint(steps), steps)


def count_stretches(numbers: Floats, labels: Ints) -> int:
    """Return how many stretches of one class the values of a column make, in their order.

    >>> count_stretches(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1]))
    2
    """
    best = _find_most_frequent(*_count_cells(np.unique(numbers, return_inverse=True)[1], labels))
    return 1 + int((best[1:] != best[:-1]).sum())


def _find_most_frequent(groups: Ints, members: Ints, count: Ints) -> Ints:
    """Return the member of each group that occurs most often with it."""
    best = np.zeros(groups.max() + 1, np.int64)
    order = np.argsort(count, kind="stable")  # the most frequent is written last
    best[groups[order]] = members[order]
    return best


def _count_cells(codes: Ints, labels: Ints) -> tuple[Ints, Ints, Ints]:
    """Return value, class and number of rows of each combination that occurs."""
    width = int(labels.max()) + 1
    pairs, count = np.unique(codes * width + labels, return_counts=True)
    return pairs // width, pairs % width, count.astype(np.int64)
