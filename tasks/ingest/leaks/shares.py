"""Columns of numbers that are votes for each class, or its shares: the label was made from the largest of them."""

from collections.abc import Sequence

import numpy as np

from tasks.ingest.leaks.measures import measure_match
from tasks.ingest.leaks.sample import Sample, SampledColumn

# Votes of a row sum to how many people voted, shares to 1: so many different sums are those of measurements.
_MOST_SUMS = 20
# Between two classes any two measurements of which one rises and one falls would do, unless all rows have the same sum.
_LEAST_CLASSES = 3


def find_shares(columns: Sequence[SampledColumn], sample: Sample, least_share: float) -> dict[str, str]:
    """Return the neighbouring columns, one for each class, whose largest number names the label.

    Args:
        least_share: Share of the errors of guessing the most frequent class that they must avoid.
    """
    width = len(sample.classes)
    numbers = [column if _is_amount(column) else None for column in columns]
    for start in range(len(columns) - width + 1):
        block = [column for column in numbers[start : start + width] if column is not None]
        if len(block) < width:
            continue
        values = np.column_stack([column.numbers for column in block if column.numbers is not None])
        sums = np.unique(values.sum(axis=1).round(2))
        if len(sums) > (_MOST_SUMS if width >= _LEAST_CLASSES else 1):
            continue
        share, rows = measure_match(values.argmax(axis=1).astype(np.int64), sample.labels)
        if share >= least_share:
            why = f"votes or shares of the classes, of which the largest names the label in {rows:.1%} of the rows"
            return dict.fromkeys((column.name for column in block), why)
    return {}


def _is_amount(column: SampledColumn) -> bool:
    """Return whether a column has a number in each row, and none below 0."""
    return column.numbers is not None and bool(column.present.all() and (column.numbers >= 0).all())
