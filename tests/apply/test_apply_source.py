"""The user's own files come back byte for byte, but for the labels that changed and the rows that a reviewer dropped."""

import json
import sqlite3
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.apply.corrected import PLACES
from tasks.apply.plan import Change, Plan
from tasks.apply.source_files import SourceFiles
from tasks.apply.text_files import create
from tasks.ingest import ingest
from tasks.ingest.compression import decompress
from tasks.ingest.source import locate
from tasks.records import Source
from tasks.storage import write_json


def swept(source: Path, run: Path, **options) -> Path:
    """Read a source as a run does, without the sweep."""
    dataset = ingest(Source(uri=str(source), **options), run)
    write_json({"record": dataset.model_dump(mode="json")}, run / "steps" / "ingest.json")
    (run / "config.yaml").write_text(json.dumps(options))
    return run


def corrected(run: Path, changes: dict[int, str | None], folder: Path, **options) -> str:
    """Write the source beside a version with some rows relabelled, or dropped (None); return why it was not."""
    from tasks.runs.finished import read_dataset

    rows = pq.read_table(run / "dataset.parquet", columns=["sample_id", "label", "source_row"]).to_pylist()
    found = [
        Change(row["sample_id"], "", row["label"], changes[row["source_row"]], ("Ada",), (1,))
        for row in rows
        if row["source_row"] in changes
    ]
    assert len(found) == len(changes)
    plan = Plan(tuple(found), (), {}, {}, "majority", {one.sample_id: one for one in found})
    folder.mkdir(exist_ok=True)
    return SourceFiles(run, read_dataset(run), plan, "state", **options).write(folder)


