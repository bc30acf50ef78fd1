"""Corrected Excel workbooks: the cells of changed labels are written into the file, and nothing else in it is touched.

A workbook is a zip archive of XML files. A library that reads and writes all of it loses charts, pictures, the values of formulas
and whatever else it does not know, so only the XML of the changed cells is replaced. A cell gets what another cell of its
class holds.

A dropped row is removed, and the rows below move up. Where something refers to rows by their number (formulas, merged cells,
pictures, links), the row stays as an empty one.
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tasks.apply.corrected import TAKE_LABELS, SourceChanges, learn_forms, make_source_changed_error
from tasks.apply.packing import pack_again
from tasks.apply.sheet_xml import SheetXml, drop_calculation_chain, has_formulas, request_recalculation
from tasks.errors import InputError
from tasks.ingest.formats.excel import Sheet, find_sheet_file, read_sheet
from tasks.ingest.source import Part

_WRITTEN = (".xlsx", ".xlsm")
_CHAIN, _BOOK = "xl/calcChain.xml", "xl/workbook.xml"


def write_workbooks(
    parts: Sequence[Part], label: str, corrected: SourceChanges, targets: Sequence[Path]
) -> list[int]:
    """Write corrected workbooks, as `tasks.apply.layout.Write` says."""
    sheets = [_find_sheet(part, label, corrected) for part in parts]
    forms = learn_forms(corrected, (row[place] for sheet, place in sheets for row in sheet.rows))
    start, written = 0, []
    for part, (sheet, place), target in zip(parts, sheets, targets, strict=True):
        changes = corrected.select_changes(start, len(sheet.rows))
        start += len(sheet.rows)
        written.append(len(sheet.rows) - sum(new is None for new in changes.values()))
        new = {row: forms.get(text, text) for row, text in changes.items() if text is not None}
        dropped = [row for row, text in changes.items() if text is None]
        _write(part, sheet, place, new, dropped, target)
    return written


def _find_sheet(part: Part, label: str, corrected: SourceChanges) -> tuple[Sheet, int]:
    """Return the sheet and which of its columns is the label."""
    if not part.plain_name.endswith(_WRITTEN):
        fix = f"save it as .xlsx and sweep that, or {TAKE_LABELS}"
        raise InputError("only .xlsx and .xlsm workbooks can be written again", where=part.shown, fix=fix)
    sheet, names = read_sheet(part, frozenset({label}))
    if label not in names:
        raise make_source_changed_error(corrected.uri)
    return sheet, names.index(label)


def _write(
    part: Part, sheet: Sheet, place: int, new: dict[int, str], dropped: Sequence[int], target: Path
) -> None:
    """Write one workbook: new labels by row of the table, and the rows that are dropped."""
    from openpyxl.utils import get_column_letter  # noqa: PLC0415 (a third of a second)

    with part.open() as raw:
        content = raw.read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        path = find_sheet_file(archive, sheet.name)
        if path is None or path not in archive.namelist():
            what = f"the file of sheet '{sheet.name}' is not found in the workbook"
            fix = "open it in a spreadsheet program and save it"
            raise InputError(what, where=part.shown, fix=fix)
        xml = SheetXml(archive.read(path).decode("utf-8"), part.shown)
        letters = get_column_letter(sheet.columns[place])
        first = {
            row[place]: number for number, row in reversed(list(zip(sheet.numbers, sheet.rows, strict=True)))
        }
        for row, text in new.items():
            xml.set_label(letters, sheet.numbers[row], text, first.get(text))
        calculated = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        formulas = any(has_formulas(archive.read(name)) for name in calculated)
        numbers = [sheet.numbers[row] for row in dropped]
        changed: dict[str, Path | bytes | None] = {}
        if xml.drop(numbers, can_move=not formulas) and _CHAIN in archive.namelist():
            # It lists the cells with formulas; programs make it anew.
            changed |= {_CHAIN: None, **drop_calculation_chain(archive)}
        if formulas and (new or dropped):
            changed[_BOOK] = request_recalculation(archive.read(_BOOK))
        changed[path] = xml.text().encode("utf-8")
    pack_again(part, changed, target)
