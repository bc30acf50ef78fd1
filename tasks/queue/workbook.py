"""The queue as `queue.xlsx`: what a person reads first, a list of classes to choose from, and pictures.

Every text is stored as text, so that no spreadsheet program turns an id or a label into a number, a date or a formula. The
columns are those of `queue.csv`, by the same names.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.drawing.image import Image as Drawing
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from tasks.pictures import decode_picture, encode_png, fit_picture
from tasks.queue.picture_store import PictureStore
from tasks.queue.spreadsheet import list_sheet_columns, list_sheet_rows
from tasks.records import DECISION_COLUMNS
from tasks.storage import open_atomically

# A person decides on a few hundred samples in a day; a sheet of this many opens within seconds. The CSV holds all.
MOST_ROWS = 10_000
# Each picture takes about 10 kB of the file, and a spreadsheet program keeps all of them in memory.
MOST_PICTURES = 500
# Pixels of the longer side.
THUMBNAIL = 96
# The most characters that a cell of the format holds (ECMA-376).
CELL_LENGTH = 32_767
# The sheet of the classes: a list inside a cell holds 255 characters and no more.
_CLASSES = "classes"
_TEXT = "@"
# A cell holds a number as a double, which is exact up to here.
_EXACT = 2**53
# Characters that XML 1.0 cannot hold.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_WIDTHS = {
    "picture": 14,
    "sample_id": 19,
    "reason": 60,
    "given_label": 16,
    "suggested_label": 16,
    "decision": 12,
    "new_label": 16,
}


def write_workbook(
    queue: pa.Table,
    classes: Sequence[str],
    verdicts: Sequence[str],
    final: Path,
    pictures: PictureStore | None = None,
) -> Path:
    """Write the worst `MOST_ROWS` rows of the queue as an Excel workbook.

    Args:
        queue: The queue, worst first.
        classes: What `new_label` may be: the choices of a drop-down list.
        verdicts: What `decision` may be, the same.
        pictures: The picture of each row, where the samples are pictures.
    """
    columns, names = list_sheet_columns(queue.schema)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("queue")
    sheet.freeze_panes = "C2"
    thumbnail = "picture"
    while thumbnail in names:  # a column of the user's may be called so
        thumbnail += "_"
    shown = names if pictures is None else [thumbnail, *names]
    for place, name in enumerate(shown, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTHS.get(name, 12)
    # `decision` and `new_label` are chosen from a list; the classes are in a sheet of their own.
    listed = book.create_sheet(_CLASSES)
    for label in classes:
        listed.append([_write_cell(listed, label)])
    choices = f'"{",".join(verdicts)}"', f"{_CLASSES}!$A$1:$A${max(1, len(classes))}"
    for name, formula in zip(DECISION_COLUMNS, choices, strict=True):
        choice = DataValidation(type="list", formula1=formula, allow_blank=True, showErrorMessage=False)
        letter = get_column_letter(shown.index(name) + 1)
        choice.add(f"{letter}2:{letter}{MOST_ROWS + 1}")
        sheet.data_validations.append(choice)
    sheet.append([_write_cell(sheet, name, font=Font(bold=True)) for name in shown])
    for number, row in enumerate(list_sheet_rows(queue.slice(0, MOST_ROWS), columns)):
        cells = [_write_cell(sheet, value) for value in row]
        place = number + 2  # below the header
        if pictures is not None:
            cells.insert(0, None)
        if pictures is not None and number < MOST_PICTURES and (picture := _shrink_picture(pictures[number])):
            picture.anchor = f"A{place}"
            sheet.add_image(picture)
            sheet.row_dimensions[place].height = 0.75 * picture.height + 2  # points
        sheet.append(cells)
    with open_atomically(final) as path, path.open("wb") as file:
        book.save(file)
    return final


def _write_cell(sheet: Any, value: object, font: Font | None = None) -> Any:  # noqa: ANN401 (of openpyxl)
    """Return a cell that holds text as text, and numbers as numbers."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or (is_number and not (isinstance(value, int) and abs(value) > _EXACT)):
        return None if value != value else value  # noqa: PLR0124 (NaN has no form in a cell)
    cell = WriteOnlyCell(sheet)
    cell.number_format = _TEXT
    cell.value = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", str(value))[:CELL_LENGTH]
    cell.data_type = "s"  # what begins with = is not a formula
    if font is not None:
        cell.font = font
    return cell


def _shrink_picture(data: bytes) -> Any:  # noqa: ANN401 (of openpyxl)
    """Return a small picture, None where the bytes do not decode."""
    picture = decode_picture(data, THUMBNAIL)
    return None if picture is None else Drawing(io.BytesIO(encode_png(fit_picture(picture, THUMBNAIL))))
