"""Read spreadsheets: Excel's and OpenDocument's, the values that their formulas had when they were saved.

A sheet is read as the text that a spreadsheet program would save of it, with tabs: what holds for a CSV file holds for a sheet.
`book.xlsx#Sheet2` names a sheet; without a name it is the first one that looks like a table.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    WorksheetNotFound,
)

from tasks.errors import list_names
from tasks.ingest.formats.csv import open_written
from tasks.ingest.reading import HEAD, FileReader, explain_damage, make_format_error
from tasks.ingest.source import Part
from tasks.ingest.temporary_files import write_tabs, write_value
from tasks.ingest.text.dialect import Dialect, describe_dialect, make_names_unique
from tasks.ingest.text.header import has_header, join_headers
from tasks.ingest.text.preamble import count_rows_above, count_rows_below

SUFFIXES, GZIP, TYPED = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), False, False

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
# A cell of a formula without its value, as programs write it that do not calculate. An empty text is a value.
_NO_VALUE = re.compile(
    rb'<c r="([A-Z]+[0-9]+)"(?![^>]*t="str")[^>]*><f(?:/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>'
)
# Rows by which a header is told from data.
_LOOKED_AT = 100
_CODE = re.compile("0[0-9]+")


@dataclass(frozen=True)
class Sheet:
    """One sheet as a table.

    Attributes:
        name: Its name.
        names: Names of the columns.
        rows: The rows below, as text.
        numbers: The number of each row in the sheet, from 1.
        headed: The number of the last row of the header, from 1; 0 where there is none.
        columns: The number of each column in the sheet, from 1.
        notes: How many rows above and below the names of the columns are no samples.
    """

    name: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    headed: int
    columns: tuple[int, ...] = ()
    notes: tuple[int, int] = (0, 0)


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:
    """Open a sheet.

    Raises:
        InputError: It is no spreadsheet, is protected by a password, has no such sheet or no table in it, or a formula lacks
            its value.
    """
    content = _read_content(part)
    sheet, notes = _choose_sheet(part, content, as_text)
    if part.plain_name.endswith((".xlsx", ".xlsm")):
        _check_values(part, content, sheet.name)
    names, renamed = make_names_unique(sheet.names, as_text, part, sheet.rows)
    dialect = Dialect("utf-8", "\t", 0, 0, names, renamed=renamed, notes=sheet.notes)
    headed = replace(dialect, header_lines=int(sheet.headed > 0))
    reader = open_written(write_tabs(part, sheet.rows), dialect, _find_code_columns(sheet))
    numbers, name = sheet.numbers, sheet.name
    notes = (*notes, *describe_dialect(part, headed))
    reader = reader.standing_for(part, lambda row: f"row {numbers[row]} of sheet '{name}'", notes)
    return replace(reader, dialect=headed)


def read_sheet(part: Part, needed: frozenset[str]) -> tuple[Sheet, tuple[str, ...]]:
    """Return the sheet that is read, and the unique names of its columns."""
    sheet, _ = _choose_sheet(part, _read_content(part), needed)
    return sheet, make_names_unique(sheet.names, needed, part, sheet.rows)[0]


def _read_content(part: Part) -> bytes:
    with explain_damage(part, "spreadsheet"), part.open() as file:
        content = file.read()
    if not content.startswith((_ZIP, _OLE)):
        raise make_format_error(part, "a spreadsheet", content[:HEAD])
    return content


def _find_code_columns(sheet: Sheet) -> frozenset[str]:
    """Return the columns of codes such as 007: a sheet writes no number so, hence they were typed as text."""
    return frozenset(
        name
        for place, name in enumerate(sheet.names)
        if any(_CODE.fullmatch(row[place]) for row in sheet.rows)
    )


def _choose_sheet(part: Part, content: bytes, needed: frozenset[str]) -> tuple[Sheet, tuple[str, ...]]:
    """Return the sheet that is named, or else the first that looks like a table, and what there is to say."""
    try:
        book = CalamineWorkbook.from_object(io.BytesIO(content))
        names = [meta.name for meta in book.sheets_metadata if meta.typ == SheetTypeEnum.WorkSheet]
        if part.sheet:
            found = _find_table(book.get_sheet_by_name(part.sheet), needed)
            if found is None:
                raise part.problem(f"sheet '{part.sheet}' holds no table", fix=f"it has {list_names(names)}")
            return found, ()
        tables = [found for name in names if (found := _find_table(book.get_sheet_by_name(name), needed))]
    except PasswordError as error:
        raise part.problem("is protected by a password", fix="save it without one, or as CSV") from error
    except WorksheetNotFound as error:
        raise part.problem(f"has no sheet '{part.sheet}'", fix=f"it has {list_names(names)}") from error
    except CalamineError as error:
        raise part.problem(f"damaged spreadsheet ({error})", fix="open it and save it again") from error
    if not tables:
        raise part.problem("no sheet holds a table", fix="check the file")
    # Notes to the reader have one column; a table has two or more.
    first = next((found for found in tables if len(found.names) > 1), tables[0])
    others = [found.name for found in tables if found is not first]
    if not others:
        return first, ()
    return first, (f"sheet '{first.name}' is read; name another as {part.shown}#{others[0]}",)


def _find_table(sheet: CalamineSheet, needed: frozenset[str]) -> Sheet | None:
    """Return a sheet as a table, None where it has no row below its header."""
    # Nothing is cut off: row 0 here is row 1 of the sheet.
    cells = [[write_value(value) or "" for value in row] for row in sheet.to_python(skip_empty_area=False)]
    merged = sheet.merged_cell_ranges or []
    for (top, left), (bottom, right) in merged:  # their value is that of each of them
        value = cells[top][left] if top < len(cells) and left < len(cells[top]) else ""
        for row in cells[top : bottom + 1]:
            row[left : right + 1] = [value] * len(row[left : right + 1])
    across = [(top, bottom) for (top, left), (bottom, right) in merged if right > left]
    used = [place for place in range(max(map(len, cells), default=0)) if any(row[place] for row in cells)]
    filled = [number for number, row in enumerate(cells) if any(row)]
    titled = {row for top, bottom in across for row in range(top, bottom + 1)}
    start = next(
        (number for number in filled if not _is_title(cells[number], number in titled, len(used))), None
    )
    if start is None:
        return None
    rest = [number for number in filled if number >= start]
    first = [[cells[number][place] for place in used] for number in rest[:_LOOKED_AT]]
    above = 0 if start in titled else count_rows_above(first, needed)
    start, first = rest[above], first[above:]
    names, end = [cells[start][place] for place in used], start
    # Nobody merges cells of a row of data across columns.
    if start not in titled and not has_header(first, needed):
        names, end = [f"c{place}" for place in range(len(used))], start - 1
    elif (start, start) in across and start + 1 < len(cells):  # names stand below merged groups
        names, end = join_headers(names, [cells[start + 1][place] for place in used]), start + 1
    below = [number for number in filled if number > end]
    if not below:
        return None
    looked_at = [[cells[number][place] for place in used] for number in below[:_LOOKED_AT]]
    units = count_rows_below(looked_at) if end >= start else 0
    below = below[units:]
    # A column without a name and a value belongs to the rows above the header.
    kept = [
        (place, name)
        for place, name in zip(used, names, strict=True)
        if name or any(cells[number][place] for number in below)
    ]
    return Sheet(
        sheet.name,
        tuple(" ".join(name.split()) for _, name in kept),  # a name in a cell may have line breaks
        tuple(tuple(cells[number][place] for place, _ in kept) for number in below),
        tuple(number + 1 for number in below),
        end + 1 if end >= start else 0,
        tuple(place + 1 for place, _ in kept),
        (above, units),
    )


def _is_title(row: Sequence[str], merged: bool, columns: int) -> bool:  # noqa: FBT001 (asked once, above)
    """Return whether a row has one text alone, in one cell or in merged ones, above a table of several columns."""
    texts = [value for value in row if value]
    return columns > 1 and len(set(texts)) <= 1 and (merged or len(texts) == 1)


def _check_values(part: Part, content: bytes, sheet: str) -> None:
    """Refuse a sheet in which a formula has no value: its column would look empty.

    Raises:
        InputError: There is such a cell.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        path = find_sheet_file(archive, sheet)
        text = archive.read(path) if path in archive.namelist() else b""
    found = _NO_VALUE.search(text) if b"<f" in text else None
    if found:
        raise part.problem(
            f"cell {found[1].decode()} of sheet '{sheet}' holds a formula without its value",
            fix="open it in a spreadsheet program and save it, which calculates the values",
        )


def find_sheet_file(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the file of a sheet within its workbook, None where the workbook does not say."""
    return next((path for name, path in _list_sheets(archive) if name == sheet), None)


def _list_sheets(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield the name of each sheet and its file within the workbook."""
    try:
        relations = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314 (expat bounds entities)
        book = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314
    except (KeyError, ET.ParseError):  # written in another way, which the reader of the values knew
        return
    targets = {entry.get("Id"): str(entry.get("Target")) for entry in relations}
    for element in book.iter():
        key = next((value for name, value in element.items() if name.endswith("}id")), None)
        if element.tag.endswith("}sheet") and key in targets:
            target = targets[key]
            yield str(element.get("name")), target.lstrip("/") if target.startswith("/") else f"xl/{target}"
