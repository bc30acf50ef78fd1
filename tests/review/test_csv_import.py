"""`queue.csv`, filled in by a person in a spreadsheet program."""

import csv
import io
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from flows.cli import run as labelsweep
from tasks.queue.spreadsheet import write_spreadsheet
from tasks.queue.workbook import write_workbook
from tasks.records import VERDICTS
from tasks.review.exchange.export import export_decisions
from tasks.review.exchange.spreadsheet import import_spreadsheet
from tasks.review.log import Decision, DecisionLog, log_path, read_log
from tasks.review.queue import load_queue
from tasks.review.state import Answer, Review
from tasks.storage import finish_run, read_json, write_json, write_table

Rows = list[dict[str, str]]


@pytest.fixture
def sheet(wine: Path) -> Rows:
    """The queue of a run as its CSV file has it."""
    write_spreadsheet(pq.read_table(wine / "queue.parquet"), wine / "queue.csv")
    with (wine / "queue.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def saved(
    rows: Rows, file: Path, *, delimiter: str = ",", end: str = "\n", mark: str = "", last: str = ""
) -> Path:
    """Save rows as a spreadsheet program does."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    file.write_bytes((mark + text.getvalue() + last).encode())
    return file


@pytest.fixture
def imported(wine: Path, out: Path, tmp_path: Path, capsys) -> Callable[..., tuple[int, str, str]]:
    """Save, import by the command, and return its exit code and what it printed."""

    def run(rows: Rows, **how: str) -> tuple[int, str, str]:
        file = saved(rows, tmp_path / "edited.csv", **how)
        code = labelsweep(["import", str(file), "--from", "csv", "--run", wine.name, "--out", str(out)])
        return code, *capsys.readouterr()

    return run


def test_two_columns_are_all_a_person_fills_in(sheet: Rows, imported, wine: Path, out: Path):
    items = load_queue(wine).items
    sheet[0]["new_label"] = items[0].suggested  # a label alone is a relabel
    sheet[1] |= {"decision": "Keep "}
    sheet[2] |= {
        "decision": "relabel",
        "new_label": "Barolo" if items[2].given != "Barolo" else "Barbera & co",
    }
    sheet[3] |= {"decision": "drop"}
    code, said, _ = imported(sheet)
    assert (code, said) == (0, f"4 decisions imported, {len(sheet) - 4} rows without a decision\n")
    rows = read_log(out)
    assert [row.decision for row in rows] == ["relabel", "keep", "relabel", "drop"]
    assert [row.sample_id for row in rows] == [item.sample_id for item in items[:4]]
    assert {(row.origin, row.reviewer, row.run) for row in rows} == {("csv", "spreadsheet", wine.name)}


@pytest.mark.parametrize(
    "how",
    [
        {"delimiter": ";", "mark": "\ufeff", "end": "\r\n"},
        {"delimiter": "\t"},
        {"end": "\r\n", "last": ",,,\r\n"[3:]},
    ],
    ids=["semicolons and a mark", "tabs", "Windows lines and an empty last one"],
)
def test_what_spreadsheet_programs_do_to_a_file_is_understood(
    sheet: Rows, imported, out: Path, how: dict[str, str]
):
    sheet[0]["decision"] = "keep"
    # Numbers are written anew, columns are moved: neither matters.
    moved = [{name: row[name] for name in reversed(row)} | {"score": "0,5"} for row in sheet]
    assert imported(moved, **how)[0] == 0
    assert [row.decision for row in read_log(out)] == ["keep"]


def test_cells_may_hold_what_other_programs_take_for_the_end_of_a_line(wine: Path, out: Path, tmp_path: Path):
    table = pq.read_table(wine / "queue.parquet")
    place = table.column_names.index("reason")
    odd = pa.array(["one\u2028two\x0bthree\x85four\x1cfive"] * len(table))
    write_spreadsheet(table.set_column(place, "reason", odd), wine / "queue.csv")
    with (wine / "queue.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0] |= {"decision": "keep", "seconds": "²"}  # a digit to Unicode, and no number
    import_spreadsheet(saved(rows, tmp_path / "edited.csv"), wine, out)
    assert [(row.decision, row.seconds) for row in read_log(out)] == [("keep", None)]


def test_ids_and_classes_with_spaces_around_them_are_known_with_and_without(
    wine: Path, out: Path, tmp_path: Path
):
    entry = read_json(wine / "steps" / "ingest.json")
    entry["record"]["classes"] += [" Riesling "]
    write_json(entry, wine / "steps" / "ingest.json")
    table = pq.read_table(wine / "queue.parquet")
    ids = [" first ", *table["sample_id"].to_pylist()[1:]]
    write_table(table.set_column(1, "sample_id", pa.array(ids)), wine / "queue.parquet")
    finish_run(wine)
    rows = [
        {"sample_id": " first ", "decision": "relabel", "new_label": " Riesling "},
        {"sample_id": f"{ids[1]} ", "decision": "relabel", "new_label": " Barolo "},
        {"sample_id": ids[2], "decision": "drop", "new_label": ""},
    ]
    import_spreadsheet(saved(rows, tmp_path / "edited.csv"), wine, out)
    assert [row.sample_id for row in read_log(out)] == ids[:3]
    assert read_log(out)[0].new_label == " Riesling "


@pytest.mark.parametrize("name", ["wine-run", "latest"])
def test_a_run_named_by_its_folder_keeps_its_decisions_where_it_lies(
    sheet: Rows, wine: Path, out: Path, tmp_path: Path, monkeypatch, capsys, name: str
):
    (out / "runs" / "latest").unlink()
    (out / "runs" / "latest").symlink_to(wine.name)
    sheet[0]["decision"] = "keep"
    file = saved(sheet, tmp_path / "edited.csv")
    monkeypatch.chdir(tmp_path)
    folder = Path(out.name) / "runs" / name
    assert labelsweep(["import", str(file), "--run", str(folder)]) == 0, capsys.readouterr()
    assert [row.run for row in read_log(out)] == [wine.name]


def test_an_unchanged_file_decides_nothing(sheet: Rows, imported, out: Path):
    assert imported(sheet)[:2] == (0, f"0 decisions imported, {len(sheet)} rows without a decision\n")
    assert read_log(out) == []


def test_one_wrong_row_and_nothing_is_imported(sheet: Rows, imported, out: Path):
    sheet[0]["decision"] = "keep"
    sheet[1]["decision"] = "maybe"
    sheet[2] |= {"decision": "relabel"}
    sheet[3] |= {"decision": "drop", "new_label": "Barolo"}
    sheet[4]["new_label"] = "Merlot"
    code, said, error = imported(sheet)
    assert (code, said, error.count("\n")) == (2, "", 1)
    assert "4 rows are wrong, nothing was imported" in error
    assert "row 3: no decision 'maybe', use keep, relabel, drop, unsure" in error
    assert "row 4: relabel needs a new_label" in error
    assert "row 5: drop and a new_label contradict each other" in error
    assert (
        "row 6: no class 'Merlot' in this data set, it has '<b>Grignolino</b>', 'Barbera & co', 'Barolo'"
        in error
    )
    assert read_log(out) == []


def test_rows_of_another_state_of_the_data_are_refused(sheet: Rows, imported, out: Path):
    sheet[0] |= {"decision": "keep", "given_label": "Riesling"}
    sheet[1] |= {"decision": "keep", "content_hash": "0" * 64}
    sheet[2] |= {"decision": "keep", "sample_id": "nobody"}
    code, _, error = imported(sheet)
    assert code == 2
    assert "not 'Riesling'" in error
    assert "is not the one that was decided on" in error
    assert "row 4: no sample 'nobody' in this run" in error
    assert read_log(out) == []


def test_a_sample_decided_twice_in_one_file_is_refused(sheet: Rows, imported, out: Path):
    sheet[0]["decision"] = "keep"
    sheet = [row | {"reviewer": "Ada  L"} for row in sheet]
    code, _, error = imported([*sheet, {**sheet[0], "decision": "drop", "reviewer": "Ada L"}])
    assert code == 2
    assert "is already decided in row 2" in error
    assert read_log(out) == []


def test_importing_again_writes_only_what_changed(sheet: Rows, imported, out: Path):
    sheet[0]["decision"] = sheet[1]["decision"] = "keep"
    sheet = [row | {"reviewer": "Ada  L"} for row in sheet]
    imported(sheet)
    sheet[1]["decision"] = "unsure"
    assert imported(sheet)[1].startswith("1 decision imported, 1 known before")
    assert [row.decision for row in read_log(out)] == ["keep", "keep", "unsure"]


def test_cells_that_a_spreadsheet_would_run_come_back_as_they_were(wine: Path, out: Path, tmp_path: Path):
    table = pq.read_table(wine / "queue.parquet")
    ids = ["=1+1", "+2", *table["sample_id"].to_pylist()[2:]]
    import pyarrow as pa

    table = table.set_column(table.schema.get_field_index("sample_id"), "sample_id", pa.array(ids))
    pq.write_table(table, wine / "queue.parquet")
    write_spreadsheet(table, wine / "queue.csv")
    with (wine / "queue.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sample_id"] for row in rows[:2]] == ["'=1+1", "+2"]
    rows[0]["decision"] = rows[1]["decision"] = "drop"
    import_spreadsheet(saved(rows, tmp_path / "edited.csv"), wine, out)
    assert [row.sample_id for row in read_log(out)] == ["=1+1", "+2"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"sample_id,new_label\na,b\n", "no column 'decision'; start from the run's queue.csv"),
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "its text is not utf-16"),
        (b"PK\x03\x04", "save it as CSV UTF-8 or as a workbook"),
        (b"sample_id,decision,new_label\na,keep\n", "row 2: 2 columns, the header has 3"),
        (b"sample_id,decision,decision,new_label\n", "2 columns are named 'decision'"),
    ],
)
def test_another_file_is_refused_in_one_line(
    wine: Path, out: Path, tmp_path: Path, capsys, content: bytes, says: str
):
    file = tmp_path / "edited.csv"
    file.write_bytes(content)
    assert labelsweep(["import", str(file), "--from", "csv", "--run", wine.name, "--out", str(out)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert says in printed.err


def test_exported_decisions_can_be_imported_elsewhere(
    sheet: Rows, imported, wine: Path, out: Path, tmp_path: Path, capsys
):
    sheet[0]["decision"], sheet[1]["decision"] = "keep", "drop"
    imported(sheet)
    file = tmp_path / "decisions.csv"
    assert labelsweep(["export", "--to", "csv", "-o", str(file), "--out", str(out)]) == 0
    for name in ("", "-wal", "-shm"):
        (out / f"decisions.sqlite{name}").unlink(missing_ok=True)
    capsys.readouterr()
    assert labelsweep(["import", str(file), "--from", "csv", "--run", wine.name, "--out", str(out)]) == 0
    assert [row.decision for row in read_log(out)] == ["keep", "drop"]


def test_answers_to_reviewer_checks_are_not_imported_again(wine: Path, out: Path, tmp_path: Path):
    queue, log = load_queue(wine, control_share=0.3), DecisionLog(log_path(out))
    Review(queue, log).decide(queue.items, Answer("keep"), "Ada")
    log.close()
    export_decisions(out, tmp_path / "decisions.csv")
    shutil.move(log_path(out), tmp_path)
    asked = sum(not item.is_control for item in queue.items)
    assert import_spreadsheet(tmp_path / "decisions.csv", wine, out).written == asked
    assert not any(row.control for row in read_log(out))


def test_times_that_a_spreadsheet_has_changed_are_those_of_the_import(sheet: Rows, imported, out: Path):
    sheet[0] |= {"decision": "keep", "time": "5/1/2026 10:00"}
    sheet[1] |= {"decision": "keep", "time": "2026-05-01T12:00:00+02:00"}
    sheet[2:] = [row | {"time": ""} for row in sheet[2:]]
    assert imported(sheet)[0] == 0
    changed, kept = (datetime.fromisoformat(row.time) for row in read_log(out))
    assert changed > kept == datetime(2026, 5, 1, 10, tzinfo=UTC)


def test_decisions_of_runs_whose_columns_have_other_types_are_exported_together(
    digits: Path, wine: Path, out: Path, tmp_path: Path
):
    log = DecisionLog(log_path(out))
    for run, values in ((digits, pa.array([7] * 10_000)), (wine, pa.array(["seven"] * 10_000))):
        table = pq.read_table(run / "dataset.parquet")
        table = table.append_column("size", values[: len(table)])
        pq.write_table(table.append_column("empty", pa.nulls(len(table))), run / "dataset.parquet")
        key = {"content_hash": "h", "given_label": "x", "run": run.name}
        sample = table["sample_id"][0].as_py()
        log.append([Decision(sample_id=sample, decision="keep", reviewer="Ada", **key)])
    log.close()
    export_decisions(out, tmp_path / "decisions.parquet")
    assert pq.read_table(tmp_path / "decisions.parquet")["data.size"].to_pylist() == ["7", "seven"]


@pytest.fixture
def numbered(out: Path) -> Path:
    """A run whose ids and classes are what spreadsheets take for something else."""
    run = out / "runs" / "wine-run"
    ids = ["007", "12345678901234567", "0.0", "1e5", "-3"]
    names = {"Barolo": "true", "<b>Grignolino</b>": "-1", "Barbera & co": "1.0"}
    table = pq.read_table(run / "queue.parquet")
    for column, values in {
        "sample_id": [*ids, *table["sample_id"].to_pylist()[len(ids) :]],
        "given_label": [names[label] for label in table["given_label"].to_pylist()],
        "suggested_label": [names[label] for label in table["suggested_label"].to_pylist()],
    }.items():
        place = table.column_names.index(column)
        table = table.set_column(place, pa.field(column, pa.string()), pa.array(values))
    write_table(table, run / "queue.parquet")
    entry = read_json(run / "steps" / "ingest.json")
    entry["record"]["classes"] = sorted(names.values())
    write_json(entry, run / "steps" / "ingest.json")
    write_spreadsheet(table, run / "queue.csv")
    finish_run(run)
    return run


ENGLISH = {
    "007": "7",
    "12345678901234567": "1.23457E+16",
    "0.0": "0",
    "1e5": "1.00E+05",
    "true": "TRUE",
    "1.0": "1",
}
GERMAN = {
    "007": "7",
    "12345678901234567": "1,23457E+16",
    "0.0": "0",
    "1e5": "1,00E+05",
    "true": "WAHR",
    "1.0": "1",
}


@pytest.mark.parametrize(
    ("rewritten", "delimiter", "encoding", "first"),
    [
        (ENGLISH, ",", "cp1252", ""),
        (ENGLISH, "\t", "utf-16", ""),
        (GERMAN, ";", "cp1252", "sep=;\r\n"),
        (GERMAN, ";", "utf-8-sig", ""),
    ],
    ids=["English", "Unicode text", "German with sep=", "German, UTF-8"],
)
def test_what_excel_makes_of_ids_and_labels_is_known_again(
    numbered: Path,
    out: Path,
    tmp_path: Path,
    rewritten: dict[str, str],
    delimiter: str,
    encoding: str,
    first: str,
):
    with (numbered / "queue.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = {row["sample_id"]: row["suggested_label"] for row in rows[:5]}
    for row in rows[:5]:
        row |= {"new_label": row["suggested_label"], "comment": "größer"}
    for row in rows:
        row.setdefault("comment", "")
        row |= {
            name: rewritten.get(row[name], row[name]) for name in ("sample_id", "given_label", "new_label")
        }
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    file = tmp_path / "edited.csv"
    file.write_bytes((first + text.getvalue()).encode(encoding))
    assert labelsweep(["import", str(file), "--run", numbered.name, "--out", str(out)]) == 0
    assert {row.sample_id: row.new_label for row in read_log(out)} == wanted
    assert {row.comment for row in read_log(out)} == {"größer"}


def test_an_id_that_two_samples_may_have_had_is_not_guessed(
    numbered: Path, out: Path, tmp_path: Path, capsys
):
    table = pq.read_table(numbered / "queue.parquet")
    ids = ["07", *table["sample_id"].to_pylist()[1:5], "7.0", *table["sample_id"].to_pylist()[6:]]
    write_table(table.set_column(1, "sample_id", pa.array(ids)), numbered / "queue.parquet")
    finish_run(numbered)
    file = saved([{"sample_id": "7", "decision": "drop", "new_label": ""}], tmp_path / "edited.csv")
    assert labelsweep(["import", str(file), "--run", numbered.name, "--out", str(out)]) == 2
    assert "row 2: no sample '7' in this run" in capsys.readouterr().err
    assert read_log(out) == []


def test_a_workbook_offers_the_classes_shows_pictures_and_comes_back(digits: Path, out: Path, tmp_path: Path):
    queue, file = pq.read_table(digits / "queue.parquet"), tmp_path / "queue.xlsx"
    queue = queue.append_column("picture", pa.array([2**60 + 1] * len(queue)))
    classes = [str(number) for number in range(10)]
    write_workbook(queue, classes, VERDICTS, file, queue["image"].to_pylist())
    book = load_workbook(file)
    sheet = book["queue"]
    names = [cell.value for cell in sheet[1]]
    assert len(sheet._images) == min(len(queue), 500)
    assert sheet.cell(2, names.index("picture") + 1).value == str(2**60 + 1), (
        "a cell's numbers are less exact"
    )
    label = sheet.cell(2, names.index("given_label") + 1)
    assert (label.value, label.data_type, label.number_format) == (queue["given_label"][0].as_py(), "s", "@")
    choices = {str(one.sqref).split(":")[0]: one.formula1 for one in sheet.data_validations.dataValidation}
    place = names.index("new_label") + 1
    assert choices[sheet.cell(2, place).coordinate] == "classes!$A$1:$A$10"
    assert [cell.value for cell in book["classes"]["A"]] == classes
    for number in range(2, 5):
        sheet.cell(number, place).value = int(queue["suggested_label"][number - 2].as_py())  # typed: a number
    sheet.cell(5, names.index("decision") + 1).value = "Keep"
    book.save(file)
    assert labelsweep(["import", str(file), "--run", digits.name, "--out", str(out)]) == 0
    assert [row.sample_id for row in read_log(out)] == queue["sample_id"].to_pylist()[:4]
    assert [row.new_label for row in read_log(out)] == [*queue["suggested_label"].to_pylist()[:3], None]


def test_a_cell_of_a_workbook_holds_any_text(wine: Path, tmp_path: Path):
    queue = pq.read_table(wine / "queue.parquet")
    odd = ["=1+1", "bell \x07 and \uffff", "x" * 40_000, *[""] * (len(queue) - 3)]
    place = queue.column_names.index("reason")
    write_workbook(queue.set_column(place, "reason", pa.array(odd)), ["a"], VERDICTS, tmp_path / "queue.xlsx")
    sheet = load_workbook(tmp_path / "queue.xlsx")["queue"]
    column = [cell.value for cell in sheet[1]].index("reason") + 1
    assert [sheet.cell(row, column).value for row in (2, 3)] == ["=1+1", "bell \ufffd and \ufffd"]
    assert sheet.cell(2, column).data_type == "s"
    assert len(sheet.cell(4, column).value) == 32_767


def test_rows_of_equal_content_and_label_that_are_decided_differently_are_named(
    wine: Path, sheet: Rows, imported
):
    queue = pq.read_table(wine / "queue.parquet")
    same = {
        name: queue[name].to_pylist()[:1] * 2 + queue[name].to_pylist()[2:]
        for name in ("content_hash", "given_label")
    }
    for name, values in same.items():
        queue = queue.set_column(queue.schema.get_field_index(name), name, pa.array(values))
    write_table(queue, wine / "queue.parquet")
    first, second = sheet[:2]
    first |= {"decision": "keep"}
    second |= {"decision": "drop", "content_hash": first["content_hash"], "given_label": first["given_label"]}
    code, said, _ = imported([first, second])
    assert code == 0
    names = f"'{first['sample_id']}', '{second['sample_id']}'"
    assert f"rows of equal content and label are decided differently ({names}): the last one counts" in said
