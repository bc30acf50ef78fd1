"""A workbook comes back cell for cell and file for file, but for the labels that changed and the rows that a reviewer dropped."""

import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font, PatternFill
from test_apply_source import corrected, swept

ROWS = [
    ["001", 1.5, date(2024, 1, 2), "cat"],
    ["002", 1e-9, date(2024, 1, 3), "dog"],
    ["003", None, date(2024, 1, 4), "cat & co"],
    ["004", 12345678901, None, "dog"],
    ["005", -2, date(2024, 1, 6), "cat"],
]


def book(path: Path, *, formulas: bool = False) -> Path:
    """A title, a header in bold, cells of many styles, a second sheet, and, where asked for, formulas and a chart on it."""
    workbook = Workbook()
    sheet = workbook.active
    sheet.title = "Pets"
    sheet.append(["Pets of 2024"])
    sheet.append(["code", "x", "seen", "label"])
    for row in ROWS:
        sheet.append(row)
    for cell in sheet[2]:
        cell.font = Font(bold=True)
    sheet["D4"].fill = PatternFill("solid", fgColor="FFCC00")
    sheet["B6"].number_format = "#,##0.00 €"
    sheet.column_dimensions["C"].width = 30
    sheet.auto_filter.ref = "A2:D7"
    sheet.conditional_formatting.add(
        "B3:B7", CellIsRule(operator="lessThan", formula=["0"], font=Font(color="FF0000"))
    )
    other = workbook.create_sheet("Notes")
    other.append(["read me", 3.25])
    if formulas:
        other["A2"] = '=COUNTIF(Pets!D3:D7,"cat")'
        sheet["A3"].comment = Comment("weighed twice", "Ada")
        chart = BarChart()
        chart.add_data(Reference(sheet, min_col=2, min_row=3, max_row=7))
        other.add_chart(chart, "C5")
    workbook.save(path)
    # A spreadsheet program has it calculated when it is saved, and not again when it is opened.
    return rewritten(path, {"xl/workbook.xml": lambda text: text.replace(' fullCalcOnLoad="1"', "")})


