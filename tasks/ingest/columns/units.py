"""Units behind numbers: '12.5 kg', '180cm', '21 °C', and thousands and millions as '1.2k' and '3M'."""

import pyarrow as pa
import pyarrow.compute as pc

# Letters of all scripts in a few ranges: RE2 needs a hundred times as long for the ranges of \p{L}.
_LETTER = r"A-Za-z\x{b5}\x{c0}-\x{24f}\x{370}-\x{1fff}\x{3040}-\x{9fff}"
# Behind a number, to the end, as in m², km/h, mg/dL and °C.
_UNIT = rf"\x{{b0}}\s?[{_LETTER}]{{0,2}}|[{_LETTER}][{_LETTER}0-9\x{{b2}}\x{{b3}}/]{{0,11}}"
# Not behind a point: 12.wav is the name of a file.
_SPLIT = rf"^(?P<number>.*[0-9])\s*(?P<unit>{_UNIT})$"
_EXPONENT = r"[0-9.][eE][+-]?[0-9]+$"
_FACTORS = {"k": 1e3, "m": 1e6, "mio": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9}
# What stands for a unit where numbers have several of these factors behind them.
MAGNITUDES = "k, M"
# A column with more units is one of codes; nobody counts them further.
MOST_UNITS = 20


def split_units(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return numbers and the units behind them in lower case, which are empty where there is none.

    >>> [part.to_pylist() for part in split_units(pa.array(["12.5 KG", "7", "1e5", "€2m"]))]
    [['12.5', '7', '1e5', '€2'], ['kg', '', '', 'm']]
    """
    found = pc.extract_regex(pc.if_else(pc.match_substring_regex(text, _EXPONENT), None, text), _SPLIT)
    number = pc.coalesce(pc.struct_field(found, "number"), text)
    return number, pc.fill_null(pc.utf8_lower(pc.struct_field(found, "unit")), "")


def choose_unit(counts: dict[str, int]) -> tuple[str, int]:
    """Return the unit of most numbers, empty where it is none, and how many numbers have another.

    >>> choose_unit({"kg": 98, "": 2}), choose_unit({"": 100}), choose_unit({"k": 50, "m": 3, "": 47})
    (('kg', 2), ('', 0), ('k, M', 0))
    """
    present = {unit: count for unit, count in counts.items() if count}
    if len(present) > 1 and present.keys() <= {"", *_FACTORS}:
        return MAGNITUDES, 0
    if len(present) > MOST_UNITS:
        return "", sum(present.values()) - present.get("", 0)
    unit = max(present, key=lambda each: present[each], default="")
    return unit, sum(present.values()) - present.get(unit, 0)


def read_factors(units: pa.Array, unit: str) -> pa.Array:
    """Return what to multiply numbers with, null where the unit is not the column's.

    >>> read_factors(pa.array(["kg", "", "lb"]), "kg").to_pylist(), read_factors(pa.array(["k", ""]), MAGNITUDES).to_pylist()
    ([1.0, None, None], [1000.0, 1.0])
    """
    known = {"": 1.0, **_FACTORS} if unit == MAGNITUDES else {unit: 1.0}
    place = pc.index_in(units, value_set=pa.array(list(known)))
    return pa.array(list(known.values())).take(place)
