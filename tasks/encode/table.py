"""The columns of a table as numbers that a linear model can use.

Every missing number becomes the column's median, with a column that says so (Josse et al., "On the consistency of supervised
learning with missing values", 2019: an imputed constant and an indicator lose nothing that a flexible model could use). A
category becomes one column for each of its values, a date its days, its place in the year, its weekday and its hour.

The encoder sees all rows at once and no label: one encoding serves all folds. Encoders fitted again on the training rows of
each fold were measured against it; cleanlab on the same logistic regression found as many wrong labels to the third digit
(`docs/results/inputs.md`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.records import Column

Floats = npt.NDArray[np.float32]

# A column that is 1 in fewer rows than this says nothing that holds in another fold, and standardising would blow it up.
LEAST_ROWS = 5
# Rows from which medians are taken: their standard error is then below half a percentile.
MEDIAN_ROWS = 50_000
_YEAR = 365.2425
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class EncodedColumn:
    """One encoded column.

    Attributes:
        source: Place of the column that it comes from.
        make: From that column (b,) to the encoded one (b,).
    """

    name: str
    source: int
    make: Callable[[Floats], Floats]


@dataclass(frozen=True)
class TableEncoder:
    """How a table is encoded.

    >>> columns = (Column(name="age", kind="number"), Column(name="town", kind="category", categories=("Bonn", "Rome")))
    >>> rows = np.array([[30, 0], [np.nan, 1], [50, 0], [40, np.nan]] * 5, np.float32)
    >>> encoder = fit_table(columns, lambda: iter([rows]))
    >>> encoder.names
    ('age', 'age is missing', 'town = Bonn', 'town = Rome', 'town is missing')
    >>> encoder(rows[1:2]).tolist()
    [[40.0, 1.0, 0.0, 1.0, 0.0]]
    """

    parts: tuple[EncodedColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each encoded column."""
        return tuple(part.name for part in self.parts)

    def __call__(self, raw: Floats) -> Floats:
        """Return raw rows (b, d) encoded, (b, width), without gaps."""
        encoded = np.empty((len(raw), len(self.parts)), np.float32)
        for place, part in enumerate(self.parts):
            encoded[:, place] = part.make(raw[:, part.source])
        return encoded


def fit_table(columns: tuple[Column, ...], batches: Callable[[], Iterable[Floats]]) -> TableEncoder:
    """Look at all rows once and return how they are encoded.

    Args:
        batches: Starts over the raw rows, (b, d) each, NaN where a value is missing.
    """
    seen = _Seen(columns)
    for batch in batches():
        seen.see(batch)
    parts: list[EncodedColumn] = []
    for place, column in enumerate(columns):
        parts.extend(_MAKE.get(column.kind, _encode_number)(column, place, seen))
    return TableEncoder(tuple(parts))


