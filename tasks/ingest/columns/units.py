"""Units behind numbers: '12.5 kg', '180cm', '21 °C', thousands and millions as '1.2k' and '3M', several at once as '2h 50m'."""

import re

import pyarrow as pa
import pyarrow.compute as pc

# Letters of all scripts in a few ranges: RE2 needs a hundred times as long for the ranges of \p{L}.
_LETTER = r"A-Za-z\x{b5}\x{c0}-\x{24f}\x{370}-\x{1fff}\x{3040}-\x{9fff}"
# Behind a number, to the end, as in m², km/h, mg/dL and °C.
_UNIT = rf"\x{{b0}}\s?[{_LETTER}]{{0,2}}|[{_LETTER}][{_LETTER}0-9\x{{b2}}\x{{b3}}/]{{0,11}}"
# Not behind a point: 12.wav is the name of a file.
_SPLIT = rf"^(?P<number>.*[0-9])\s*(?P<unit>{_UNIT})$"
_EXPONENT = r"[0-9.][eE][+-]?[0-9]+$"
_MINUTE, _HOUR, _DAY, _INCH, _OUNCE = 60.0, 3_600.0, 86_400.0, 0.0254, 28.349523125
# Where the numbers of a column have several units of one of these scales, they are brought to the unit that it is named after.
MAGNITUDES = "k, M"
_SCALES: dict[str, dict[str, float]] = {
    MAGNITUDES: {"": 1.0, "k": 1e3, "m": 1e6, "mio": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9},
    "seconds": {
        "ms": 1e-3,
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
        **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), _MINUTE),
        **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), _HOUR),
        **dict.fromkeys(("d", "day", "days"), _DAY),
        **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 7 * _DAY),
        **dict.fromkeys(("mo", "mos", "month", "months"), 365.25 / 12 * _DAY),
        **dict.fromkeys(("y", "yr", "yrs", "year", "years"), 365.25 * _DAY),
    },
    "metres": {
        "mm": 1e-3,
        "cm": 1e-2,
        "m": 1.0,
        "metres": 1.0,
        "km": 1e3,
        "yd": 36 * _INCH,
        **dict.fromkeys(("in", "inch", "inches", '"', "''", "\u201d", "\u2033"), _INCH),
        **dict.fromkeys(("ft", "foot", "feet", "'", "\u2032"), 12 * _INCH),
        **dict.fromkeys(("mi", "mile", "miles"), 63_360 * _INCH),
    },
    "grams": {
        "mg": 1e-3,
        "g": 1.0,
        "grams": 1.0,
        "kg": 1e3,
        "t": 1e6,
        "oz": _OUNCE,
        **dict.fromkeys(("lb", "lbs"), 16 * _OUNCE),
    },
    "bytes": {"b": 1.0, "bytes": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12},
}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)\s*([^\W\d]+|''|['\"\u2032\u2033\u201d])\.?(?:,?\s+and\s+|[\s,]*)")
# Two numbers or more, each with its unit. Of feet and inches the second mark is often left out: 5'7.
_PIECES = r"^[0-9][0-9.]*\s?([A-Za-z]+|['\x{2032}])\.?(,?\s+and\s+|[\s,]*)[0-9]"
_FEET = re.compile(r"(\d['\u2032]\s?\d{1,2}(?:\.\d+)?)$")
# A column with more units is one of codes; nobody counts them further.
MOST_UNITS = 20


def split_units(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return numbers and the units behind them in lower case, which are empty where there is none.

    >>> [part.to_pylist() for part in split_units(pa.array(["12.5 KG", "7", "1e5", "€2m", "2h 50m"]))]
    [['12.5', '7', '1e5', '€2', '10200'], ['kg', '', '', 'm', 'seconds']]
    """
    text = _add_pieces(text)
    found = pc.extract_regex(pc.if_else(pc.match_substring_regex(text, _EXPONENT), None, text), _SPLIT)
    number = pc.coalesce(pc.struct_field(found, "number"), text)
    return number, pc.fill_null(pc.utf8_lower(pc.struct_field(found, "unit")), "")


def _add_pieces(text: pa.Array) -> pa.Array:
    """Return texts with what is written in several units of one scale as one number, such as 2h 50m and 5'11"."""
    several = pc.match_substring_regex(text, _PIECES)
    if not pc.any(several).as_py():
        return text
    return pc.if_else(several, pa.array(map(_add_up, text.to_pylist()), pa.string()), text)


def _add_up(text: str) -> str:
    """Return the sum of numbers with units of one scale, or the text itself.

    >>> _add_up("1 day, 3 hrs and 5 min"), _add_up("5'11"), _add_up("5m 3kg")
    ('97500 seconds', '1.8034 metres', '5m 3kg')
    """
    whole = _FEET.sub(r'\1"', text.lower())
    pieces = _PIECE.findall(whole)
    if _PIECE.sub("", whole):
        return text
    for name, factors in _SCALES.items():
        if len(pieces) > 1 and name != MAGNITUDES and all(unit in factors for _, unit in pieces):
            return f"{sum(float(number) * factors[unit] for number, unit in pieces):.12g} {name}"
    return text


def choose_unit(counts: dict[str, int]) -> tuple[str, int]:
    """Return the unit of most numbers, empty where it is none, and how many numbers have another.

    >>> choose_unit({"kg": 98, "": 2}), choose_unit({"": 100}), choose_unit({"k": 50, "m": 3, "": 47})
    (('kg', 2), ('', 0), ('k, M', 0))
    >>> choose_unit({"h": 30, "m": 5, "seconds": 65})
    ('seconds', 0)
    """
    present = {unit: count for unit, count in counts.items() if count}
    if len(present) > 1:
        for name, factors in _SCALES.items():
            if present.keys() <= factors.keys():
                return name, 0
    if len(present) > MOST_UNITS:
        return "", sum(present.values()) - present.get("", 0)
    unit = max(present, key=lambda each: present[each], default="")
    return unit, sum(present.values()) - present.get(unit, 0)


def describe_scale(unit: str) -> str:
    """Return what numbers of a scale are read as, empty for a single unit."""
    if unit == MAGNITUDES:
        return "k, M and B behind numbers are thousands, millions and billions"
    return f"numbers with different units are read in {unit}" if unit in _SCALES else ""


def read_factors(units: pa.Array, unit: str) -> pa.Array:
    """Return what to multiply numbers with, null where the unit is not the column's.

    >>> read_factors(pa.array(["kg", "", "lb"]), "kg").to_pylist(), read_factors(pa.array(["k", ""]), MAGNITUDES).to_pylist()
    ([1.0, None, None], [1000.0, 1.0])
    """
    known = _SCALES.get(unit, {unit: 1.0})
    place = pc.index_in(units, value_set=pa.array(list(known)))
    return pa.array(list(known.values())).take(place)
