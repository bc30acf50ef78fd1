"""Dates as numbers: days since 1970, with the time of day as a fraction."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.ingest.columns.numerals import drop_missing_marks

_DAY = 86_400
# What people and programs write, ISO 8601 first. Where day and month cannot be told apart by any value, the American order
# comes before the European one: either way the column is a date, and only its calendar parts would differ.
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
    "%d-%b-%Y",
    "%A, %d %b %Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
    "%d-%b-%y",
)
# Behind a date: the time in 24 hours, or in 12.
_CLOCKS = (" %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
# As C and mail write moments.
_MOMENTS = ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S +0000 %Y", "%a, %d %b %Y %H:%M:%S GMT")
# What tells a year of two digits from one of four, which would be read as the year 24, and a date from a version such as 1.2.10.
_YEARS = {"%Y": r"(^|\D)\d{4}($|\D)", "%y": r"^(\d\d?[/-](\d\d?|[A-Za-z]+)[/-]|\d\d\.\d\d\.)\d\d($|\s)"}
# As many values show whether a column may hold dates, where fewer than half of them are none.
_LOOKED_AT = 20
# Of the values, as many may be no dates: their rows are set aside. It is a quarter of what the default tolerance allows.
_ODD = 0.05
# Times of a day, and lengths below a day: moments of one day.
_TIMES = ("%H:%M:%S", "%H:%M", "%I:%M %p", "%I:%M:%S %p")
PATTERNS = (
    *_PATTERNS,
    *(f"{pattern}{clock}" for pattern in _PATTERNS[1:] for clock in _CLOCKS),
    *_MOMENTS,
    *_TIMES,
)


@dataclass
class DatePattern:
    """Finds the pattern in which the values of a column are dates; a few may be none, and their rows are set aside.

    >>> dates = DatePattern()
    >>> dates.see(pa.array(["03.02.2024", "28.02.2024"]))
    >>> dates.found
    '%d.%m.%Y'
    """

    left: list[str] = field(default_factory=lambda: list(PATTERNS))
    seen: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    def see(self, text: pa.Array) -> None:
        """Look at one batch of values that are not missing."""
        text = drop_missing_marks(text).drop_null()
        if not self.left or not len(text):
            return
        self.seen += len(text)
        # Most columns are not dates, and their first values say so at once.
        self.left = [
            pattern for pattern in self.left if _count_misfits(text[:_LOOKED_AT], pattern) <= _LOOKED_AT / 2
        ]
        for pattern in self.left:
            self.wrong[pattern] += _count_misfits(text, pattern)
        self.left = [pattern for pattern in self.left if self.wrong[pattern] <= self.seen / 2]

    @property
    def found(self) -> str | None:
        """The pattern that the most values fit, where nearly all do."""
        best = min(self.left, key=lambda pattern: self.wrong[pattern], default=None) if self.seen else None
        return best if best is not None and self.wrong[best] <= _ODD * self.seen else None


def is_date(kind: pa.DataType) -> bool:
    """Return whether a type is a date or a moment."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def convert_to_days(column: pa.Array, pattern: str) -> NDArray[np.float64]:
    """Return days since 1970 as float64 of shape (rows,), NaN where missing.

    Args:
        column: Dates, moments, or text in the pattern.
        pattern: One of `PATTERNS`; of no meaning for dates.

    >>> convert_to_days(pa.array(["1970-01-02", None, "1970-01-02T12:00:00"]), ISO).tolist()
    [1.0, nan, 1.5]
    """
    moments = _parse_moments(column, pattern) if pa.types.is_string(column.type) else column
    seconds = pc.divide(
        moments.cast(pa.timestamp("us", _read_zone(moments.type)), safe=False).cast(pa.int64()), 10**6
    )
    days = pc.divide(seconds.cast(pa.float64()), float(_DAY))
    values: NDArray[np.float64] = pc.fill_null(days, float("nan")).to_numpy(zero_copy_only=False)
    return values


def _read_zone(kind: pa.DataType) -> str | None:
    return kind.tz if pa.types.is_timestamp(kind) else None


def find_wrong_dates(column: pa.Array, pattern: str) -> list[int]:
    """Return the places of the texts that are not dates in the pattern; what is missing is none of them.

    >>> find_wrong_dates(pa.array(["2024-02-28", None, "2024-02-31", "soon"]), ISO)
    [2, 3]
    >>> find_wrong_dates(pa.array(["29.02.2024", "29.02.2023", "31.4.2023", "1.1.2031"]), "%d.%m.%Y")
    [1, 2]
    """
    missing, moments = drop_missing_marks(column).is_null(), _parse_moments(column, pattern)
    wrong: list[int] = pc.indices_nonzero(pc.and_(moments.is_null(), pc.invert(missing))).to_pylist()
    return wrong


def _count_misfits(text: pa.Array, pattern: str) -> int:
    return int(_parse_moments(text, pattern).null_count)


def _parse_moments(text: pa.Array, pattern: str) -> pa.Array:
    """Return the moments that texts stand for; what is not a date in the pattern is missing."""
    text = drop_missing_marks(text)
    if pattern in _TIMES:  # not the score of a match, 3:1
        text = pc.if_else(pc.match_substring_regex(text, r"^\d{1,2}(:\d{2}){1,2}( [AaPp][Mm])?$"), text, None)
        return pc.strptime(text, format=pattern, unit="s", error_is_null=True)
    if pattern != ISO:
        year = _YEARS["%Y" if "%Y" in pattern else "%y"]
        text = pc.if_else(pc.match_substring_regex(text, year), text, None)
        return _drop_impossible_days(
            text, pc.strptime(text, format=pattern, unit="s", error_is_null=True), pattern
        )
    # A year, or a number of eight digits, is a number and no date.
    text = pc.if_else(pc.match_substring_regex(text, r"^\d{4}-\d{2}-\d{2}"), text, None)
    zoned = pc.any(pc.match_substring_regex(text, r"\d(Z|[+-]\d{2}:?\d{2})$")).as_py() or False
    return _cast_where_it_can(text, pa.timestamp("us", "UTC" if zoned else None))


def _drop_impossible_days(text: pa.Array, moments: pa.Array, pattern: str) -> pa.Array:
    """Return the moments without those of days that no month has: Arrow takes 31 February for 2 March."""
    maybe = pc.and_(pc.less_equal(pc.day(moments), 3), pc.match_substring_regex(text, "29|30|31"))
    wrong = [
        place for place in pc.indices_nonzero(maybe).to_pylist() if not _is_date(text[place].as_py(), pattern)
    ]
    if not wrong:
        return moments
    odd = pc.is_in(pa.array(range(len(text))), value_set=pa.array(wrong))
    return pc.if_else(odd, None, moments)


def _is_date(text: str, pattern: str) -> bool:
    try:
        dt.datetime.strptime(text, pattern)  # noqa: DTZ007 (only whether there is such a day)
    except ValueError:
        return False
    return True


def _cast_where_it_can(text: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return texts as moments; one that cannot be read is missing."""
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        if len(text) == 1:
            return pa.nulls(1, kind)
        middle = len(text) // 2
        halves = (text.slice(0, middle), text.slice(middle))
        return pa.concat_arrays([_cast_where_it_can(half, kind) for half in halves])