class _Seen:
    """What has to be known of all rows: gaps, levels, and a sample for the medians."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.rows = 0
        self.missing = np.zeros(len(columns), np.int64)
        self.levels = [np.zeros(len(column.categories) + 1, np.int64) for column in columns]
        self._columns = columns
        self._sample: list[Floats] = []
        self._generator = np.random.default_rng(0)
        self._hours = np.zeros(len(columns), bool)
        self._centres = np.array([column.centre for column in columns])
        self._low = np.full(len(columns), np.inf)
        self._high = np.full(len(columns), -np.inf)

    def see(self, batch: Floats) -> None:
        """Look at one batch."""
        gaps = np.isnan(batch)
        self.rows += len(batch)
        self.missing += gaps.sum(axis=0)
        self._low = np.fmin(self._low, np.where(gaps, np.inf, batch).min(axis=0, initial=np.inf))
        self._high = np.fmax(self._high, np.where(gaps, -np.inf, batch).max(axis=0, initial=-np.inf))
        for place, column in enumerate(self._columns):
            if column.kind == "category":
                codes = batch[~gaps[:, place], place].astype(np.int64)
                self.levels[place] += np.bincount(codes, minlength=len(self.levels[place]))
        self._hours |= (np.nan_to_num(batch + self._centres) % 1 != 0).any(axis=0)
        self._sample.append(batch[self._generator.random(len(batch)) < self._compute_share()])
        if sum(map(len, self._sample)) > 2 * MEDIAN_ROWS:
            pool = np.concatenate(self._sample)
            self._sample = [pool[self._generator.permutation(len(pool))[:MEDIAN_ROWS]]]

    def _compute_share(self) -> float:
        """Return the share of the next rows that keeps the sample even over all rows."""
        return min(1.0, MEDIAN_ROWS / max(1, self.rows))

    def find_median(self, place: int) -> float:
        """Return the median of a column over the sample."""
        values = np.concatenate(self._sample)[:, place]
        values = values[~np.isnan(values)]
        return float(np.median(values)) if len(values) else float(self._low[place])

    def does_vary(self, place: int) -> bool:
        """Return whether a column has two different values."""
        return bool(self._low[place] < self._high[place])

    def has_hours(self, place: int) -> bool:
        """Return whether a moment is not at midnight."""
        return bool(self._hours[place])

    def has_gaps(self, place: int) -> bool:
        """Return whether enough rows lack the value, and enough have it."""
        return bool(LEAST_ROWS <= self.missing[place] <= self.rows - LEAST_ROWS)


def _encode_number(column: Column, place: int, seen: _Seen) -> Iterator[EncodedColumn]:
    if seen.missing[place] < seen.rows:
        middle = np.float32(seen.find_median(place))
        yield EncodedColumn(column.name, place, lambda values: np.where(np.isnan(values), middle, values))
    yield from _encode_gaps(column, place, seen)


def _encode_gaps(column: Column, place: int, seen: _Seen) -> Iterator[EncodedColumn]:
    if seen.has_gaps(place):
        yield EncodedColumn(
            f"{column.name} is missing", place, lambda values: np.isnan(values).astype(np.float32)
        )


def _encode_category(column: Column, place: int, seen: _Seen) -> Iterator[EncodedColumn]:
    counts = seen.levels[place]
    present = [level for level in range(len(counts)) if counts[level]]
    kept = [level for level in present if counts[level] >= LEAST_ROWS]
    if len(present) < 2:
        kept = []  # only the gaps tell rows apart
    elif len(present) == len(kept) == 2 and not seen.missing[place]:
        kept = kept[:1]  # the second value is one minus the first
    for level in kept:
        other = level == len(column.categories)
        name = f"{column.name} is another value" if other else f"{column.name} = {column.categories[level]}"
        yield EncodedColumn(name, place, _make_equals(level))
    yield from _encode_gaps(column, place, seen)


def _make_equals(level: int) -> Callable[[Floats], Floats]:
    return lambda values: (values == level).astype(np.float32)


def _encode_date(column: Column, place: int, seen: _Seen) -> Iterator[EncodedColumn]:
    """Yield days, and the calendar: the place in the year on a circle, the weekday, the hour on a circle."""
    if seen.does_vary(place):
        middle = np.float32(seen.find_median(place))

        def filled(values: Floats) -> Floats:
            return np.where(np.isnan(values), middle, values)

        def days(values: Floats) -> npt.NDArray[np.float64]:
            return filled(values).astype(np.float64) + column.centre

        def circle(period: float, turn: np.ufunc) -> Callable[[Floats], Floats]:
            return lambda values: turn(2 * np.pi * days(values) / period).astype(np.float32)

        def weekday(day: int) -> Callable[[Floats], Floats]:
            # 1970-01-01 was a Thursday.
            return lambda values: ((np.floor(days(values)) + 3) % 7 == day).astype(np.float32)

        yield EncodedColumn(column.name, place, filled)
        yield EncodedColumn(f"{column.name}: season (sine)", place, circle(_YEAR, np.sin))
        yield EncodedColumn(f"{column.name}: season (cosine)", place, circle(_YEAR, np.cos))
        for day, name in enumerate(_WEEKDAYS):
            yield EncodedColumn(f"{column.name} is a {name}", place, weekday(day))
        if seen.has_hours(place):
            yield EncodedColumn(f"{column.name}: hour (sine)", place, circle(1.0, np.sin))
            yield EncodedColumn(f"{column.name}: hour (cosine)", place, circle(1.0, np.cos))
    yield from _encode_gaps(column, place, seen)


# What the columns of a kind become; whatever is not here is a number. Of a text only its gaps: directions are beside the table.
_MAKE: dict[str, Callable[[Column, int, _Seen], Iterator[EncodedColumn]]] = {
    "category": _encode_category,
    "date": _encode_date,
    "text": _encode_gaps,
}
