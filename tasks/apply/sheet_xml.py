"""The XML of one sheet of an Excel workbook, in which single cells and rows are replaced and all else stays as it is."""

import re
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from tasks.errors import InputError

_DATA = re.compile(r"(<(\w+:)?sheetData\b[^>]*>)(.*)(</(?:\w+:)?sheetData>)", re.DOTALL)
_NUMBER = re.compile(r'\br="(\d+)"')
_CELL_PLACE = re.compile(r'\br="([A-Z]+)(\d+)"')
_TYPE = re.compile(r'\s+t="([^"]*)"')
_REFERENCE = re.compile(r'\b(ref|sqref)="([A-Z0-9: ]+)"')
_ROW_OF_REFERENCE = re.compile(r"([A-Z]+)(\d+)")
_FORMULA = re.compile(rb"<(?:\w+:)?f\b")
_SHARED = re.compile(r'<(?:\w+:)?f\b[^>]*\bref="')
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
# What is at a row by its number and is not moved with the row.
_PLACED = re.compile(r"<(?:\w+:)?(?:mergeCell|drawing|legacyDrawing|hyperlink|picture|oleObject|tablePart)\b")
_MERGED = re.compile(r'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]+\d+:[A-Z]+\d+)"')


class SheetXml:
    """A sheet that is changed.

    Args:
        text: Its XML.
        where: The workbook, for messages.
    """

    def __init__(self, text: str, where: str) -> None:
        found = _DATA.search(text)
        if found is None:
            fix = "save it again as .xlsx"
            raise InputError("the sheet has no rows that can be changed", where=where, fix=fix)
        self._head, self._tail = text[: found.start(3)], text[found.end(3) :]
        self._where = where
        prefix = found[2] or ""
        self._prefix = prefix
        self._cell = re.compile(rf"<{prefix}c\b([^>]*?)(?:/>|>(.*?)</{prefix}c>)", re.DOTALL)
        row = re.compile(rf"<{prefix}row\b([^>]*?)(?:/>|>(.*?)</{prefix}row>)", re.DOTALL)
        self._rows: dict[int, str] = {}
        end = 0
        for match in row.finditer(found[3]):
            number = _NUMBER.search(match[1])
            if number is None or found[3][end : match.start()].strip():
                raise self._make_error("the rows of the sheet have no numbers")
            self._rows[int(number[1])] = match[0]
            end = match.end()
        self._given = dict(self._rows)

    def text(self) -> str:
        """Return the XML as it is now."""
        return self._head + "".join(self._rows.values()) + self._tail

    def set_label(self, letters: str, number: int, text: str, like: int | None) -> None:
        """Write a label into a cell.

        Args:
            like: A row whose label is the same, None where there is none.

        Raises:
            InputError: The cell is merged with others, or a formula calculates it.
        """
        place = f"{letters}{number}"
        if self._is_merged(letters, number):
            raise self._make_error(f"cell {place} is merged with others")
        old = self._find(letters, self._rows.get(number, ""))
        if old is None:
            raise self._make_error(f"cell {place} is not in the file")
        if _FORMULA.search(old[0].encode()):
            raise self._make_error(f"cell {place} is calculated by a formula")
        model = self._find(letters, self._given[like]) if like is not None else None
        p = self._prefix
        attributes = _TYPE.sub("", old[1])
        if model is not None and not _FORMULA.search(model[0].encode()):
            kind = _TYPE.search(model[1])
            cell = f"<{p}c{attributes}{kind[0] if kind else ''}>{model[2] or ''}</{p}c>"
        elif _PLAIN_NUMBER.fullmatch(text) and (_TYPE.search(old[1]) or {1: "n"})[1] == "n":
            cell = f"<{p}c{attributes}><{p}v>{text}</{p}v></{p}c>"
        else:
            inside = f'<{p}is><{p}t xml:space="preserve">{escape(text)}</{p}t></{p}is>'
            cell = f'<{p}c{attributes} t="inlineStr">{inside}</{p}c>'
        self._rows[number] = self._rows[number].replace(old[0], cell, 1)

    def drop(self, numbers: Sequence[int], *, can_move: bool) -> bool:
        """Remove rows, or empty them where the rows below cannot move up.

        Args:
            can_move: Whether no formula of the workbook refers to rows.

        Returns:
            Whether formulas are gone.

        Raises:
            InputError: Formulas of other rows are written in one of them.
        """
        gone = sorted(numbers)
        if not gone:
            return False
        if can_move and not _PLACED.search(self._tail):
            dropped = set(gone)
            moved = {row: row - bisect_left(gone, row) for row in self._rows if row not in dropped}
            self._rows = {new: self._renumber_row(self._rows[old], old, new) for old, new in moved.items()}
            self._head, self._tail = (_drop_references(text, gone) for text in (self._head, self._tail))
            return False
        formulas = False
        for number in gone:
            row = self._rows[number]
            if _SHARED.search(row):
                raise self._make_error(f"row {number}, which is dropped, holds a formula of other rows too")
            formulas = formulas or bool(_FORMULA.search(row.encode()))
            self._rows[number] = self._cell.sub(
                lambda cell: f"<{self._prefix}c{_TYPE.sub('', cell[1])}/>", row
            )
        return formulas

    def _renumber_row(self, row: str, old: int, new: int) -> str:
        """Return a row under another number."""
        if old == new:
            return row
        head, end, cells = row.partition(">")
        moved = self._cell.sub(
            lambda cell: _CELL_PLACE.sub(lambda place: f'r="{place[1]}{new}"', cell[0], count=1), cells
        )
        return _NUMBER.sub(f'r="{new}"', head, count=1) + end + moved

    def _find(self, letters: str, row: str) -> re.Match[str] | None:
        cells = self._cell.finditer(row.partition(">")[2])
        placed = ((cell, _CELL_PLACE.search(cell[1])) for cell in cells)
        return next((cell for cell, place in placed if place and place[1] == letters), None)

    def _is_merged(self, letters: str, number: int) -> bool:
        from openpyxl.utils import coordinate_to_tuple, range_boundaries  # noqa: PLC0415 (a third of a second)

        row, column = coordinate_to_tuple(f"{letters}{number}")
        boxes = map(range_boundaries, _MERGED.findall(self._tail))
        return any(left <= column <= right and top <= row <= bottom for left, top, right, bottom in boxes)

    def _make_error(self, what: str) -> InputError:
        fix = "change it by hand: `labelsweep diff` lists what changes"
        return InputError(what, where=self._where, fix=fix)


