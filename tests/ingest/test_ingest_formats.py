"""The same data give the same canonical file, whatever format, place or division into parts they come in."""

import gzip
import json
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from tasks.errors import InputError
from tasks.ingest import ingest, make_short_name
from tasks.memory import read_peak_memory, reset_peak_memory
from tasks.records import Source
from tasks.storage import ROWS_PER_GROUP

ROWS = 500


def example() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "key": [f"k{i:03d}" for i in range(ROWS)],
            "size": rng.normal(size=ROWS).round(3),
            "count": rng.integers(0, 1000, ROWS),
            "wild": rng.random(ROWS) < 0.5,
            "title": [f'a "quoted", {i}' for i in range(ROWS)],
            "label": rng.choice(["cat", "dog", "Füchsin"], ROWS),
        }
    )


def write_as(frame: pd.DataFrame, path: Path) -> Path:  # noqa: C901 (one branch a format)
    name = path.name
    if name.endswith(".zip"):
        write_as(frame, path.with_suffix(""))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path.with_suffix(""), f"folder/{path.stem}")
            archive.writestr("__MACOSX/folder/._e.csv", b"not data")
            archive.writestr("folder/README.md", b"not data")
    elif name.endswith(".zst"):
        plain = write_as(frame, path.with_suffix("")).read_bytes()
        half = len(plain) // 2  # two frames, as parallel writers make them
        packed = [pa.compress(piece, codec="zstd", asbytes=True) for piece in (plain[:half], plain[half:])]
        path.write_bytes(b"".join(packed))
    elif name.endswith((".parquet", ".pq")):
        frame.to_parquet(path, row_group_size=130)
    elif ".csv" in name:
        frame.to_csv(path, index=False)
    elif ".tsv" in name:
        frame.to_csv(path, index=False, sep="\t")
    elif name.endswith((".xlsx", ".ods")):
        frame.to_excel(path, index=False)
    elif ".json" in name and "jsonl" not in name:
        frame.to_json(path, orient=name.split(".")[0], lines=name.startswith("records.lines"))
    elif "jsonl" in name or "ndjson" in name:
        frame.to_json(path, orient="records", lines=True)
    elif name.endswith(".feather"):
        feather.write_feather(frame, str(path))
    elif name.endswith("stream.arrow"):
        table = pa.Table.from_pandas(frame)
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=97)
    else:
        table = pa.Table.from_pandas(frame)
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=97)
    return path


def rows_of(dataset) -> list[dict[str, object]]:
    return pq.read_table(dataset.path).to_pylist()


FORMATS = [
    "e.parquet",
    "e.pq",
    "e.csv",
    "e.csv.gz",
    "e.csv.bz2",
    "e.csv.xz",
    "e.csv.zst",
    "e.csv.zip",
    "e.parquet.zip",
    "e.tsv",
    "e.tsv.gz",
    "e.jsonl",
    "e.ndjson",
    "e.jsonl.gz",
    "e.jsonl.xz",
    "records.json",
    "records.lines.json",
    "records.json.gz",
    "columns.json",
    "index.json",
    "split.json",
    "e.xlsx",
    "e.feather",
    "e.arrow",
    "stream.arrow",
]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("key", [None, "key"])
def test_every_format_gives_the_same_rows(name, key, tmp_path):
    reference = ingest(Source(uri=str(write_as(example(), tmp_path / "ref.parquet")), id=key), tmp_path / "a")
    dataset = ingest(Source(uri=str(write_as(example(), tmp_path / name)), id=key), tmp_path / "b")
    assert rows_of(dataset) == rows_of(reference)
    assert pq.read_schema(dataset.path).equals(pq.read_schema(reference.path))
    assert dataset.digest == reference.digest
    assert dataset.classes == ("Füchsin", "cat", "dog")
    assert (dataset.rows, dataset.payload) == (ROWS, "tabular")
    assert dataset.feature_names == ("size", "count", "wild")
    assert dataset.feature_shape == (3,)


def test_features_are_the_numbers_of_the_source(tmp_path):
    frame = example()
    dataset = ingest(Source(uri=str(write_as(frame, tmp_path / "e.csv"))), tmp_path / "run")
    table = pq.read_table(dataset.path)
    assert table.schema.field("features").type == pa.list_(pa.float32(), 3)
    expected = frame[["size", "count", "wild"]].to_numpy(np.float32)
    np.testing.assert_array_equal(np.array(table["features"].to_pylist(), np.float32), expected)
    assert table["source_row"].to_pylist() == list(range(ROWS))
    assert table["label"].to_pylist() == frame["label"].tolist()


