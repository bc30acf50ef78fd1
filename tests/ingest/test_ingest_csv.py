"""CSV as the world writes it: encodings, delimiters, what stands before the header, and headers that are odd or missing."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.ingest.formats.csv import open_part
from tasks.ingest.source import locate
from tasks.ingest.text.dialect import Dialect
from tasks.records import Dataset, Source

ROWS = 40
COLOURS = ["grün", "weiß", "schön"]


def table(delimiter: str = ",", end: str = "\n", colours: list[str] = COLOURS) -> str:
    """Return a table of two numbers and a colour."""
    rows = [["size", "weight", "label"]]
    rows += [[str(n), f"{n / 8}", colours[n % len(colours)]] for n in range(ROWS)]
    return "".join(delimiter.join(row) + end for row in rows)


def written(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(tmp_path: Path, content: str | bytes, **options: object) -> Dataset:
    return ingest(Source(uri=str(written(tmp_path, content)), **options), tmp_path / "run")


def dialect_of(path: Path, needed: frozenset[str] = frozenset({"label"})) -> Dialect:
    return open_part(locate(str(path))[0], needed).dialect


def features(dataset: Dataset) -> np.ndarray:
    return np.array(pq.read_table(dataset.path)["features"].to_pylist(), np.float32)


WANTED = np.array([[n, n / 8] for n in range(ROWS)], np.float32)


def check(dataset: Dataset, colours: list[str] = COLOURS) -> None:
    """Check that a data set is the table."""
    np.testing.assert_array_equal(features(dataset), WANTED)
    assert dataset.classes == tuple(sorted(colours))
    assert pq.read_table(dataset.path)["label"].to_pylist()[:3] == colours


def test_headers_of_joined_files_and_empty_rows_hold_nothing(tmp_path):
    head, *rows = table().splitlines(keepends=True)
    rows = [f"{number},{row}" for number, row in enumerate(rows)]
    head = f"id,{head}"
    dataset = read(tmp_path, "".join([head, *rows[:20], head, *rows[20:30], head, *rows[30:], ",,,\n" * 300]))
    assert dataset.notes[:2] == (
        "2 rows repeat the header, as where files were joined, and count as empty",
        "column 'id' identifies the samples; --id names another",
    )
    assert dataset.classes == tuple(sorted(COLOURS))
    found = pq.read_table(dataset.path)
    empty = [20, 31]  # those at the end are no rows
    assert [row for row, label in enumerate(found["label"].to_pylist()) if label is None] == empty
    np.testing.assert_array_equal(np.delete(features(dataset), empty, axis=0), WANTED)


@pytest.mark.parametrize(
    ("encoding", "colours"),
    [
        ("cp1252", COLOURS),
        ("latin-1", COLOURS),
        ("cp1250", ["żółty", "łąka", "jaźń"]),
        ("cp1251", ["красный", "жёлтый", "зелёный"]),
        ("shift_jis", ["赤い", "青い", "良い"]),
        ("gb18030", ["红色", "蓝色", "正面"]),
        ("utf-16", COLOURS),
        ("utf-16-le", COLOURS),
        ("utf-8-sig", COLOURS),
    ],
)
def test_encodings_are_found_out_and_said(encoding, colours, tmp_path):
    dataset = read(tmp_path, table(colours=colours).encode(encoding))
    check(dataset, colours)
    assert bool(dataset.notes) is not encoding.startswith("utf-")
    assert all(f"as in '{colours[0]}'; --encoding names another" in note for note in dataset.notes)


def test_a_named_encoding_is_believed(tmp_path):
    text = table(colours=["вода", "огонь", "земля"]).encode("koi8-r")
    dataset = read(tmp_path, text, encoding="koi8-r")
    check(dataset, ["вода", "огонь", "земля"])
    assert not dataset.notes
    with pytest.raises(InputError, match=r"t.csv: line 2: byte 0x.. .* is not UTF-8; .* --encoding"):
        read(tmp_path, text, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"t.csv: its text is not utf-16 .*name its encoding with --encoding"
    ):
        read(tmp_path, table().encode("cp1252"), encoding="utf-16")


def test_utf8_with_a_damaged_character_is_refused_and_not_read_as_something_else(tmp_path):
    text = table().encode().replace("weiß".encode(), b"wei\xc3", 1)
    with pytest.raises(InputError, match=r"t.csv: line 3: byte 0xc3 at position .* is not UTF-8"):
        read(tmp_path, text)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found_out(delimiter, end, tmp_path):
    path = written(tmp_path, table(delimiter, end))
    check(ingest(Source(uri=str(path)), tmp_path / "run"))
    assert dialect_of(path) == Dialect("utf-8", delimiter, 0, 1, ("size", "weight", "label"))


@pytest.mark.parametrize(
    ("before", "lines"),
    [("sep=;\n", 1), ("SEP=;\r\n", 1), ("# made by hand\n# on a Monday; and later\n\n", 3), ("\n\n", 2)],
)
def test_what_stands_before_the_header_is_skipped(before, lines, tmp_path):
    path = written(tmp_path, before + table(";"))
    check(ingest(Source(uri=str(path)), tmp_path / "run"))
    assert (dialect_of(path).skipped_lines, dialect_of(path).header_lines) == (lines, 1)


def test_a_header_behind_a_comment_mark_is_a_header(tmp_path):
    check(read(tmp_path, "# by hand\n#" + table()))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], *(f"{line}," for line in lines[1:])],
        lambda lines: [f"{line}," for line in lines],
        lambda lines: [f"{lines[0]},", *lines[1:]],
    ],
    ids=["rows", "header and rows", "header"],
)
def test_a_surplus_delimiter_at_the_end_of_lines_is_no_column(change, tmp_path):
    check(read(tmp_path, "\n".join(change(table().splitlines())) + "\n"))


def test_a_surplus_delimiter_with_something_behind_it_is_a_broken_row(tmp_path):
    lines = table().splitlines()
    text = "\n".join([lines[0], *(f"{line}," for line in lines[1:]), "1,2,weiß,odd"])
    with pytest.raises(InputError, match=f"line {ROWS + 2} has 4 fields, the header has 3"):
        read(tmp_path, text)


def test_headers_with_blanks_and_line_breaks_are_read(tmp_path):
    text = table().replace("size,weight,label", ' size,"weight\nin kg", label ')
    dataset = read(tmp_path, text)
    check(dataset)
    assert dataset.feature_names == ("size", "weight\nin kg")
    assert dialect_of(tmp_path / "t.csv").header_lines == 2


def test_names_that_stand_twice_are_made_different_and_said(tmp_path):
    dataset = read(tmp_path, table().replace("size,weight", "size,size"))
    assert dataset.feature_names == ("size", "size.1")
    assert dataset.notes == ("t.csv has several columns named 'size': a later one is now 'size.1'",)
    with pytest.raises(InputError, match="2 columns are named 'label'; rename one of them"):
        read(tmp_path, table().replace("size,", "label,"))


def test_a_column_without_a_name_is_read_unless_it_numbers_the_rows(tmp_path):
    lines = [f"{n},{n % 7},{n % 3},{'ab'[n % 2]}," for n in range(40)]
    (tmp_path / "t.csv").write_text("\n".join([",x,,label,", *lines]))
    found = ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")
    assert found.feature_names == ("x", "column 3")
    assert found.notes == ("t.csv has a column without a name: it is now 'column 3'",)


def test_a_user_who_names_a_place_says_that_there_is_no_header(tmp_path):
    lines = [f'{1 + n % 2},"Title {n}","Many words about the news of day {n}"' for n in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = ingest(Source(uri=str(tmp_path / "t.csv"), label="c0", text="c2"), tmp_path / "run")
    assert (found.rows, found.classes) == (40, ("1", "2"))


def test_a_table_without_header_is_read_when_every_column_says_so(tmp_path):
    rows = table().split("\n", 1)[1]
    dataset = read(tmp_path, rows, label="c2")
    check(dataset)
    assert dataset.feature_names == ("c0", "c1")
    assert dataset.notes == (
        "t.csv has no header: its first line is data, and its columns are named c0 to c2",
    )
    with pytest.raises(InputError, match=r"it has no header, and its columns are named c0 to c2.*--label c2"):
        read(tmp_path, rows)


@pytest.mark.parametrize(
    "header",
    ["0,1,label", "2019,2020,label", "400.5,410.5,label", "x,y,label"],
)
def test_numbers_may_be_names(header, tmp_path):
    dataset = read(tmp_path, table().replace("size,weight,label", header))
    check(dataset)
    assert dataset.feature_names == tuple(header.split(",")[:2])
    assert not dataset.notes


@pytest.mark.parametrize("titles", [True, False], ids=["AG News", "Yelp"])
def test_a_class_number_beside_sentences_is_no_header(titles, tmp_path):
    rows = [
        (1 + n % 4, *([f"Title {n} of a story"] * titles), f"A text that says {n} things, and more of them")
        for n in range(60)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", header=False, index=False, quoting=1)
    with pytest.raises(InputError, match=r"it has no header, .* such as --label c0, or write a header"):
        ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")
    assert ingest(Source(uri=str(tmp_path / "t.csv"), label="c0"), tmp_path / "run").rows == 60
    pd.DataFrame(rows).to_csv(tmp_path / "named.csv", index=False)
    assert ingest(Source(uri=str(tmp_path / "named.csv"), label="0"), tmp_path / "run").rows == 60


def test_a_first_row_with_an_empty_field_may_be_data(tmp_path):
    rows = [
        f"{'abc'[n % 3]}04\t{n % 2}\t{'*' * (n % 2)}\tA sentence with the number {n} in it."
        for n in range(60)
    ]
    (tmp_path / "cola.tsv").write_text("\n".join(rows) + "\n")
    assert ingest(Source(uri=str(tmp_path / "cola.tsv"), label="c1"), tmp_path / "run").rows == 60


TABLE = "x,y,label\n" + "".join(f"{row / 4},{row % 7},{'ab'[row % 2]}\n" for row in range(40))


@pytest.mark.parametrize(
    ("above", "below", "behind"),
    [
        ("Exported by the laboratory\n\n", "", ""),
        ("Device,HOBO U12\nInterval,10 s\n\n", "", ""),
        ("Soil samples,,\n,,\n", "", ""),
        ('"TOA5","CR1000","12345","CPU:prog.CR1"\n', "Deg C,mg/L,\nAvg,Smp,Smp\n", ""),
        ("", "[mm],[-],\n", ""),
        ("", "", "\nSource: the office\nNote: provisional, as all is\n"),
        ("", "", ",,\nSource: the office,,\n"),
        ("Well 7\n", "m,s,\n", "\n(40 rows)\n"),
    ],
    ids=["title", "settings", "padded title", "logger", "units", "notes", "padded note", "all"],
)
@pytest.mark.parametrize("form", ["utf-8", "utf-16", "gz"])
def test_what_stands_around_a_table_is_said_not_read_and_written_again(above, below, behind, form, tmp_path):
    header, rows = TABLE.split("\n", 1)
    text = f"{above}{header}\n{below}{rows}{behind}"
    path = tmp_path / ("t.csv.gz" if form == "gz" else "t.csv")
    path.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode(form))
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    assert (dataset.rows, dataset.classes, dataset.feature_names) == (40, ("a", "b"), ("x", "y"))
    assert sum("the names of the columns" in note for note in dataset.notes) == bool(above) + bool(below)
    assert any("behind the rows" in note for note in dataset.notes) == bool(behind)


@pytest.mark.parametrize("end", ["3\n", "\n3\n4,5,a\n", "1,2,a\n3"])
def test_a_broken_row_at_the_end_is_no_note(end, tmp_path):
    (tmp_path / "t.csv").write_text(TABLE + end)
    with pytest.raises(InputError, match="has 1 field, the header has 3"):
        ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")


def test_a_blank_line_within_the_last_value_is_part_of_it(tmp_path):
    rows = "".join(f'"a text number {row}\n\nof two parts",{"ab"[row % 2]}\n' for row in range(40))
    (tmp_path / "t.csv").write_text("text,label\n" + rows)
    assert ingest(Source(uri=str(tmp_path / "t.csv"), text="text"), tmp_path / "run").rows == 40
