"""Dates as numbers: days since 1970, with the time of day as a fraction."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_DAY = 86_400
# What people and programs write, ISO 8601 first. Where day and month cannot be told apart by any value, the American order
# stands before the European one: either way the column is a date, and only its calendar parts would differ.
ISO = "iso"
_PATTERNS = (
    ISO,
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%d %b %Y",
    "%b %d, %Y",
)
PATTERNS = _PATTERNS + tuple(f"{pattern} %H:%M{rest}" for pattern in _PATTERNS[1:] for rest in ("", ":%S"))


@dataclass
class DatePattern:
    """Finds the pattern in which all values of a column are dates.

    >>> dates = DatePattern()
    >>> dates.see(pa.array(["03.02.2024", "28.02.2024"]))
    >>> dates.found
    '%d.%m.%Y'
    """

    left: list[str] = field(default_factory=lambda: list(PATTERNS))
    seen: bool = False

    def see(self, text: pa.Array) -> None:
        """Look at one batch of values that are not missing."""
        if not self.left or not len(text):
            return
        self.seen = True
        # Most columns are no dates, and their first value says so at once.
        self.left = [pattern for pattern in self.left if _fits(text[:1], pattern)]
        self.left = [pattern for pattern in self.left if _fits(text, pattern)]

    @property
    def found(self) -> str | None:
        """The pattern that all values fit."""
        return self.left[0] if self.seen and self.left else None


def is_date(kind: pa.DataType) -> bool:
    """Return whether a type is a date or a moment."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def as_days(column: pa.Array, pattern: str) -> NDArray[np.float64]:
    """Return days since 1970 as float64 of shape (rows,), NaN where missing.

    Args:
        column: Dates, moments, or text in the pattern.
        pattern: One of `PATTERNS`; of no meaning for dates.

    >>> as_days(pa.array(["1970-01-02", None, "1970-01-02T12:00:00"]), ISO).tolist()
    [1.0, nan, 1.5]
    """
    moments = _moments(column, pattern) if pa.types.is_string(column.type) else column
    seconds = pc.divide(
        moments.cast(pa.timestamp("us", _zone(moments.type)), safe=False).cast(pa.int64()), 10**6
    )
    days = pc.divide(seconds.cast(pa.float64()), float(_DAY))
    values: NDArray[np.float64] = pc.fill_null(days, float("nan")).to_numpy(zero_copy_only=False)
    return values


def _zone(kind: pa.DataType) -> str | None:
    return kind.tz if pa.types.is_timestamp(kind) else None


def _fits(text: pa.Array, pattern: str) -> bool:
    try:
        return bool(_moments(text, pattern).null_count == 0)
    except pa.ArrowInvalid:
        return False


def _moments(text: pa.Array, pattern: str) -> pa.Array:
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(text)), 0)
    text = pc.if_else(blank, pa.scalar(None, pa.string()), pc.utf8_trim_whitespace(text))
    if pattern != ISO:
        return pc.strptime(text, format=pattern, unit="s")
    # A year, or a number of eight digits, is a number and no date.
    if pc.any(pc.invert(pc.match_substring_regex(text, r"^\d{4}-\d{2}-\d{2}"))).as_py():
        raise pa.ArrowInvalid("not a date")
    zoned = pc.any(pc.match_substring_regex(text, r"(Z|[+-]\d{2}:?\d{2})$")).as_py()
    return text.cast(pa.timestamp("us", "UTC" if zoned else None))
