"""What is usual for each class in each column of a table, and how far one value is from it.

A column of numbers is a histogram for each class, a column of few texts a count of each. How much a value speaks for one class
and against another is the logarithm of the ratio of its two shares:

    log p(bin | suggested) / p(bin | given),   p(bin | c) = (count(bin, c) + m p(bin)) / (n_c + m)

with m samples drawn from all classes added to each (an m-estimate: Cestnik, "Estimating probabilities", 1990), so that a class
of few samples says little.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.show.scores import Floats
from tasks.show.view import RunView

# Rows that the shares are counted from: their standard error is below 1 % for a class of a tenth of the data.
ROWS = 20_000
# Bars that can be told apart in a drawing of 96 pixels.
BINS = 16
# A column of more texts, or of which most occur once, names things rather than kinds of things.
MOST_VALUES = 200
# What the m-estimate adds to each class: half of the samples that fill each bin once.
ADDED = BINS / 2
# The range that is drawn: one far value would press all others into one bar.
_EDGES = (0.01, 0.99)
# Neighbouring bins are measurements of neighbouring values: each takes part in the other, so that chance shows less.
_BLUR = np.array([0.25, 0.5, 0.25])


@dataclass(frozen=True)
class Usual:
    """What values of one column each class has.

    Attributes:
        counts: (classes, bins or values) samples.
        edges: Where the first bin starts and the last one ends, for numbers.
        values: The texts, in the order of `counts`; empty for numbers.
    """

    counts: Floats
    edges: tuple[float, float] = (0.0, 1.0)
    spread: float = 0.0
    values: tuple[str, ...] = ()

    def place(self, text: str) -> int | None:
        """Return the bin of a value, None where it has none."""
        if self.values:
            return self.values.index(text) if text in self.values else None
        value = parse_number(text)
        if value is None:
            return None
        low, high = self.edges
        return int(np.clip((value - low) / (high - low) * BINS, 0, BINS - 1))

    @cached_property
    def shares(self) -> Floats:
        """(classes, bins) share of each bin in each class, by the m-estimate."""
        whole = self.counts.sum(0) / self.counts.sum()
        return (self.counts + ADDED * whole) / (self.counts.sum(1, keepdims=True) + ADDED)

    def measure_difference(self, text: str, given: int, suggested: int) -> float:
        """Return how much a value speaks for the suggested class, in nats; below 0 for the given one.

        >>> Usual(np.array([[9.0] + 15 * [0.0], 15 * [0.0] + [9.0]])).measure_difference("0.5", 0, 1)
        0.0
        """
        place = self.place(text)
        if place is None or not self.counts[:, place].any():
            return 0.0
        return float(np.log(self.shares[suggested, place] / self.shares[given, place]))

    def differs(self, text: str, other: str) -> str:
        """Return how another value lies: `higher` or `lower` by a standard deviation or more, `other` for texts, or nothing.

        >>> Usual(np.ones((1, BINS)), spread=1.0).differs("2", "5"), Usual(np.ones((1, 1)), values=("a",)).differs("a", "b")
        ('higher', 'other')
        """
        if self.values:
            return "other" if text != other else ""
        here, there = parse_number(text), parse_number(other)
        if here is None or there is None or abs(there - here) < self.spread:
            return ""
        return "higher" if there > here else "lower"


# Of a column of names or times there is nothing to say.
NOTHING_USUAL = Usual(np.empty((0, 0)), spread=np.inf)


def parse_number(text: str) -> float | None:
    """Return the number that a cell shows, None where it shows none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def describe_usual_columns(
    view: RunView, columns: tuple[str, ...], classes: tuple[str, ...]
) -> dict[str, Usual]:
    """Return what is usual in each column that has numbers or few texts.

    Args:
        columns: Names of columns of its data set.
        classes: Names of the classes, in the order of `Usual.counts`.
    """
    table = view.some_rows(["label", *columns], ROWS)
    if table is None or not len(table):
        return {}
    labels = pc.index_in(table["label"].cast(pa.string()), value_set=pa.array(classes, pa.string()))
    codes = pc.fill_null(labels, -1).to_numpy()
    found = {name: _describe_usual(table[name], codes, len(classes)) for name in columns}
    return {name: usual for name, usual in found.items() if usual is not None}


def _describe_usual(column: pa.ChunkedArray, codes: Any, classes: int) -> Usual | None:  # noqa: ANN401 (of integers)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        known = np.isfinite(values) & (codes >= 0)
        if not known.any():
            return None
        low, high = np.quantile(values[known], _EDGES)
        high = high if high > low else low + 1
        places = np.clip((values[known] - low) / (high - low) * BINS, 0, BINS - 1).astype(int)
        counts = _count_values(codes[known], places, classes, BINS)
        counts = np.apply_along_axis(np.convolve, 1, counts, _BLUR, "same")
        return Usual(counts, (float(low), float(high)), float(values[known].std()))
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind)):
        return None
    texts = np.array(["–" if value is None else str(value) for value in column.to_pylist()], dtype=object)
    names, places = np.unique(texts[codes >= 0].astype(str), return_inverse=True)
    if not 1 <= len(names) <= min(MOST_VALUES, len(places) / 2):
        return None
    return Usual(_count_values(codes[codes >= 0], places, classes, len(names)), values=tuple(names.tolist()))


def _count_values(codes: Any, places: Any, classes: int, width: int) -> Floats:  # noqa: ANN401 (of integers)
    counts = np.bincount(codes * width + places, minlength=classes * width)
    return counts.reshape(classes, width).astype(float)
