"""What the type of a column says about its values."""

import pyarrow as pa

# What a reader notes on a column that lies within an object of another one.
NESTED = {b"labelsweep.nested": b"yes"}


def is_numeric(kind: pa.DataType) -> bool:
    """Return whether every value of the type is a number (true and false count as 1 and 0)."""
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    """Return whether the type is any kind of list."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_embedding(kind: pa.DataType) -> bool:
    """Return whether the type is a list of numbers."""
    return is_list(kind) and is_numeric(kind.value_type) and not pa.types.is_boolean(kind.value_type)


def is_image(kind: pa.DataType) -> bool:
    """Return whether the type holds the bytes of a file, alone or in a struct (as Hugging Face does)."""
    if pa.types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return bool(position >= 0 and pa.types.is_binary(kind.field(position).type))
    return bool(pa.types.is_binary(kind))


def fits_parquet(kind: pa.DataType) -> bool:
    """Return whether Parquet has a type for the values; for a union or an object without fields it has none, however deep.

    >>> fits_parquet(pa.int8()), fits_parquet(pa.list_(pa.sparse_union([pa.field("a", pa.int8())])))
    (True, False)
    """
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        return kind.num_fields > 0 and all(
            fits_parquet(kind.field(place).type) for place in range(kind.num_fields)
        )
    return not pa.types.is_union(kind)


def has_text(kind: pa.DataType) -> bool:
    """Return whether every value can be written as text: none does that is nested, binary, or of a time zone that nobody knows.

    >>> has_text(pa.int8()), has_text(pa.binary()), has_text(pa.timestamp("us", "Nowhere"))
    (True, False, False)
    """
    if not is_displayable(kind):
        return False
    try:
        pa.nulls(1, kind).cast(pa.string())
    except pa.ArrowException:
        return False
    return True


def is_displayable(kind: pa.DataType) -> bool:
    """Return whether a value fits into a cell for a person to read."""
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind))