def rewritten(path: Path, files: dict[str, Callable[[str], str]]) -> Path:
    """Change the text of files in a workbook; one that is not there is added."""
    found = members(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name in {**found, **files}:
            text = found.get(name, b"").decode() if name in files else None
            archive.writestr(name, found[name] if text is None else files[name](text))
    return path


def cells(path: Path, sheet: str) -> list[list[tuple]]:
    found = load_workbook(path)[sheet]
    return [
        [(cell.value, cell.number_format, cell.font.b, cell.fill.fgColor.rgb) for cell in row]
        for row in found.iter_rows()
    ]


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("formulas", [False, True])
def test_only_the_changed_labels_differ(tmp_path, formulas):
    path = book(tmp_path / "pets.xlsx", formulas=formulas)
    run = swept(path, tmp_path / "run")
    assert corrected(run, {0: "cat & co", 1: "cat", 4: "a <new> one"}, tmp_path / "v1") == ""
    new = tmp_path / "v1" / "source" / "pets.xlsx"
    expected = cells(path, "Pets")
    for row, label in ((2, "cat & co"), (3, "cat"), (6, "a <new> one")):
        expected[row][3] = (label, *expected[row][3][1:])
    assert cells(new, "Pets") == expected
    assert cells(new, "Notes") == cells(path, "Notes")
    before, after = members(path), members(new)
    assert list(after) == list(before)
    changed = {name for name in before if before[name] != after[name]}
    # Formulas that count the labels are calculated when the file is opened.
    assert changed == {"xl/worksheets/sheet1.xml", *(["xl/workbook.xml"] if formulas else [])}
    assert load_workbook(new).calculation.fullCalcOnLoad or not formulas
    # Swept again, it has the new labels.
    again = swept(new, tmp_path / "again")
    assert corrected(again, {0: "cat"}, tmp_path / "v2") == ""


def test_a_dropped_row_is_removed_and_what_is_below_moves_up_with_its_looks(tmp_path):
    path = book(tmp_path / "pets.xlsx")
    run = swept(path, tmp_path / "run")
    assert corrected(run, {0: None, 2: None, 3: "cat"}, tmp_path / "v1") == ""
    new = tmp_path / "v1" / "source" / "pets.xlsx"
    expected = cells(path, "Pets")
    expected[5][3] = ("cat", *expected[5][3][1:])
    assert cells(new, "Pets") == [row for number, row in enumerate(expected) if number not in (2, 4)]
    sheet = load_workbook(new)["Pets"]
    assert (sheet.auto_filter.ref, sheet.dimensions) == ("A2:D5", "A1:D5")
    assert [str(one.sqref) for one in sheet.conditional_formatting] == ["B3:B5"]


def test_beside_formulas_a_dropped_row_stays_as_an_empty_one(tmp_path):
    path = book(tmp_path / "pets.xlsx", formulas=True)
    assert corrected(swept(path, tmp_path / "run"), {1: None}, tmp_path / "v1") == ""
    new = tmp_path / "v1" / "source" / "pets.xlsx"
    expected = cells(path, "Pets")
    expected[3] = [(None, *cell[1:]) for cell in expected[3]]
    assert cells(new, "Pets") == expected
    assert cells(new, "Notes") == cells(path, "Notes")
    assert corrected(swept(new, tmp_path / "again"), {1: "dog"}, tmp_path / "v2") == ""


def test_formulas_of_a_dropped_row_go_from_the_chain_of_calculation_too(tmp_path):
    workbook = Workbook()
    for row in (["x", "label", "double"], [1, "cat", "=A2*2"], [2, "dog", "=A3*2"], [3, "dog", "=A4*2"]):
        workbook.active.append(row)
    workbook.save(tmp_path / "pets.xlsx")
    kind = '<Override PartName="/xl/calcChain.xml" ContentType="application/vnd.ms-excel.calcChain+xml"/></Types>'
    chain = '<Relationship Id="rId99" Type="calcChain" Target="calcChain.xml"/></Relationships>'
    rewritten(
        tmp_path / "pets.xlsx",
        {
            "xl/worksheets/sheet1.xml": lambda text: text.replace("<v/>", "<v>4</v>").replace(
                "<v></v>", "<v>4</v>"
            ),
            "[Content_Types].xml": lambda text: text.replace("</Types>", kind),
            "xl/_rels/workbook.xml.rels": lambda text: text.replace("</Relationships>", chain),
            "xl/calcChain.xml": lambda text: (
                text + '<calcChain><c r="C2"/><c r="C3"/><c r="C4"/></calcChain>'
            ),
        },
    )
    run = swept(tmp_path / "pets.xlsx", tmp_path / "run")
    assert corrected(run, {1: None, 2: "cat"}, tmp_path / "v1") == ""
    new = tmp_path / "v1" / "source" / "pets.xlsx"
    assert list(load_workbook(new).active.values) == [
        ("x", "label", "double"),
        (1, "cat", "=A2*2"),
        (None, None, None),
        (3, "cat", "=A4*2"),
    ]
    assert [row[2] for row in load_workbook(new, data_only=True).active.values] == ["double", 4, None, 4]
    assert b"calcChain" not in b"".join(members(new).values())
    assert "xl/calcChain.xml" not in members(new)


def test_a_sheet_that_is_named_is_the_one_that_changes_and_numbers_stay_numbers(tmp_path):
    workbook = Workbook()
    workbook.active.append(["nothing", "here"])
    sheet = workbook.create_sheet("Two words")
    for row in (["x", "label"], [1, 0], [2, 1], [3, 1]):
        sheet.append(row)
    workbook.save(tmp_path / "pets.xlsx")
    run = swept(Path(f"{tmp_path}/pets.xlsx#Two words"), tmp_path / "run")
    assert corrected(run, {0: "1", 2: "7"}, tmp_path / "v1") == ""
    found = load_workbook(tmp_path / "v1" / "source" / "pets.xlsx")
    assert list(found["Two words"].values) == [("x", "label"), (1, 1), (2, 1), (3, 7)]
    assert list(found["Sheet"].values) == [("nothing", "here")]


def test_a_label_that_a_formula_calculates_or_a_merged_cell_holds_is_not_written_over(tmp_path):
    workbook = Workbook()
    for row in (["x", "label"], [1, "cat"], [2, "cat"], [3, "dog"]):
        workbook.active.append(row)
    workbook.active.merge_cells("B2:B3")
    workbook.save(tmp_path / "pets.xlsx")
    said = corrected(swept(tmp_path / "pets.xlsx", tmp_path / "run"), {1: "dog"}, tmp_path / "v1")
    assert "cell B3 is merged with others; change it by hand" in said
    assert not list((tmp_path / "v1").iterdir())
