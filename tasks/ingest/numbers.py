"""Numbers, of any type that holds them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def as_float32(column: pa.Array) -> NDArray[np.float32]:
    """Return a numeric column as float32 of shape (rows,), NaN where missing."""
    kind = column.type
    if pa.types.is_string(kind):
        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(pc.utf8_length(column), 0), pa.scalar(None, pa.string()), column)
    if pa.types.is_decimal(kind) or pa.types.is_string(kind):
        column = column.cast(pa.float64())
    numbers = pc.fill_null(column.cast(pa.float32(), safe=False), np.float32("nan"))
    values: NDArray[np.float32] = numbers.to_numpy(zero_copy_only=False)
    return values


def as_float64(column: pa.Array) -> NDArray[np.float64]:
    """Return the same in double precision."""
    if pa.types.is_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(pc.utf8_length(column), 0), pa.scalar(None, pa.string()), column)
    numbers = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan"))
    values: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
    return values