def _drop_references(text: str, gone: Sequence[int]) -> str:
    """Return XML whose references to ranges of rows leave out the rows that are gone."""

    def move(cell: str, count_gone: Callable[[Sequence[int], int], int]) -> str:
        return _ROW_OF_REFERENCE.sub(lambda at: f"{at[1]}{int(at[2]) - count_gone(gone, int(at[2]))}", cell)

    def shrink(reference: re.Match[str]) -> str:
        ranges = (cells.partition(":") for cells in reference[2].split(" "))
        moved = (move(first, bisect_left) + colon + move(last, bisect_right) for first, colon, last in ranges)
        return f'{reference[1]}="{" ".join(moved)}"'

    return _REFERENCE.sub(shrink, text)


def has_formulas(xml: bytes) -> bool:
    """Return whether a sheet holds formulas."""
    return bool(_FORMULA.search(xml))


def request_recalculation(book: bytes) -> bytes:
    """Return a workbook's XML that has its formulas calculated when it is opened: their values know the old labels."""
    text = book.decode("utf-8")
    found = re.search(r"<((?:\w+:)?)calcPr\b([^>]*?)/?>", text)
    if found:
        attributes = re.sub(r'\s+fullCalcOnLoad="[^"]*"', "", found[2].rstrip())
        new = f'<{found[1]}calcPr{attributes} fullCalcOnLoad="1"{"/>" if found[0].endswith("/>") else ">"}'
        return (text[: found.start()] + new + text[found.end() :]).encode()
    after = list(re.finditer(r"</((?:\w+:)?)(?:sheets|externalReferences|definedNames)>", text))[-1]
    return f'{text[: after.end()]}<{after[1]}calcPr fullCalcOnLoad="1"/>{text[after.end() :]}'.encode()


def drop_calculation_chain(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the files of a workbook that name its calculation chain, without it."""
    found = {}
    for name in ("[Content_Types].xml", "xl/_rels/workbook.xml.rels"):
        text = archive.read(name).decode("utf-8")
        found[name] = re.sub(r"<[^<>]*calcChain\.xml[^<>]*/>", "", text).encode()
    return found
