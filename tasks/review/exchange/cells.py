"""What a spreadsheet program made of a cell: the id or the label that it was.

Such programs take `007` for 7, `12345678901234567` for 1.23457E+16, `true` for TRUE (WAHR in German) and `1.0` for 1. A cell is
taken for the one id or label that it can have been; where it can have been several, it is not guessed.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from tasks.queue.spreadsheet import neutralise

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?")
# TRUE and FALSE as the programs of some languages show and save them: English, German, French, Spanish, Italian, Dutch.
_BOOLEANS = {
    "true": ("true", "wahr", "vrai", "verdadero", "vero", "waar"),
    "false": ("false", "falsch", "faux", "falso", "onwaar"),
}


def strip_apostrophe(cell: str) -> str:
    """Take back the apostrophe that keeps a spreadsheet from running a cell.

    >>> strip_apostrophe("'=1+1"), strip_apostrophe("it's")
    ('=1+1', "it's")
    """
    return cell[1:] if cell.startswith("'") and neutralise(cell[1:]) == cell else cell


class Labels:
    """Finds the class that a cell names.

    >>> labels = Labels(["Cat", "true", "1.0", "-1"])
    >>> [labels.find(cell) for cell in (" cat", "WAHR", "1", "-1", "dog")]
    ['Cat', 'true', '1.0', '-1', 'dog']
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._exact = {form: label for label in classes for form in (str(neutralise(label)), label)}
        self._folded = _keep_unique((label.strip().casefold(), label) for label in classes)
        self._numbers = _keep_unique(
            (number, label) for label in classes if (number := _number(label)) is not None
        )

    def find(self, cell: str) -> str:
        """Return the class as the data set writes it; the cell without blanks around it where no one class is meant."""
        bare = cell.strip()
        for form in (cell, bare):
            if form in self._exact:
                return self._exact[form]
        folded = bare.casefold()
        same = [meant for meant, words in _BOOLEANS.items() if folded in words]
        for word in (folded, *same):
            if word in self._folded:
                return self._folded[word]
        number = _number(bare)
        return bare if number is None else self._numbers.get(number, bare)


class IdFinder:
    """Finds the id that a cell holds, among those of a queue.

    >>> ids = IdFinder(["007", "12345678901234567", "0.0"])
    >>> [ids.find(cell) for cell in ("7", "1.23457E+16", "1,23457E+16", "0", "8")]
    ['007', '12345678901234567', '12345678901234567', '0.0', '8']
    """

    def __init__(self, ids: Iterable[str]) -> None:
        known = list(ids)
        self._exact = set(known)
        self._numbers: defaultdict[Decimal, list[str]] = defaultdict(list)
        for one in known:
            if (number := _number(one)) is not None:
                self._numbers[number].append(one)

    def find(self, cell: str) -> str:
        """Return the one id that the cell can have been, the cell itself where no id or several fit."""
        bare = cell.strip()
        if cell in self._exact or bare in self._exact:
            return cell if cell in self._exact else bare
        number = _number(bare)
        if number is None:
            return cell
        meant = self._numbers.get(number, [])
        if not meant and "e" in bare.lower():
            digits = len(re.sub(r"\D", "", bare.lower().split("e")[0]))
            meant = [
                one for held, ids in self._numbers.items() if _round(held, digits) == number for one in ids
            ]
        return meant[0] if len(meant) == 1 else cell


def _number(text: str) -> Decimal | None:
    """Return the value of a plain number, with a decimal point or comma; None for anything else."""
    return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def _round(number: Decimal, digits: int) -> Decimal:
    return Decimal(f"{number:.{max(digits - 1, 0)}e}")


def _keep_unique(pairs: Iterable[tuple[object, str]]) -> Mapping[object, str]:
    """Return what exactly one label is called by."""
    found: defaultdict[object, list[str]] = defaultdict(list)
    for name, label in pairs:
        found[name].append(label)
    return {name: labels[0] for name, labels in found.items() if len(labels) == 1}
