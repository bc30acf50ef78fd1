"""Numbers that are written as text: with a decimal comma, thousands separators, currency or percent signs, and gaps.

How a column writes its numbers is decided by all of its values, in a few counts and whatever the number of rows. A notation that
nearly all values fit is the column's; the others become missing. Where both '1.234' and '1,234' fit as fraction and as thousand,
the other columns of the source decide, and the reading is said.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.columns.notations import NOTATIONS, Notation
from tasks.ingest.columns.number_forms import CURRENCY, LONGEST, ROUGH, strip_signs, write_digits
from tasks.ingest.columns.units import MOST_UNITS, choose_unit, read_factors, split_units

# What stands for a missing number, in lower case: what pandas reads so, the marks of UCI (?), SPSS and SAS (.), Excel's errors
# and database dumps (\N).
MARKS = frozenset(
    [
        *("na", "n/a", "#n/a", "#n/a!", "#na", "<na>", "nan", "-nan", "null", "none", "nil", "\\n"),
        *("?", "??", "-", "--", "–", "—", ".", ".."),
        *("#null!", "#div/0!", "#value!", "#num!", "#ref!", "#name?"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    ]
)
_MISSING = pa.array(["", *sorted(MARKS)])
TRUE, FALSE = ["true", "True", "TRUE"], ["false", "False", "FALSE"]
# Filling in one value of twenty changes a column little. More odd values are values of a kind of their own, such as '<0.1'.
_ODD = 0.05
# Words that stand for a missing number, such as 'not measured' and 'varies with device', recur; with more different ones than
# this, words are values of a kind of their own.
_MOST_WORDS = 6
# Half-star ratings are 10 numbers, percentages in steps of 5 are 21. So few numbers beside a word are codes: all are categories.
MOST_CODES = 21
# Looks like a number in one notation or another.
ANY_NUMBER = r"^[^A-Za-z]*[0-9][0-9.,' ]*(?:[eE][+-]?[0-9]+)?[^A-Za-z0-9]*$"
_WHOLE = r"^[+-]?[0-9]+$"


_POINT, _COMMA = NOTATIONS[0], NOTATIONS[1]
_DOT_GROUPS = r"^[+-]?[1-9][0-9]{0,2}(?:[.][0-9]{3})+$"


@dataclass(frozen=True)
class NumberVerdict:
    """What the values of a column of text are.

    Attributes:
        notation: How its numbers are written, None where they are not numbers.
        odd: How many values are in no such notation and no usual mark of a missing one.
        unclear: A number that can be read in two ways, where all can.
        rough: A limit or a rough number, which is read as the number in it.
        why: Why these are not numbers though most of them look so.
    """

    notation: Notation | None = None
    odd: int = 0
    example: str = ""
    unclear: str = ""
    rough: str = ""
    why: str = ""


@dataclass
class NumberSurvey:
    """Counts which notations the values of a column fit.

    >>> survey = NumberSurvey()
    >>> survey.see(pa.array(["1,5", "12,25", "NA", None]))
    >>> survey.judge().notation
    Notation(decimal=',', thousands='', unit='')
    """

    present: int = 0
    truths: int = 0
    whole: int = 0
    is_int64: bool = True
    padded: bool = False
    percents: int = 0
    currencies: set[str] = field(default_factory=set)
    words: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    fits: list[int] = field(default_factory=lambda: [0] * len(NOTATIONS))
    unfit: list[str | None] = field(default_factory=lambda: [None] * len(NOTATIONS))
    different: set[str] = field(default_factory=set)
    fraction: str = ""
    rough: str = ""

    def see(self, column: pa.Array) -> None:
        """Look at one batch."""
        text = drop_missing_marks(column).drop_null()
        self.present += len(text)
        if not len(text):
            return
        if len(self.different) <= MOST_CODES:
            self.different.update(pc.unique(text)[: MOST_CODES + 1].to_pylist())
        if _is_castable(text, pa.float64()):
            self._see_plain(text)
        else:
            self._see_dressed(text)

    def _see_plain(self, text: pa.Array) -> None:
        """Count numbers that Arrow reads as they are."""
        count = len(text)
        self.units[""] += count
        if _is_castable(text, pa.int64()):
            self.padded = self.padded or bool(pc.any(_match_pattern(text, "^0[0-9]")).as_py())
            self.whole += count
            self.fits = [fit + count for fit in self.fits]
            return
        self.is_int64 = False
        # A column of decimal points stays one: nobody asks any more how many of its numbers a comma would fit.
        if self.fraction and self.fits[1] < (1 - _ODD) * (self.present - count):
            self.fits = [
                fit + count * (each.decimal == ".") for fit, each in zip(self.fits, NOTATIONS, strict=True)
            ]
            return
        whole, grouped = _match_pattern(text, _WHOLE), _match_pattern(text, _DOT_GROUPS)
        self.whole += _count(whole)
        self._note_fraction(text, whole)
        for place, notation in enumerate(NOTATIONS):
            if notation.decimal == ".":
                self.fits[place] += count
            else:
                self._add(place, pc.or_(whole, grouped) if notation.thousands == "." else whole, text)

    def _see_dressed(self, text: pa.Array) -> None:
        """Count numbers in any notation, with signs around them."""
        self.is_int64 = False
        self.truths += _count(pc.is_in(text, value_set=pa.array(TRUE + FALSE)))
        maybe = pc.and_(pc.less_equal(pc.utf8_length(text), LONGEST), _match_pattern(text, "[0-9]"))
        if not pc.all(maybe).as_py():
            other = text[maybe.index(pa.scalar(value=False)).as_py()].as_py()
            self.unfit = [odd or other for odd in self.unfit]
            if len(self.words) <= _MOST_WORDS:
                for item in pc.value_counts(text.filter(pc.invert(maybe))):
                    self.words[item["values"].as_py()] += item["counts"].as_py()
            text = text.filter(maybe)
        bare = strip_signs(text)
        if (
            not self.rough
            and (first := _match_pattern(text, ROUGH).index(pa.scalar(value=True)).as_py()) >= 0
        ):
            self.rough = text[first].as_py()
        signed = text.filter(
            pc.and_(pc.not_equal(text, bare), _match_pattern(bare, "^[+-]?[0-9.,][0-9.,' eE+-]*$"))
        )
        bare, units = _split_units(bare)
        if len(self.units) <= MOST_UNITS:
            for item in pc.value_counts(units.filter(_match_pattern(bare, "^[+-]?[0-9.,][0-9.,' eE+-]*$"))):
                self.units[item["values"].as_py()] += item["counts"].as_py()
        whole = _match_pattern(bare, _WHOLE)
        self.whole += _count(whole)
        self._note_fraction(text, pc.or_(whole, pc.invert(_match_pattern(bare, "[0-9][.,][0-9]"))))
        for place, notation in enumerate(NOTATIONS):
            self._add(place, _match_pattern(bare, notation.regex), text)
        self.percents += _count(_match_pattern(signed, "%$"))
        if len(self.currencies) < 3:
            found = pc.unique(pc.struct_field(pc.extract_regex(signed, f"(?P<sign>{CURRENCY})"), "sign"))
            self.currencies.update(each for each in found.to_pylist() if each)

    def _add(self, place: int, fit: pa.Array, text: pa.Array) -> None:
        self.fits[place] += _count(fit)
        if self.unfit[place] is None and pc.any(pc.invert(fit)).as_py():
            self.unfit[place] = text[fit.index(pa.scalar(value=False)).as_py()].as_py()

    def _note_fraction(self, text: pa.Array, whole: pa.Array) -> None:
        if not self.fraction and pc.any(pc.invert(whole)).as_py():
            self.fraction = text[whole.index(pa.scalar(value=False)).as_py()].as_py()

    @property
    def are_truths(self) -> bool:
        """Whether all values are true or false."""
        return self.truths == self.present > 0

    @property
    def are_whole(self) -> bool:
        """Whether all values are whole numbers as a computer writes them."""
        return self.present > 0 and self.is_int64

    @property
    def share(self) -> float:
        """Share of the values that are numbers of one notation, without a unit."""
        return min(max(self.fits), self.units[""]) / max(1, self.present)

    def decimal(self) -> str:
        """Return the decimal mark that the values prove, empty where they prove none."""
        marks = {notation.decimal for notation in self._find_best()}
        return marks.pop() if len(marks) == 1 and self.judge().notation is not None else ""

    def _find_best(self) -> list[Notation]:
        most = max(self.fits)
        return [notation for notation, fit in zip(NOTATIONS, self.fits, strict=True) if fit == most]

    def judge(self, decimal: str = "") -> NumberVerdict:
        """Return what the values are.

        Args:
            decimal: The decimal mark of the source's other columns, empty where they prove none.
        """
        best = self._find_best()
        both = len({notation.decimal for notation in best}) > 1 and max(self.fits) > self.whole
        chosen = next((each for each in best if each.decimal == decimal), best[0]) if both else best[0]
        place = NOTATIONS.index(chosen)
        unit, others = choose_unit(self.units)
        odd = self.present - self.fits[place] + others
        example = self.unfit[place] or (self._find_other(unit) if others else "")
        why = self._explain_misfit(odd, example)
        if why is None and (unit or self.rough) and len(self.different) <= MOST_CODES:
            why = ""  # terms of '36 months' and '60 months' are kinds, and so are '<1', '1' and '10+'
        if why is not None:
            return NumberVerdict(None, odd, example, why=why)
        unclear = self.fraction if both else ""
        return NumberVerdict(replace(chosen, unit=unit), odd, example, unclear, self.rough)

    def _find_other(self, unit: str) -> str:
        """Return a value whose unit is not that of the column, of those that were kept."""
        values = pa.array(sorted(self.different), pa.string())
        return str(next(iter(values.filter(pc.not_equal(split_units(values)[1], unit))), ""))

    def _explain_misfit(self, odd: int, example: str) -> str | None:
        """Return why the values are not numbers: in words where most of them look so, else nothing; None where they are."""
        if self.present == 0 or odd > self.present / 2 or self.are_truths:
            return ""
        if len(self.currencies) > 1:
            return f"holds amounts in several currencies ({', '.join(sorted(self.currencies))})"
        if 0 < self.percents < self.present - odd:
            return "holds numbers with and without a percent sign"
        are_words = len(self.words) <= _MOST_WORDS and odd == self.words.total()
        if odd > _ODD * self.present and not are_words:
            values = "value" if odd == 1 else "values"
            return f"holds numbers except for {odd:,} {values} such as '{example[:40]}'"
        return "" if odd and len(self.different) <= MOST_CODES else None


def drop_missing_marks(column: pa.Array) -> pa.Array:
    """Return a column of text without blanks around values, null where a value stands for a missing one.

    >>> drop_missing_marks(pa.array([" 5", "N/A", "", "?"])).to_pylist()
    ['5', None, None, None]
    """
    text = write_digits(pc.utf8_trim_whitespace(column))
    return pc.if_else(pc.is_in(pc.utf8_lower(text), value_set=_MISSING), None, text)


def parse_numbers(column: pa.Array, notation: Notation) -> pa.Array:
    """Return a column of text as float64, null where a value is missing or in another notation.

    >>> parse_numbers(pa.array(["1.234,50 €", "-7", "4,5-", "?", "much"]), Notation(",", ".")).to_pylist()
    [1234.5, -7.0, -4.5, None, None]
    >>> parse_numbers(pa.array(["€1.5M", "$20k", "3"]), Notation(unit="k, M")).to_pylist()
    [1500000.0, 20000.0, 3.0]
    """
    text = drop_missing_marks(column)
    if notation == _POINT and _is_castable(text, pa.float64()):
        return text.cast(pa.float64())
    bare = strip_signs(text)
    factors = None
    if notation.unit:
        bare, units = _split_units(bare)
        factors = read_factors(units, notation.unit)
    bare = pc.if_else(_match_pattern(bare, notation.regex), bare, None)
    if notation.thousands:
        bare = pc.replace_substring(bare, notation.thousands, "")
    numbers = pc.replace_substring(bare, notation.decimal, ".").cast(pa.float64())
    return numbers if factors is None else pc.multiply(numbers, factors)


def choose_decimal(proven: Iterable[str], delimiters: Sequence[str]) -> str:
    """Return the decimal mark where a column's own values do not prove it.

    Args:
        delimiters: Delimiters of the source's files: a semicolon stands where commas are in numbers.
    """
    marks = set(proven) - {""}
    if len(marks) == 1:
        return marks.pop()
    return "," if delimiters and set(delimiters) == {";"} else "."


def _split_units(bare: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return numbers without signs and units, and their units; a currency may stand before a number with a unit (€1.2M)."""
    numbers, units = split_units(bare)
    return (strip_signs(numbers), units) if pc.any(pc.not_equal(units, "")).as_py() else (bare, units)


def _match_pattern(text: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(text, pattern)


def _count(matches: pa.Array) -> int:
    return pc.sum(matches).as_py() or 0


def _is_castable(text: pa.Array, kind: pa.DataType) -> bool:
    try:
        pc.cast(text, kind)
    except pa.ArrowInvalid:
        return False
    return True