# Each: bytes of a file, what changes by row (None: dropped), and the bytes that are expected.
CSV = {
    "numbers keep how they are written": (
        b"a,b,label\n1.50,007,cat\n1e3,,dog\n-0.0,1,cat\n",
        {0: "dog"},
        b"a,b,label\n1.50,007,dog\n1e3,,dog\n-0.0,1,cat\n",
    ),
    "windows line ends, no end of the last line": (
        b"a,label\r\n1,cat\r\n2,dog\r\n3,cat",
        {0: "dog", 2: None},
        b"a,label\r\n1,dog\r\n2,dog",
    ),
    "rows without a value stay, at the end too": (
        b'a,label\n1,cat\n,\n2,dog\n3,"x\n,\n"\n4,dog\n,\n , \n\n,\n',
        {2: "cat", 4: None},
        b'a,label\n1,cat\n,\n2,cat\n3,"x\n,\n"\n,\n , \n\n,\n',
    ),
    "blank lines stay": (
        b"a,label\n1,cat\n\n2,dog\n3,dog\n\n\n",
        {1: "cat"},
        b"a,label\n1,cat\n\n2,cat\n3,dog\n\n\n",
    ),
    "quotes stay where they are": (
        b'"a","label"\n"1","cat"\n2,dog\n"3",dog\n',
        {0: "dog", 2: "cat"},
        b'"a","label"\n"1","dog"\n2,dog\n"3",cat\n',
    ),
    "a class with a comma is quoted": (
        b'a,label\n1,"cat, big"\n2,dog\n3,"say ""dog"""\n',
        {1: "cat, big", 0: 'say "dog"'},
        b'a,label\n1,"say ""dog"""\n2,"cat, big"\n3,"say ""dog"""\n',
    ),
    "values over several lines": (
        b'a,note,label\n1,"one\ntwo, ""three""\r\n\nfour",cat\n2,5" nail,dog\n3,"",dog\n',
        {0: "dog", 1: "cat", 2: None},
        b'a,note,label\n1,"one\ntwo, ""three""\r\n\nfour",dog\n2,5" nail,cat\n',
    ),
    "byte order mark and umlauts": (
        b'\xef\xbb\xbf"label",a\nB\xc3\xa4r,1\ncat,2\ncat,3\n',
        {1: "Bär", 2: "Übel"},
        b'\xef\xbb\xbf"label",a\nB\xc3\xa4r,1\nB\xc3\xa4r,2\n\xc3\x9cbel,3\n',
    ),
    "headers of joined files": (
        b"a,label\n1,cat\n2,dog\na,label\n3,cat\n4,cat\n5,cat\n",
        {0: "dog", 4: None},
        b"a,label\n1,dog\n2,dog\na,label\n3,cat\n5,cat\n",
    ),
    "truths in several words": (
        b"a,label\n1,1\n2,0\n3,1\n4,0\n5,True\n6,False\n",
        {4: "0"},
        b"a,label\n1,1\n2,0\n3,1\n4,0\n5,0\n6,False\n",
    ),
    "labels with zeros in front, and with a point": (
        b"a,label\n1,01\n2,02\n3,02\n",
        {0: "02"},
        b"a,label\n1,02\n2,02\n3,02\n",
    ),
    "whole numbers beside missing ones": (
        b"a,label\n1,1.0\n2,2.0\n3,\n4,1.0\n",
        {0: "2", 3: None},
        b"a,label\n1,2.0\n2,2.0\n3,\n",
    ),
    "blanks around a class": (
        b"a,label\n1, cat \n2, dog\n3, dog\n",
        {2: " cat "},
        b"a,label\n1, cat \n2, dog\n3, cat \n",
    ),
    "equal rows": (b"a,label\n1,cat\n1,cat\n1,dog\n", {1: "dog"}, b"a,label\n1,cat\n1,dog\n1,dog\n"),
    "semicolons": (b"a;b;label\n1;x,y;cat\n2;x,z;dog\n", {0: "dog"}, b"a;b;label\n1;x,y;dog\n2;x,z;dog\n"),
    "windows letters": (
        "a,note,label\r\n1,Käse,Bär\r\n2,Öl,Luchs\r\n3,Übel,Bär\r\n4,Größe,Luchs\r\n".encode("cp1252"),
        {1: "Bär"},
        "a,note,label\r\n1,Käse,Bär\r\n2,Öl,Bär\r\n3,Übel,Bär\r\n4,Größe,Luchs\r\n".encode("cp1252"),
    ),
    "sixteen bits a letter": (
        "a\tlabel\r\n1\tBär\r\n2\t猫\r\n3\t猫".encode("utf-16"),
        {0: "猫", 2: None},
        "a\tlabel\r\n1\t猫\r\n2\t猫".encode("utf-16"),
    ),
    "lines before the header, and a comma behind each row": (
        b"sep=,\n# made on Monday, by hand\n\na,label\n1,cat,\n2,dog,\n3,dog,\n",
        {1: "cat", 2: None},
        b"sep=,\n# made on Monday, by hand\n\na,label\n1,cat,\n2,cat,\n",
    ),
    "names that occur twice": (
        b"a,b,a,label\n1,2,3,cat\n4,5,6,dog\n",
        {0: "dog"},
        b"a,b,a,label\n1,2,3,dog\n4,5,6,dog\n",
    ),
    "what stands around the table": (
        b"Device;A7\r\nMade in May\r\n\r\na;b;label\r\nmm;s;\r\n"
        + b"1;2;cat\r\n" * 30
        + b"3;4;dog\r\n\r\n(31 rows)",
        {1: "dog", 30: None},
        b"Device;A7\r\nMade in May\r\n\r\na;b;label\r\nmm;s;\r\n1;2;cat\r\n1;2;dog\r\n"
        + b"1;2;cat\r\n" * 28
        + b"\r\n(31 rows)",
    ),
    "the index of pandas": (b",a,label\n0,1,cat\n1,2,dog\n", {1: "cat"}, b",a,label\n0,1,cat\n1,2,cat\n"),
}


