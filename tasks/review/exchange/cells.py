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
# What programs make of `3-20`, `1/2` or SEPT2, in the order of any country: 20. Mar, 3/20/2026, 2026-03-20 00:00:00, 2-Sep.
_DATE = re.compile(
    r"(?:\d{1,4}[-./ ]+(?:\d{1,2}|[^\W\d]{3,}\.?)|[^\W\d]{3,}\.?[-. ]+\d{1,4})(?:[-./, ]+\d{1,4})?(?: \d{1,2}:\d\d(?::\d\d)?)?"
)
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
    """Finds the id that a cell holds, among those of a queue; an id that a program made a date of, by the content beside it.

    Args:
        samples: Content hash and id of each sample.

    >>> ids = IdFinder([("a", "007"), ("b", "12345678901234567"), ("c", "0.0"), ("d", "3/20")])
    >>> [ids.find(cell) for cell in ("7", "1.23457E+16", "1,23457E+16", "0", "8")]
    ['007', '12345678901234567', '12345678901234567', '0.0', '8']
    >>> [ids.find(cell, "d") for cell in ("20. Mar", "Mar-20", "2026-03-20 00:00:00", "3/20/2026", "nobody")]
    ['3/20', '3/20', '3/20', '3/20', 'nobody']
    """

    def __init__(self, samples: Iterable[tuple[str, str]]) -> None:
        self._contents: defaultdict[str, list[str]] = defaultdict(list)
        for content, one in dict.fromkeys(samples):
            self._contents[content].append(one)
        known = [one for ids in self._contents.values() for one in ids]
        self._exact = set(known)
        self._numbers: defaultdict[Decimal, list[str]] = defaultdict(list)
        for one in known:
            if (number := _number(one)) is not None:
                self._numbers[number].append(one)

    def find(self, cell: str, content: str = "") -> str:
        """Return the one id that the cell can have been, the cell itself where no id or several fit.

        Args:
            content: The content hash beside it.
        """
        bare = cell.strip()
        if cell in self._exact or bare in self._exact:
            return cell if cell in self._exact else bare
        meant = self._contents.get(content, []) if _DATE.fullmatch(bare) else self._find_numbers(bare)
        return meant[0] if len(meant) == 1 else cell

    def _find_numbers(self, bare: str) -> list[str]:
        """Return the ids that are the number in a cell, or that it is rounded of."""
        number = _number(bare)
        if number is None:
            return []
        meant = self._numbers.get(number, [])
        if not meant and "e" in bare.lower():
            places = max(len(re.sub(r"\D", "", bare.lower().split("e")[0])) - 1, 0)
            rounded = ((Decimal(f"{held:.{places}e}"), ids) for held, ids in self._numbers.items())
            meant = [one for value, ids in rounded if value == number for one in ids]
        return meant


def _number(text: str) -> Decimal | None:
    """Return the value of a plain number, with a decimal point or comma; None for anything else."""
    return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def _keep_unique(pairs: Iterable[tuple[object, str]]) -> Mapping[object, str]:
    """Return what exactly one label is called by."""
    found: defaultdict[object, list[str]] = defaultdict(list)
    for name, label in pairs:
        found[name].append(label)
    return {name: labels[0] for name, labels in found.items() if len(labels) == 1}