@pytest.mark.parametrize("name", ["{}.parquet", "sub{}/part.parquet", "{}.csv.gz", "{}.jsonl", "{}.arrow"])
def test_a_folder_of_parts_is_their_rows_in_the_order_of_names(name, tmp_path):
    frame = example()
    whole = ingest(Source(uri=str(write_as(frame, tmp_path / "whole.parquet"))), tmp_path / "a")
    folder = tmp_path / "My Parts"
    for number, start in enumerate(range(0, ROWS, 200)):
        path = folder / name.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_as(frame[start : start + 200].reset_index(drop=True), path)
    (folder / "_SUCCESS").touch()
    (folder / "README.md").write_text("not data")
    (folder / ".hidden.parquet").write_bytes(b"nonsense")
    parts = ingest(Source(uri=str(folder)), tmp_path / "b")
    assert rows_of(parts) == rows_of(whole)
    assert parts.name == "my-parts"


def test_parts_may_differ_in_width_of_numbers_and_in_columns(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(pa.table({"x": pa.array([1, 2], pa.int32()), "label": ["a", "b"]}), folder / "1.parquet")
    pq.write_table(pa.table({"label": ["a"], "x": [0.5], "note": ["new"]}), folder / "2.parquet")
    dataset = ingest(Source(uri=str(folder)), tmp_path / "run")
    assert dataset.notes == ("'note' is not in 1.parquet, and counts as missing there",)
    table = pq.read_table(dataset.path)
    assert table["features"].to_pylist() == [[1.0], [2.0], [0.5]]
    assert table["note"].to_pylist() == [None, None, "new"]


@pytest.mark.parametrize("name", ["e.parquet", "e.csv.gz", "e.jsonl", "e.feather"])
def test_any_fsspec_url_is_read(name, tmp_path):
    local = write_as(example(), tmp_path / name)
    with fsspec.open(f"memory://bucket/{name}", "wb") as file:
        file.write(local.read_bytes())
    here = ingest(Source(uri=str(local)), tmp_path / "a")
    there = ingest(Source(uri=f"memory://bucket/{name}"), tmp_path / "b")
    assert rows_of(there) == rows_of(here)


def test_a_remote_folder_of_parts_is_read(tmp_path):
    local = write_as(example(), tmp_path / "e.parquet")
    for number in range(2):
        with fsspec.open(f"memory://parts/{number}.parquet", "wb") as file:
            file.write(local.read_bytes())
    assert ingest(Source(uri="memory://parts"), tmp_path / "run").rows == 2 * ROWS


def test_a_file_url_and_a_relative_path_are_local(tmp_path, monkeypatch):
    path = write_as(example(), tmp_path / "e.csv")
    monkeypatch.chdir(tmp_path)
    a = ingest(Source(uri=path.as_uri()), tmp_path / "a")
    b = ingest(Source(uri="e.csv"), tmp_path / "b")
    assert a.digest == b.digest


def test_a_saved_hugging_face_data_set_is_read_without_its_caches(tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    write_as(example(), folder / "data-00000-of-00001.stream.arrow")
    write_as(example(), folder / "cache-123.arrow")
    (folder / "state.json").write_text("{}")
    assert ingest(Source(uri=str(folder)), tmp_path / "run").rows == ROWS


# Text formats have no types of their own


def test_types_of_csv_columns_do_not_depend_on_where_a_value_stands(tmp_path):
    pad = "p" * 1000  # so that the file is longer than what is read at once
    rows = [f"1,2,true,5,{pad},a"] * 10_000 + ["1.5,word,maybe,1,q,b"]
    path = tmp_path / "late.csv"
    path.write_text("x,y,z,w,pad,label\n" + "\n".join(rows) + "\n")
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    assert dataset.feature_names == ("x", "w")
    last = pq.read_table(dataset.path).slice(10_000).to_pylist()[0]
    assert last["features"] == [1.5, 1.0]
    assert last["y"] == "word"
    assert last["z"] == "maybe"


def test_truth_values_before_numbers_are_text(tmp_path):
    path, pad = tmp_path / "mixed.csv", "p" * 1000  # so that the file is longer than what is read at once
    path.write_text(
        "x,z,label\n"
        + "".join(f"1,true,{pad}{c}\n2,false,{pad}{c}\n" for c in "ab") * 2_500
        + f"3,7,{pad}a\n"
    )
    _, z = ingest(Source(uri=str(path)), tmp_path / "run").columns
    assert (z.name, z.kind, z.categories) == ("z", "category", ("false", "true"))


@pytest.mark.parametrize("odd", [" yes", "tRuE"])
def test_truth_values_that_arrow_does_not_read_as_such_are_text(odd, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("x,z,label\n" + f"1,{odd},a\n2,false,b\n" * 5)
    _, z = ingest(Source(uri=str(path)), tmp_path / "run").columns
    assert (z.kind, z.categories) == ("category", tuple(sorted([odd, "false"])))


def test_json_columns_that_appear_late_are_read(tmp_path):
    pad = "p" * 1000
    lines = [json.dumps({"x": i, "pad": pad, "label": "ab"[i % 2]}) for i in range(10_000)]
    lines.append(json.dumps({"x": 0.5, "pad": pad, "new": 2.5, "label": "a"}))
    path = tmp_path / "late.jsonl"
    path.write_text("\n".join(lines))
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    assert dataset.feature_names == ("x", "new")
    features = np.array(pq.read_table(dataset.path)["features"].to_pylist())
    assert features[-1].tolist() == [0.5, 2.5]
    assert np.isnan(features[:-1, 1]).all()


def test_json_nulls_and_nested_values_are_read(tmp_path):
    lines = [
        {"x": None, "none": None, "v": [], "meta": {"a": 1}, "label": "a"},
        {"x": 2, "none": None, "v": [1.5], "meta": {"b": None}, "label": "b"},
    ]
    path = tmp_path / "n.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    assert dataset.feature_names == ("x",)
    table = pq.read_table(dataset.path)
    assert table["meta.a"].to_pylist() == [1, None]
    assert table["meta.b"].to_pylist() == [None, None]
    assert table["v"].to_pylist() == [[], [1.5]]


def test_quoted_line_breaks_and_quotes_are_part_of_the_value(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text('x,label,note\n1,a,"two\nlines"\n2,b,"a ""quoted"" word\n"\n')
    table = pq.read_table(ingest(Source(uri=str(path)), tmp_path / "run").path)
    assert table["note"].to_pylist() == ["two\nlines", 'a "quoted" word\n']


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_with_another_separator_is_read(separator, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("x,y,label\n1,2,a\n3,4,b\n".replace(",", separator))
    assert ingest(Source(uri=str(path)), tmp_path / "run").feature_names == ("x", "y")


@pytest.mark.parametrize("row", ['1;"2,5";a', "1;2,5;a", "1;2;a"])
def test_comma_in_a_name_does_not_hide_that_semicolons_part_the_columns(row, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("x;price, €;label\r\n" + f"{row}\r\n" * 3 + "1;3;b\r\n")
    table = pq.read_table(ingest(Source(uri=str(path)), tmp_path / "run").path)
    assert {"x", "price, €"} <= set(table.column_names)
    assert table["label"].to_pylist() == [*"aaab"]


def test_dates_and_zero_padded_text_are_shown_as_written(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text(
        '{"x": 1, "day": "2020-01-01", "label": "a"}\n{"x": 2, "day": "2020-01-02", "label": "b"}\n'
    )
    assert pq.read_table(ingest(Source(uri=str(path)), tmp_path / "a").path)["day"][0].as_py() == "2020-01-01"
    path = tmp_path / "d.csv"
    path.write_text("x,day,label\n1,2020-01-01,a\n2,2020-01-02,b\n")
    assert pq.read_table(ingest(Source(uri=str(path)), tmp_path / "b").path)["day"][0].as_py() == "2020-01-01"


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = tmp_path / "bom.csv"
    path.write_bytes(b"\xef\xbb\xbfx,label\n1,a\n2,b\n")
    assert ingest(Source(uri=str(path)), tmp_path / "run").feature_names == ("x",)


def test_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "crlf.csv"
    path.write_bytes(b"x,label\r\n1,a\r\n2,b\r\n")
    assert ingest(Source(uri=str(path)), tmp_path / "run").classes == ("a", "b")


def test_compressed_text_is_recognised_by_name_in_any_case(tmp_path):
    path = tmp_path / "E.CSV.GZ"
    path.write_bytes(gzip.compress(b"x,label\n1,a\n2,b\n"))
    assert ingest(Source(uri=str(path)), tmp_path / "run").rows == 2


# Size


def test_row_groups_stay_within_the_limit(tmp_path):
    rows = 2 * ROWS_PER_GROUP + 7
    path = tmp_path / "n.parquet"
    pq.write_table(pa.table({"x": np.arange(rows), "label": ["a", "b"] * (rows // 2) + ["a"]}), path)
    meta = pq.read_metadata(ingest(Source(uri=str(path)), tmp_path / "run").path)
    sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
    assert sizes == [ROWS_PER_GROUP, ROWS_PER_GROUP, 7]


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    width = 512

    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.parquet"
        flat = pa.array(np.random.default_rng(0).random(rows * width, dtype=np.float32))
        vectors = pa.FixedSizeListArray.from_arrays(flat, width)
        pq.write_table(
            pa.table({"v": vectors, "label": ["a", "b"] * (rows // 2)}), path, row_group_size=5_000
        )
        del flat, vectors
        pa.default_memory_pool().release_unused()
        reset_peak_memory()
        before = read_peak_memory()
        ingest(Source(uri=str(path)), tmp_path / f"run{rows}")
        return read_peak_memory() - before

    peak(10_000)
    small, large = peak(25_000), peak(75_000)
    # 50,000 rows more are 100 MiB of numbers more, in the file and as features; what may grow is 8 bytes a row.
    assert large - small < 50 * 2**20


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("sample:digits", "digits"),
        ("s3://b/Some Cats_v2.csv.gz", "some-cats-v2"),
        ("/data/train/", "train"),
        ("Ölfarben.parquet", "lfarben"),
        ("???.csv", "data"),
        ("https://x.org/cats.parquet?token=secret", "cats"),
        ("a" * 99 + ".csv", "a" * 40),
    ],
)
def test_the_name_is_a_short_slug_of_the_file_name(uri, name):
    assert make_short_name(uri) == name


@pytest.mark.parametrize("name", ["d.parquet", "d.arrow"])
def test_durations_and_times_of_typed_files_are_features(name, tmp_path):
    steps = range(60)
    table = pa.table(
        {
            "stay": pa.array([n * 90_500 for n in steps], pa.duration("ms")),
            "asleep": pa.array([n * 60_000_000 for n in steps], pa.time64("us")),
            "label": ["a", "b"] * 30,
        }
    )
    if name.endswith("parquet"):
        pq.write_table(table, tmp_path / name)
    else:
        feather.write_feather(table, tmp_path / name)
    dataset = ingest(Source(uri=str(tmp_path / name)), tmp_path / "run")
    assert [(column.name, column.kind) for column in dataset.columns] == [
        ("stay", "number"),
        ("asleep", "date"),
    ]
    kept = pq.read_table(dataset.path)
    assert (kept["stay"][1].as_py(), kept["asleep"][1].as_py()) == (90.5, "00:01:00")


def test_files_of_stata_are_read_with_the_names_of_their_values(tmp_path):
    drawn = np.random.default_rng(0).normal(size=60).round(2)
    frame = pd.DataFrame(
        {
            "x": np.where(np.arange(60) == 3, np.nan, drawn),
            "seen": pd.date_range("2024-01-01", periods=60),
            "health": pd.Categorical(["good", "poor"] * 30),
        }
    )
    frame.to_stata(tmp_path / "d.dta", write_index=False)
    dataset = ingest(Source(uri=str(tmp_path / "d.dta"), label="health"), tmp_path / "run")
    assert dataset.classes == ("good", "poor")
    assert [(column.name, column.kind) for column in dataset.columns] == [("x", "number"), ("seen", "date")]
    found = np.array(pq.read_table(dataset.path)["features"].to_pylist())[:, 0]
    assert np.isnan(found[3])
    np.testing.assert_allclose(np.delete(found, 3), np.delete(drawn, 3), rtol=1e-6)
    named = {"health": {0: "good", 1: "poor", 2: "poor"}}
    frame.assign(health=np.arange(60) % 3).to_stata(tmp_path / "d.dta", write_index=False, value_labels=named)
    dataset = ingest(Source(uri=str(tmp_path / "d.dta"), label="health"), tmp_path / "run")
    assert dataset.classes == ("0", "1", "2")
    (tmp_path / "d.dta").write_bytes((tmp_path / "d.dta").read_bytes()[:900])
    with pytest.raises(InputError, match=r"d.dta: damaged"):
        ingest(Source(uri=str(tmp_path / "d.dta"), label="health"), tmp_path / "run2")


@pytest.mark.parametrize(
    "name", ["part-00000", "t.parquet.gzip", "t.arrows", "t.orc", "t", "t.tab", "t.manifest", "t.book"]
)
def test_a_file_whose_name_does_not_say_its_format_is_told_by_its_bytes(name, tmp_path):
    frame = pd.DataFrame({"x": np.arange(60) / 7, "label": ["cat", "dog", "eel"] * 20})
    table, path = pa.Table.from_pandas(frame, preserve_index=False), tmp_path / name
    if name == "t.arrows":
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    elif name in ("t", "t.orc"):
        orc.write_table(table, path)
    elif name == "t.tab":
        frame.to_csv(path, sep="\t", index=False)
    elif name == "t.manifest":
        frame.to_json(path, orient="records", lines=True)
    elif name == "t.book":
        frame.to_excel(tmp_path / "t.xlsx", index=False)
        (tmp_path / "t.xlsx").rename(path)
    else:
        pq.write_table(table, path)
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    assert pq.read_table(dataset.path)["label"].to_pylist() == frame["label"].tolist()