@pytest.mark.parametrize("name", CSV)
def test_a_csv_file_comes_back_byte_for_byte(tmp_path, name):
    before, changes, after = CSV[name]
    (tmp_path / "pets.csv").write_bytes(before)
    assert corrected(swept(tmp_path / "pets.csv", tmp_path / "run"), changes, tmp_path / "v1") == ""
    assert (tmp_path / "v1" / "source" / "pets.csv").read_bytes() == after


def test_a_file_without_a_header_comes_back_without_one(tmp_path):
    rows = [f"{n / 8},{n},{'cat' if n % 2 else 'dog'}" for n in range(40)]
    (tmp_path / "pets.csv").write_text("\n".join(rows))
    assert (
        corrected(swept(tmp_path / "pets.csv", tmp_path / "run", label="c2"), {0: "cat"}, tmp_path / "v1")
        == ""
    )
    expected = "\n".join(["0.0,0,cat", *rows[1:]])
    assert (tmp_path / "v1" / "source" / "pets.csv").read_text() == expected


def test_a_label_that_the_encoding_does_not_have_is_said(tmp_path):
    (tmp_path / "pets.csv").write_bytes("a,label\n1,Bär\n2,Luchs\n".encode("cp1252"))
    run = swept(tmp_path / "pets.csv", tmp_path / "run", encoding="cp1252")
    said = corrected(run, {0: "猫"}, tmp_path / "v1")
    assert said == "Your own files were not written: the label '猫' cannot be written in cp1252\n"
    assert not list((tmp_path / "v1").iterdir())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("name", ["pets.jsonl", "pets.json"])
def test_json_keeps_its_encoding_and_its_byte_order_mark(tmp_path, encoding, name):
    lines = ['{"a": 1, "label": "Bär"}', '{"a": 2, "label": "Luchs"}']
    before, after = (
        f"[{', '.join(rows)}]" if name.endswith("json") else "\n".join(rows) + "\n"
        for rows in (lines, [lines[0].replace("Bär", "Luchs"), lines[1].replace("Luchs", "Bär")])
    )
    (tmp_path / name).write_bytes(before.encode(encoding))
    run = swept(
        tmp_path / name, tmp_path / "run", **({} if encoding == "utf-8-sig" else {"encoding": encoding})
    )
    assert corrected(run, {0: "Luchs", 1: "Bär"}, tmp_path / "v1") == ""
    assert (tmp_path / "v1" / "source" / name).read_bytes() == after.encode(encoding)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_what_was_compressed_is_compressed_again(tmp_path, suffix):
    path = tmp_path / f"pets.csv{suffix}"
    with create(path) as file:
        file.write(b"a,label\n1,cat\n2,dog\n")
    assert corrected(swept(path, tmp_path / "run"), {1: "cat"}, tmp_path / "v1") == ""
    (part,) = locate(str(tmp_path / "v1" / "source" / path.name))
    with part.open() as raw, decompress(raw, suffix) as file:
        assert file.read() == b"a,label\n1,cat\n2,cat\n"


def test_an_archive_comes_back_with_all_that_is_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "pets.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pets/README.md", "# Pets\n")
        archive.writestr("pets/b.csv", "a,label\n1,cat\n2,dog\n")
        archive.writestr("pets/a.csv", "a,label\n3,cat\n4,dog\n")
    run = swept(tmp_path / "pets.zip", tmp_path / "run")
    assert corrected(run, {0: "dog", 3: None}, tmp_path / "v1") == ""
    (file,) = (tmp_path / "v1").rglob("*.*")
    with zipfile.ZipFile(file) as found, zipfile.ZipFile(tmp_path / "pets.zip") as before:
        assert [one.filename for one in found.infolist()] == [one.filename for one in before.infolist()]
        assert [one.date_time for one in found.infolist()] == [one.date_time for one in before.infolist()]
        assert found.read("pets/README.md") == b"# Pets\n"
        assert found.read("pets/a.csv") == b"a,label\n3,dog\n4,dog\n"
        assert found.read("pets/b.csv") == b"a,label\n1,cat\n"


