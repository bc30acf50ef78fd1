"""Weka's ARFF, and KEEL's `.dat`, which is nearly the same: attributes with their types, then rows between commas.

A row may be sparse, `{1 2.5, 4 yes}`: what it does not name is 0, or the first value of a nominal attribute.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tasks.ingest.source import Part

_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|[^\s{]+)\s*(.*)", re.IGNORECASE)
_OUTPUT = re.compile(r"@outputs?\s+(\S+)", re.IGNORECASE)
_DATA = re.compile(r"@data\b", re.IGNORECASE)
_QUOTES = "'\""


@dataclass(frozen=True)
class Attribute:
    """One attribute, with its values where they are named."""

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArffFile:
    """A file behind its header.

    Attributes:
        part: The file.
        attributes: Its columns.
        label: The attribute that is the class: KEEL's output, or else a nominal attribute at the end.
        lines: What follows the header, each line with its number.
    """

    part: Part
    attributes: tuple[Attribute, ...]
    label: str
    lines: Iterator[tuple[int, str]]

    @classmethod
    def begin(cls, part: Part, text: Iterable[str]) -> "ArffFile":
        """Read the header.

        Raises:
            InputError: It has no attributes, or no data follow.
        """
        attributes: list[Attribute] = []
        label = ""
        lines = enumerate(text, start=1)
        for _, line in lines:
            if _DATA.match(line.strip()):
                break
            if found := _ATTRIBUTE.match(line.strip()):
                kind = found[2].strip()
                values = tuple(_split_fields(kind.strip("{}"))) if kind.startswith("{") else ()
                attributes.append(Attribute(found[1].strip(_QUOTES).strip(), values))
            elif found := _OUTPUT.match(line.strip()):
                label = found[1]
        else:
            raise part.problem("an ARFF file without @data", fix="write the file again")
        if not attributes:
            raise part.problem("an ARFF file without attributes", fix="write the file again")
        known = {attribute.name.lower() for attribute in attributes}
        if not label and attributes[-1].values and not known & {"label", "class"}:
            label = attributes[-1].name
        return cls(part, tuple(attributes), label, lines)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with its line; `?` is an empty field.

        Raises:
            InputError: A row has another number of fields than there are attributes.
        """
        for number, line in self.lines:
            text = line.strip()
            if not text or text.startswith("%"):
                continue
            row = self._read_sparse(text[1:-1]) if text.startswith("{") else _split_fields(text)
            if len(row) != len(self.attributes):
                raise self.part.problem(
                    f"line {number} has {len(row)} fields, the header has {len(self.attributes)}",
                    fix="quote values that contain a comma, or complete the row",
                )
            yield number, ["" if value == "?" else value for value in row]

    def _read_sparse(self, text: str) -> list[str]:
        row = [attribute.values[0] if attribute.values else "0" for attribute in self.attributes]
        for item in _split_fields(text):
            place, _, value = item.partition(" ")
            if place.isdecimal() and int(place) < len(row):
                row[int(place)] = value.strip().strip(_QUOTES)
            elif item:
                return []
        return row


def is_arff(lines: Sequence[str]) -> bool:
    """Return whether the first lines are those of such a file.

    >>> is_arff(["% Iris", "@RELATION iris"]), is_arff(["a,b"])
    (True, False)
    """
    first = next((line for line in lines if not line.startswith("%")), "")
    return first.lower().startswith(("@relation", "@attribute"))


def _split_fields(text: str) -> list[str]:
    """Return the values between commas, without quotes.

    >>> _split_fields("5.1, 'a, b', c")
    ['5.1', 'a, b', 'c']
    """
    quote = "'" if "'" in text or '"' not in text else '"'
    row = next(csv.reader([text], quotechar=quote, skipinitialspace=True, escapechar="\\"), [])
    return [value.strip().strip('"') for value in row]
