"""Dates as numbers: days since 1970, with the time of day as a fraction."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.ingest.columns.date_words import drop_fractions, rewrite_words
from tasks.ingest.columns.numerals import drop_missing_marks

_DAY = 86_400
# What people and programs write, ISO 8601 first. Where day and month cannot be told apart by any value, the American order
# comes before the European one: either way the column is a date, and only its calendar parts would differ.
ISO = "iso"
_PATTERNS = (
    ISO,
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%d-%b-%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
    "%d-%b-%y",
)
# Behind a date: the time in 24 hours, or in 12.
_CLOCKS = (" %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
# As C writes moments, without the day of the week.
_MOMENTS = ("%b %d %H:%M:%S %Y",)
# What tells a year of two digits from one of four, which would be read as the year 24, and a date from a version such as 1.2.10.
_YEARS = {"%Y": r"(^|\D)\d{4}($|\D)", "%y": r"^(\d\d?[/-](\d\d?|[A-Za-z]+)[/-]|\d\d\.\d\d\.)\d\d($|\s)"}
# As many values show whether a column may hold dates, where fewer than half of them are none.
_LOOKED_AT = 20
# Of the values, as many may be no dates: their rows are set aside. It is a quarter of what the default tolerance allows.
_ODD = 0.05
# Times of a day, read as moments of one day.
_TIMES = {
    "%H:%M": r"^\d{1,2}:\d{2}$",
    "%I:%M %p": r"^\d{1,2}:\d{2}\s*[AaPp]\.?[Mm]\.?$",
    "%I:%M:%S %p": r"^\d{1,2}(:\d{2}){2}\s*[AaPp]\.?[Mm]\.?$",
}
# Lengths of time, read as moments since 1970: 26:37:39, 3:05.250, '1 days 02:03:04' as pandas writes them, and PT2H30M.
SPAN = "span"
_SPANS = (
    r"^(?:(?P<d>\d+) days?,? \+?)?(?P<h>\d+):(?P<m>\d{2}):(?P<s>\d{2}(?:\.\d+)?)$",
    r"^(?P<d>)(?P<h>)(?P<m>\d+):(?P<s>\d{2}\.\d+)$",
    r"^P(?:(?P<d>\d+)D)?T?(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?$",
)
_SECONDS = {"d": float(_DAY), "h": 3600.0, "m": 60.0, "s": 1.0}
PATTERNS = (
    *_PATTERNS,
    *(f"{pattern}{clock}" for pattern in _PATTERNS[1:] for clock in _CLOCKS),
    *_MOMENTS,
    *_TIMES,
    SPAN,
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
        first = rewrite_words(text[:_LOOKED_AT])
        self.left = [pattern for pattern in self.left if _count_misfits(first, pattern) <= _LOOKED_AT / 2]
        text = rewrite_words(text) if self.left else text
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
    moments = _read_text(column, pattern) if pa.types.is_string(column.type) else column
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
    missing, moments = drop_missing_marks(column).is_null(), _read_text(column, pattern)
    wrong: list[int] = pc.indices_nonzero(pc.and_(moments.is_null(), pc.invert(missing))).to_pylist()
    return wrong


def _count_misfits(text: pa.Array, pattern: str) -> int:
    return int(_parse_moments(text, pattern).null_count)


def _read_text(column: pa.Array, pattern: str) -> pa.Array:
    return _parse_moments(rewrite_words(drop_missing_marks(column)), pattern)


def _parse_moments(text: pa.Array, pattern: str) -> pa.Array:
    """Return the moments that rewritten texts stand for; what is not a date in the pattern is missing."""
    if pattern == SPAN:
        return _parse_spans(text)
    if pattern in _TIMES:  # not the score of a match, 3:1
        text = pc.if_else(pc.match_substring_regex(text, _TIMES[pattern]), text, None)
        return pc.strptime(text, format=pattern, unit="s", error_is_null=True)
    if pattern != ISO:
        year = _YEARS["%Y" if "%Y" in pattern else "%y"]
        text = drop_fractions(pc.if_else(pc.match_substring_regex(text, year), text, None))
        return _drop_impossible_days(
            text, pc.strptime(text, format=pattern, unit="s", error_is_null=True), pattern
        )
    # A year, or a number of eight digits, is a number and no date.
    text = pc.if_else(pc.match_substring_regex(text, r"^\d{4}-\d{2}-\d{2}"), text, None)
    zoned = pc.any(pc.match_substring_regex(text, r"\d(Z|[+-]\d{2}:?\d{2})$")).as_py() or False
    return _cast_where_it_can(text, pa.timestamp("us", "UTC" if zoned else None))


def _parse_spans(text: pa.Array) -> pa.Array:
    """Return lengths of time as moments since 1970.

    >>> texts = ["26:37:39", "3:05.250", "PT2H30M", "1 days 00:00:01.5", "3:1", "soon"]
    >>> _parse_spans(pa.array(texts)).cast(pa.int64()).to_pylist()
    [95859000000, 185250000, 9000000000, 86401500000, None, None]
    """
    text = pc.if_else(pc.match_substring_regex(text, "[0-9]"), text, None)
    found = pa.nulls(len(text), pa.float64())
    for pattern in _SPANS:
        parts = pc.extract_regex(text, pattern)
        seconds = pa.scalar(0.0)
        for name, factor in _SECONDS.items():
            written = pc.struct_field(parts, name)
            number = pc.if_else(pc.equal(written, ""), None, written).cast(pa.float64())
            seconds = pc.add(seconds, pc.multiply(pc.fill_null(number, 0.0), factor))
        found = pc.coalesce(found, pc.if_else(parts.is_valid(), seconds, None))
    return pc.multiply(found, 1e6).cast(pa.int64(), safe=False).cast(pa.timestamp("us"))


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
