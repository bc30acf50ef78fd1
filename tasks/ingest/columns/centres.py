"""Columns whose values lie close together and far from zero: Unix seconds of an hour, coordinates of a quarter of a town.

The features are float32, which holds seven digits: of 1,700,000,000 seconds it tells 128 apart. Such a column is stored less a
round number near its median, which is written down. Other columns stay as they are, to the last bit.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.ingest.content import read_exact_values
from tasks.ingest.table import SourceTable
from tasks.records import Column

# Steps of float32 at the median may be this share of the distance between the quartiles: no label depends on finer differences.
FINEST = 1e-3
# Rows that show whether a column may need it.
_SOME = 4_096
# Types that hold no more than float32 does.
_EXACT = (pa.float16(), pa.float32(), pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.bool_())


def choose_centres(table: SourceTable, columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns of a table, each with what is taken off its values.

    A first batch shows which columns may need it; only those are read to the end.
    """
    free = [
        column
        for column in columns
        if column.kind in ("number", "date") and table.schema.field(column.name).type not in _EXACT
    ]
    first = next(table.scan([column.name for column in free]), None) if free else None
    if first is None:
        return tuple(columns)
    centres: dict[str, float] = {}
    for column in free:
        if choose_centre(read_exact_values(first.column(column.name), column)):
            parts = [read_exact_values(batch.column(0), column) for batch in table.scan([column.name])]
            centres[column.name] = choose_centre(np.concatenate(parts))
    return tuple(
        column.model_copy(update={"centre": centres[column.name]}) if centres.get(column.name) else column
        for column in columns
    )


def choose_centre(values: NDArray[np.float64]) -> float:
    """Return what is to be taken off some values before they become float32, or 0 where they lose nothing.

    It is a round number near their median, so that a few more rows seldom move it.

    >>> choose_centre(1_700_000_000 + np.arange(3_600.0)), choose_centre(np.arange(3_600.0))
    (1700003840.0, 0.0)
    """
    there = values[np.isfinite(values)]
    if len(there) < 2:
        return 0.0
    low, middle, high = np.percentile(there, [25, 50, 75])
    spread = high - low or np.abs(there - middle).mean()
    step = np.abs(middle) * np.finfo(np.float32).eps
    if not spread > 0 or step <= FINEST * spread:
        return 0.0
    grid = 2.0 ** np.ceil(np.log2(4 * spread))
    return float(np.rint(middle / grid) * grid)


def subtract_centres(features: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return features (n, d) with the centre taken off each column that float32 would lose the differences of.

    >>> subtract_centres(np.array([[1e9, 1.0], [1e9 + 2, 2.0], [1e9 + 4, 3.0]])).tolist()
    [[0.0, 1.0], [2.0, 2.0], [4.0, 3.0]]
    """
    if np.can_cast(features.dtype, np.float32):  # as `_EXACT` types
        return features
    some = features[:: max(1, len(features) // _SOME)]
    maybe = [place for place in range(features.shape[1]) if choose_centre(some[:, place].astype(np.float64))]
    if not maybe:
        return features
    less = features.astype(np.float64)
    for place in maybe:
        less[:, place] -= choose_centre(less[:, place])
    return less