JSON_LINES = {
    "escapes, floats and the order of keys": (
        b'{"label": "caf\\u00e9", "a": 1.50, "n": {"label": 1}}\n{ "a":1e2 ,"label" :"tea"}\r\n\n{"a":3,"label":"tea"}',
        {1: "café", 2: None},
        b'{"label": "caf\\u00e9", "a": 1.50, "n": {"label": 1}}\n{ "a":1e2 ,"label" :"caf\\u00e9"}\r\n',
    ),
    "letters as they are": (
        '{"a": 1, "label": "Bär"}\n{"a": 2, "label": "Katze"}\n'.encode(),
        {0: "Übel"},
        '{"a": 1, "label": "Übel"}\n{"a": 2, "label": "Katze"}\n'.encode(),
    ),
    "numbers": (
        b'{"a": 1, "label": 0}\n{"a": 2, "label": 1}\n{"a": 3, "label": 1}',
        {0: "1", 1: "7"},
        b'{"a": 1, "label": 1}\n{"a": 2, "label": 7}\n{"a": 3, "label": 1}',
    ),
    "a label within an object": (
        b'{"x": "label", "meta": {"n": [{"label": 2}], "label": "cat"}, "a": 1}\n{"meta": {"label": "dog"}, "a": 2}\n',
        {0: "dog"},
        b'{"x": "label", "meta": {"n": [{"label": 2}], "label": "dog"}, "a": 1}\n{"meta": {"label": "dog"}, "a": 2}\n',
    ),
    "a list of one label": (
        b'{"a": 1, "label": [ "cat" ]}\n{"a": 2, "label": ["dog"]}\n{"a": 3, "label": []}\n',
        {0: "dog", 1: "owl"},
        b'{"a": 1, "label": [ "dog" ]}\n{"a": 2, "label": ["owl"]}\n{"a": 3, "label": []}\n',
    ),
    "a label in the only object of a list": (
        b'{"a": 1, "meta": [ {"n": 1, "label": "cat"} ]}\n{"a": 2, "meta": [{"label": "dog"}]}\n{"a": 3, "meta": []}\n',
        {0: "dog", 1: "owl"},
        b'{"a": 1, "meta": [ {"n": 1, "label": "dog"} ]}\n{"a": 2, "meta": [{"label": "owl"}]}\n{"a": 3, "meta": []}\n',
    ),
    "truth values, and one that is missing": (
        b'{"a": 1, "label": true}\n{"a": 2, "label": false}\n{"a": 3}\n{"a": 4, "label": null}\n',
        {0: "false"},
        b'{"a": 1, "label": false}\n{"a": 2, "label": false}\n{"a": 3}\n{"a": 4, "label": null}\n',
    ),
    "labels as numbers and as text": (
        b'{"a": 1, "label": "0"}\n{"a": 2, "label": 1}\n{"a": 3, "label": 0}\n{"a": 4, "label": "1"}\n{"a": NaN, "label": 1}\n',
        {1: "0", 3: "0"},
        b'{"a": 1, "label": "0"}\n{"a": 2, "label": 0}\n{"a": 3, "label": 0}\n{"a": 4, "label": "0"}\n{"a": NaN, "label": 1}\n',
    ),
}


@pytest.mark.parametrize("name", JSON_LINES)
def test_json_lines_come_back_byte_for_byte(tmp_path, name):
    before, changes, after = JSON_LINES[name]
    path = tmp_path / "pets.jsonl"
    path.write_bytes(before)
    label = "meta.label" if b"meta" in before else "label"
    run = swept(path, tmp_path / "run", features=["a"], label=label)
    assert corrected(run, changes, tmp_path / "v1") == ""
    assert (tmp_path / "v1" / "source" / path.name).read_bytes() == after


