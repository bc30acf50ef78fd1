"""The ways in which people write numbers: marks of fractions and of thousands, and a unit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notation:
    """How numbers are written: the mark before the fraction, the one between thousands, and the unit behind them.

    >>> Notation(",", ".").pattern, Notation.of(",.|kg")
    (',.', Notation(decimal=',', thousands='.', unit='kg'))
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    @property
    def pattern(self) -> str:
        """Marks and unit in one word."""
        return self.decimal + self.thousands + (f"|{self.unit}" if self.unit else "")

    @classmethod
    def of(cls, pattern: str) -> "Notation":
        """Return the notation of a pattern."""
        marks, _, unit = pattern.partition("|")
        return cls(marks[:1] or ".", marks[1:], unit)

    @property
    def regex(self) -> str:
        """What a number in this notation matches, without currency and percent signs. Indian thousands have groups of two."""
        point, mark = (f"[{sign}]" for sign in (self.decimal, self.thousands or self.decimal))
        group = "{2,3}" if self.thousands == "," else "{3}"
        # Nobody writes thousands before an exponent: the comma of 9,270E-07 is that of a fraction.
        grouped = (
            rf"|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{group})*{mark}[0-9]{{3}}(?:{point}[0-9]*)?"
            if self.thousands
            else ""
        )
        return rf"^[+-]?(?:(?:[0-9]+(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?{grouped})$"


# Without thousands first: of two that fit all values, the simpler one is meant.
NOTATIONS = tuple(
    Notation(decimal, thousands)
    for thousands in ("", ",", ".", " ", "'")
    for decimal in (".", ",")
    if decimal != thousands
)
