"""A sheet is read as people make sheets: titles, groups of columns, merged cells, several sheets; and never half."""

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from tasks.errors import InputError
from tasks.ingest import ingest, make_short_name
from tasks.ingest.table import open_source
from tasks.records import Dataset, Source

ROWS = 30
NAMES = ["code", "x", "z", "label"]


def rows() -> list[list[object]]:
    generator = np.random.default_rng(0)
    return [
        [f"{place:03d}", float(x), float(z), ["cat", "dog"][place % 2]]
        for place, (x, z) in enumerate(generator.normal(size=(ROWS, 2)).round(3))
    ]


def book(
    path: Path, sheets: dict[str, list[list[object]]], merged: tuple[str, ...] = (), **of: object
) -> str:
    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, values in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in values:
            sheet.append(row)
        for cells in merged:
            sheet.merge_cells(cells)
    for name, value in of.items():
        setattr(workbook, name, value)
    workbook.save(path)
    return str(path)


def read(uri: str, folder: Path) -> Dataset:
    return ingest(Source(uri=uri), folder / "run")


def column(dataset: Dataset, name: str) -> list[object]:
    return pq.read_table(dataset.path)[name].to_pylist()


@pytest.mark.parametrize(
    ("above", "merged"),
    [
        ([NAMES], ()),
        ([["Pets of 2024"], [], NAMES], ("A1:D1",)),
        ([[], [None, "made by Ada"], NAMES], ()),
        ([["Device", "A7"], ["Made", "in May"], NAMES, [None, "mm", "kg", None]], ()),
        ([["code", "Size", None, "label"], [None, "x", "z", None]], ("A1:A2", "B1:C1", "D1:D2")),
    ],
    ids=["plain", "a title", "a note", "settings and units", "groups"],
)
def test_the_header_is_found(above, merged, tmp_path):
    uri = book(tmp_path / "pets.xlsx", {"Pets": [*above, *rows()]}, merged)
    dataset = read(uri, tmp_path)
    assert dataset.feature_names == ("x", "z")
    assert column(dataset, "code") == [row[0] for row in rows()]
    assert column(dataset, "label") == [row[3] for row in rows()]
    first = 1 + len(above)
    assert open_source(uri, frozenset()).place(1) == f"row {first + 1} of sheet 'Pets'"


def test_odd_names_and_no_names_are_columns_too(tmp_path):
    odd = [["# of\nrooms", "x", "x", "label"], *rows()]
    dataset = read(book(tmp_path / "odd.xlsx", {"P": odd}), tmp_path)
    assert dataset.display_columns == ("# of rooms", "x", "x.1")
    assert "odd.xlsx has several columns named 'x': a later one is now 'x.1'" in dataset.notes
    table = open_source(book(tmp_path / "bare.xlsx", {"P": rows()}), frozenset())
    assert table.schema.names == ["c0", "c1", "c2", "c3"]
    assert table.place(0) == "row 1 of sheet 'P'"
    assert any("bare.xlsx has no header" in note for note in table.notes)


def test_names_below_two_groups_are_told_apart(tmp_path):
    above = [["Before", None, "After", None], ["x", "z", "x", "label"]]
    values = [[row[1], row[2], row[1], row[3]] for row in rows()]
    dataset = read(book(tmp_path / "pets.xlsx", {"Pets": [*above, *values]}, ("A1:B1", "C1:D1")), tmp_path)
    assert dataset.feature_names == ("Before x", "z", "After x")


def test_merged_cells_all_have_their_value(tmp_path):
    values = [[*row[:3], "cat" if place < 10 else "dog"] for place, row in enumerate(rows())]
    once = [[*row[:3], row[3] if place in (0, 10) else None] for place, row in enumerate(values)]
    dataset = read(book(tmp_path / "p.xlsx", {"Pets": [NAMES, *once]}, ("D2:D11", "D12:D31")), tmp_path)
    assert column(dataset, "label") == [row[3] for row in values]


def test_the_first_table_is_read_and_another_sheet_can_be_named(tmp_path):
    other = [[*row[:3], "bird" if place % 2 else "fish"] for place, row in enumerate(rows())]
    sheets = {"About": [["This book"], ["has pets"]], "Pets": [NAMES, *rows()], "Other pets": [NAMES, *other]}
    uri = book(tmp_path / "pets.xlsx", sheets)
    dataset = read(uri, tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert f"sheet 'Pets' is read; name another as {uri}#About" in dataset.notes
    named = read(f"{uri}#Other pets", tmp_path)
    assert named.classes == ("bird", "fish")
    assert named.name == make_short_name(f"{uri}#Other pets") == "pets-other-pets"


@pytest.mark.parametrize("epoch", [CALENDAR_WINDOWS_1900, CALENDAR_MAC_1904])
def test_cells_keep_what_they_say(epoch, tmp_path):
    moment = datetime.fromisoformat("2024-02-29T01:02:03")  # a sheet knows no time zone
    first = [1, date(2024, 2, 29), moment, True, "1.5", "#N/A", 'a "b"\tc\nd', 2.5]
    rest = [[place, date(2024, 3, 1), moment, False, place, 2, "e", 1] for place in range(2, ROWS)]
    values = [[*row, ["cat", "dog"][place % 2]] for place, row in enumerate([first, *rest])]
    names = ["whole", "day", "time", "yes", "number", "error", "words", "float", "label"]
    dataset = read(book(tmp_path / "p.xlsx", {"P": [names, *values]}, epoch=epoch), tmp_path)
    found = pq.read_table(dataset.path).to_pylist()[0]
    assert (found["whole"], found["yes"], found["number"], found["error"]) == (1, True, 1.5, None)
    assert str(found["day"]) == "2024-02-29"
    assert str(found["time"]) == "2024-02-29 01:02:03"
    assert (found["words"], found["float"]) == ('a "b"\tc\nd', 2.5)


def test_class_numbers_are_whole(tmp_path):
    values = [[*row[:3], place % 3] for place, row in enumerate(rows())]
    assert read(book(tmp_path / "p.xlsx", {"P": [NAMES, *values]}), tmp_path).classes == ("0", "1", "2")


def formulas(path: Path) -> str:
    return book(
        path, {"P": [NAMES, *[[row[0], f"=C{place + 2}", *row[2:]] for place, row in enumerate(rows())]]}
    )


def text_file(path: Path) -> str:
    path.write_text("a,b\n1,2\n")
    return str(path)


def cut_file(path: Path) -> str:
    uri = book(path, {"P": [NAMES, *rows()]})
    path.write_bytes(path.read_bytes()[:1000])
    return uri


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (formulas, "cell B2 of sheet 'P' holds a formula without its value"),
        (text_file, "not a spreadsheet although it is named so"),
        (cut_file, "damaged spreadsheet"),
        (lambda path: book(path, {"P": []}), "no sheet holds a table"),
        (lambda path: book(path, {"P": [NAMES, *rows()]}) + "#Q", "has no sheet 'Q'; it has 'P'"),
        (lambda path: book(path, {"P": [NAMES, *rows()], "Q": []}) + "#Q", "sheet 'Q' holds no table"),
    ],
)
def test_what_cannot_be_read_whole_is_refused_in_one_line(write, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path / "pets.xlsx"), tmp_path)
