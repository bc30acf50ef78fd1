"""Values of a column as numbers or as text, whatever type holds them."""

from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import Array

_FLOAT32 = pa.float32()


def convert_to_floats(column: pa.Array, kind: pa.DataType = _FLOAT32) -> Array:
    """Return a numeric column as floats of shape (rows,), NaN where missing."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    filled = pc.fill_null(column.cast(kind, safe=False), pa.scalar(float("nan"), kind))
    return cast("Array", filled.to_numpy(zero_copy_only=False))


def convert_to_text(column: pa.Array) -> pa.Array:
    """Return values as text, as a person would write them; blank text is missing.

    >>> convert_to_text(pa.array([3.0, None, 0.5])).to_pylist()
    ['3', None, '0.5']
    >>> convert_to_text(pa.array([True, False])).to_pylist()
    ['true', 'false']
    """
    kind = column.type
    if pa.types.is_string(kind):
        blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0)
        return pc.if_else(blank, None, column)
    if pa.types.is_float16(kind):
        return convert_to_text(column.cast(pa.float32()))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        coded = column.dictionary_encode()
        words = pa.array([_number_text(value) for value in coded.dictionary], pa.string())
        return words.take(coded.indices)
    return column.cast(pa.string())


def _number_text(value: pa.Scalar) -> str | None:
    number = value.as_py()
    if number is None or number != number:  # noqa: PLR0124 (NaN, of a float or a decimal)
        return None
    if abs(number) != float("inf") and number == int(number):
        return str(int(number))
    # float32 values are written with the digits that they have.
    return str(np.float32(number)) if value.type == pa.float32() else str(number)