DOCUMENTS = {
    "a list deep in a document": (
        b'{"took": 3, "hits": {"n": {"a": 1}, "hits": [{"a": 1, "label": "cat"}, {"a": 2, "label": "dog"}]}, "end": [1]}',
        {0: "dog"},
        b'{"took": 3, "hits": {"n": {"a": 1}, "hits": [{"a": 1, "label": "dog"}, {"a": 2, "label": "dog"}]}, "end": [1]}',
    ),
    "an array": (
        b'\xef\xbb\xbf[\n  {"a": 1.0, "label": "cat"},\n  {"a": 2, "label": "dog"} ,\n  {"a": 3e1, "label": "dog"}\n]\n',
        {1: "cat", 2: None},
        b'\xef\xbb\xbf[\n  {"a": 1.0, "label": "cat"},\n  {"a": 2, "label": "cat"}\n]\n',
    ),
    "an array whose first rows go": (
        b'[{"a": 1, "label": "cat"}, {"a": 2, "label": "dog"}, {"a": 3, "label": "dog"}]',
        {0: None, 1: None, 2: "cat"},
        b'[{"a": 3, "label": "cat"}]',
    ),
    "a list in a document": (
        b'{"version": 1.10, "data": [{"a": 1, "label": "cat"}, {"a": 2, "label": "dog"}], "by": "A\\u00e9"}',
        {0: "dog"},
        b'{"version": 1.10, "data": [{"a": 1, "label": "dog"}, {"a": 2, "label": "dog"}], "by": "A\\u00e9"}',
    ),
    "objects one after the other": (
        b'{\n "a": 1,\n "label": "cat"\n}\n{\n "a": 2,\n "label": "dog"\n}\n',
        {0: "dog"},
        b'{\n "a": 1,\n "label": "dog"\n}\n{\n "a": 2,\n "label": "dog"\n}\n',
    ),
    "lines": (
        b'{"a": 1, "label": "cat"}\n{"a": 2, "label": "dog"}\n',
        {0: None},
        b'{"a": 2, "label": "dog"}\n',
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_json_document_comes_back_byte_for_byte(tmp_path, name, monkeypatch):
    before, changes, after = DOCUMENTS[name]
    (tmp_path / "pets.json").write_bytes(before)
    monkeypatch.setattr("tasks.ingest.text.json_values.CHUNK", 16)  # objects longer than what is read at once
    assert corrected(swept(tmp_path / "pets.json", tmp_path / "run"), changes, tmp_path / "v1") == ""
    assert (tmp_path / "v1" / "source" / "pets.json").read_bytes() == after


def test_a_json_table_by_columns_is_not_written_and_that_is_said(tmp_path):
    (tmp_path / "pets.json").write_text('{"a": [1, 2, 3], "label": ["cat", "dog", "dog"]}')
    said = corrected(swept(tmp_path / "pets.json", tmp_path / "run"), {0: "dog"}, tmp_path / "v1")
    assert "pets.json: only JSON with an object for each row is written again; take the labels" in said


def test_a_label_within_an_object_of_parquet_is_not_written_and_that_is_said(tmp_path):
    rows = [{"a": n, "meta": {"label": "cat" if n else "dog"}} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pets.parquet")
    run = swept(tmp_path / "pets.parquet", tmp_path / "run", label="meta.label")
    said = corrected(run, {0: "cat"}, tmp_path / "v1")
    assert "pets.parquet: the label 'meta.label' lies within an object; take the labels" in said


def test_a_label_that_is_no_number_is_not_written_among_numbers(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1, "label": 0}\n{"a": 2, "label": 1}\n')
    said = corrected(swept(tmp_path / "t.jsonl", tmp_path / "run"), {0: "many"}, tmp_path / "v1")
    assert said == "Your own files were not written: the label 'many' is not a value like 0\n"
    assert list((tmp_path / "v1").iterdir()) == []


def test_every_file_of_a_folder_comes_back_and_rows_are_counted_over_all(tmp_path):
    folder = tmp_path / "pets"
    (folder / "b").mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"a,label\n1,cat\n2,dog\n")
    (folder / "b" / "c.csv").write_bytes(b"label;a\ncat;3\ncat;4\n")
    assert corrected(swept(folder, tmp_path / "run"), {1: None, 3: "dog"}, tmp_path / "v1") == ""
    assert (tmp_path / "v1" / "source" / "a.csv").read_bytes() == b"a,label\n1,cat\n"
    assert (tmp_path / "v1" / "source" / "b" / "c.csv").read_bytes() == b"label;a\ncat;3\ndog;4\n"


def test_a_second_version_holds_the_corrections_of_both_also_beside_rows_that_were_set_aside(tmp_path):
    path = tmp_path / "pets.csv"
    path.write_bytes(b"a,label\n1,cat\n2,\n3,dog\n4,dog\n5,cat\n")
    run = swept(path, tmp_path / "run")
    aside = pq.read_table(run / "dataset.parquet")
    pq.write_table(aside.filter(aside["label"].is_valid()), run / "dataset.parquet")
    version = tmp_path / "v0001"
    assert corrected(run, {0: None, 2: "cat"}, version) == ""
    assert (version / "source" / "pets.csv").read_bytes() == b"a,label\n2,\n3,cat\n4,dog\n5,cat\n"
    assert pq.read_table(version / PLACES)["row"].to_pylist() == [1, 2, 3]
    # What the command writes beside it: canonical data without the dropped row.
    kept = pq.read_table(run / "dataset.parquet").slice(1)
    labels = ["cat", "dog", "cat"]
    pq.write_table(kept.set_column(1, "label", [labels]), version / "dataset.parquet")
    write_json({"source_label": "label", "source_uri": str(path)}, version / "version.json")
    again = swept(version / "dataset.parquet", tmp_path / "again", id="sample_id", features=["a"])
    assert corrected(again, {1: "cat", 2: None}, tmp_path / "v0002") == ""
    assert (tmp_path / "v0002" / "source" / "pets.csv").read_bytes() == b"a,label\n2,\n3,cat\n4,cat\n"


@pytest.mark.parametrize(
    "now",
    [
        b"a,label\n1,cat\n2,dog\n3,dog\n4,cat\n",  # a row more
        b"a,label\n2,dog\n1,cat\n3,dog\n",  # another order
        b"a,label\n1,cat\n2,cat\n3,dog\n",  # another label
        b"a,kind\n1,cat\n2,dog\n3,dog\n",  # another column
        b"a,label\n1,cat\n",
    ],
)
def test_a_source_that_changed_is_not_written(tmp_path, now):
    path = tmp_path / "pets.csv"
    path.write_bytes(b"a,label\n1,cat\n2,dog\n3,dog\n")
    run = swept(path, tmp_path / "run")
    path.write_bytes(now)
    said = corrected(run, {0: "dog"}, tmp_path / "v1")
    assert "the source has changed since it was swept; sweep it again, then apply" in said
    assert said.count("\n") == 1
    assert list((tmp_path / "v1").iterdir()) == []


def test_what_a_query_returned_is_said_not_to_be_written_back(tmp_path):
    with sqlite3.connect(tmp_path / "pets.db") as connection:
        connection.execute("CREATE TABLE pets (a REAL, label TEXT)")
        connection.executemany("INSERT INTO pets VALUES (?, ?)", [(1.5, "cat"), (2.5, "dog"), (0.5, "cat")])
    connection.close()
    run = swept(f"sqlite:///{tmp_path}/pets.db?query=SELECT * FROM pets", tmp_path / "run")  # noqa: S608
    said = corrected(run, {0: "dog"}, tmp_path / "version")
    assert said.count("\n") == 1
    assert "the result of a query cannot be written back; take the labels from" in said
    assert not list((tmp_path / "version").iterdir())
