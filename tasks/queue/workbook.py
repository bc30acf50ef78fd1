"""The queue as `queue.xlsx`: what a person reads first, a list of classes to choose from, and pictures.

Every text is stored as text, so that no spreadsheet program turns an id or a label into a number, a date or a formula. The
columns are those of `queue.csv`, by the same names.
"""

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.queue.spreadsheet import sheet_columns
from tasks.storage import atomic_path

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
# Characters that XML 1.0 cannot hold.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_WIDTHS = {
    "sample_id": 19,
    "reason": 60,
    "given_label": 16,
    "suggested_label": 16,
    "decision": 12,
    "new_label": 16,
}


def write_workbook(queue: pa.Table, classes: Sequence[str], verdicts: Sequence[str], final: Path) -> Path:
    """Write the worst `MOST_ROWS` rows of the queue as an Excel workbook.

    Args:
        queue: The queue, worst first; a binary column `image` is shown as pictures.
        classes: What `new_label` may be: the choices of a drop-down list.
        verdicts: What `decision` may be, the same.
        final: The file.
    """
    from openpyxl import Workbook  # noqa: PLC0415 (a third of a second to import)

    columns, names = sheet_columns(queue.schema)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("queue")
    sheet.freeze_panes = "C2"
    pictured = "image" in queue.schema.names
    shown = ["picture", *names] if pictured else names
    for place, name in enumerate(shown, start=1):
        sheet.column_dimensions[_letter(place)].width = 14 if name == "picture" else _WIDTHS.get(name, 12)
    _add_choices(book, sheet, shown, classes, verdicts)
    sheet.append([_heading(sheet, name) for name in shown])
    for number, row in enumerate(_rows(queue.slice(0, MOST_ROWS), columns), start=2):
        cells = [_cell(sheet, value) for value in row]
        picture = (
            _thumbnail(queue["image"][number - 2].as_py())
            if pictured and number < MOST_PICTURES + 2
            else None
        )
        if picture is not None:
            picture.anchor = f"A{number}"
            sheet.add_image(picture)
            sheet.row_dimensions[number].height = 0.75 * picture.height + 2  # points
        sheet.append([None, *cells] if pictured else cells)
    with atomic_path(final) as path, path.open("wb") as file:
        book.save(file)
    return final


def _rows(queue: pa.Table, columns: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the cells of each row; a column that the queue does not have is one that a person fills in."""
    for batch in queue.to_batches(4_096):
        held = set(batch.schema.names)
        cells = [
            batch.column(name).to_pylist() if name in held else [""] * batch.num_rows for name in columns
        ]
        yield from (list(row) for row in zip(*cells, strict=True))


def _letter(place: int) -> str:
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    letter: str = get_column_letter(place)
    return letter


def _cell(sheet: Any, value: object) -> Any:  # noqa: ANN401 (of openpyxl)
    """Return a cell that holds text as text, and numbers as numbers."""
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return None if value != value else value  # noqa: PLR0124 (NaN has no form in a cell)
    text = value if isinstance(value, str) else str(value)
    cell = WriteOnlyCell(sheet)
    cell.number_format = _TEXT
    cell.value = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)[:CELL_LENGTH]
    cell.data_type = "s"  # what begins with = is no formula
    return cell


def _heading(sheet: Any, name: str) -> Any:  # noqa: ANN401 (of openpyxl)
    from openpyxl.styles import Font  # noqa: PLC0415

    cell = _cell(sheet, name)
    cell.font = Font(bold=True)
    return cell


def _add_choices(
    book: Any,  # noqa: ANN401 (of openpyxl)
    sheet: Any,  # noqa: ANN401
    names: Sequence[str],
    classes: Sequence[str],
    verdicts: Sequence[str],
) -> None:
    """Let `decision` and `new_label` be chosen from a list; the classes stand in a sheet of their own."""
    from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

    listed = book.create_sheet(_CLASSES)
    for label in classes:
        listed.append([_cell(listed, label)])
    choices = {
        "decision": f'"{",".join(verdicts)}"',
        "new_label": f"{_CLASSES}!$A$1:$A${max(1, len(classes))}",
    }
    for name, formula in choices.items():
        choice = DataValidation(type="list", formula1=formula, allow_blank=True, showErrorMessage=False)
        letter = _letter(names.index(name) + 1)
        choice.add(f"{letter}2:{letter}{MOST_ROWS + 1}")
        sheet.data_validations.append(choice)


def _thumbnail(picture: bytes | None) -> Any:  # noqa: ANN401 (of openpyxl)
    """Return a small picture, None where the bytes do not decode."""
    from openpyxl.drawing.image import Image as Drawing  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    try:
        with Image.open(io.BytesIO(picture or b"")) as opened:
            small = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if max(small.size) < THUMBNAIL:  # a digit of 8 x 8 pixels is seen only when it is enlarged
        share = THUMBNAIL // max(small.size)
        small = small.resize((small.width * share, small.height * share), Image.Resampling.NEAREST)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    held = io.BytesIO()
    small.save(held, "PNG")
    held.seek(0)
    return Drawing(held)
