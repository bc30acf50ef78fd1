"""Every wrong input is one line that says what, where and what to do; nothing is left behind."""

import gzip
import io
import json
import os
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from tasks.errors import InputError, StoreError
from tasks.ingest import ingest
from tasks.records import Source
from tasks.validate.run import validate

GOOD = "x,y,label\n1,2,a\n3,4,b\n5,6,a\n"


def refused(uri: Path | str, folder: Path, **columns: object) -> str:
    """Return the line that a wrong input gives, after checking that it is one and that nothing is left."""
    with pytest.raises(InputError) as caught:
        ingest(Source(uri=str(uri), **columns), folder)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.where
    assert not folder.exists() or not list(folder.rglob("*"))
    return line


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def png(size=(4, 4), mode="L", value=7) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, value).save(buffer, "PNG")
    return buffer.getvalue()


# Which file


def test_a_missing_file_is_named(tmp_path, run):
    assert "nowhere.csv: no such file" in refused(tmp_path / "nowhere.csv", run)


def test_a_folder_without_data_says_what_it_should_hold(tmp_path, run):
    write(tmp_path / "notes.txt", "hello")
    line = refused(tmp_path, run)
    assert "no data files" in line
    assert ".parquet" in line


def test_a_folder_of_mixed_formats_is_refused(tmp_path, run):
    write(tmp_path / "a.csv", GOOD)
    parquet(tmp_path / "b.parquet", x=[1], label=["a"])
    assert "mixes formats (csv, parquet)" in refused(tmp_path, run)


def test_vectors_without_labels_say_how_to_save_them_together(tmp_path, run):
    together = "np.savez('data.npz', embedding=X"
    arrays = {"indices": [0], "indptr": [0, 1], "data": [1.0], "shape": [1, 2], "format": b"csr"}
    np.savez(tmp_path / "s.npz", **arrays)
    assert (
        f"a sparse matrix as scipy saves it, without labels; save its rows beside the labels: {together}"
        in refused(tmp_path / "s.npz", run)
    )
    write(tmp_path / "a.csv", GOOD)
    assert together in refused(tmp_path, run)


def test_bytes_as_labels_say_how_to_make_text_of_them(tmp_path, run):
    parquet(tmp_path / "b.parquet", x=[1, 2], label=[b"a", b"b"])
    assert "df['label'].str.decode('utf-8')" in refused(tmp_path / "b.parquet", run)


def test_ids_that_lost_their_digits_are_named(tmp_path, run):
    rows = "".join(f'{{"id": {2**63 + row}, "x": {row % 7}, "label": "{row % 2}"}}\n' for row in range(20))
    write(tmp_path / "b.jsonl", rows)
    assert "floats above 2**53, which lost their last digits" in refused(tmp_path / "b.jsonl", run, id="id")


def test_files_of_one_class_each_say_what_to_do(tmp_path, run):
    for name in ("cat", "dog"):
        write(tmp_path / f"{name}.csv", "size,weight\n1,2\n3,4\n")
    assert "write the class into each file as a column 'label'" in refused(tmp_path, run)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path, run):
    line = refused(write(tmp_path / "cats.docx", "cats"), run)
    assert "unknown file type '.docx'" in line
    assert ".csv" in line


@pytest.mark.parametrize("uri", ["sample:letters", "sample:"])
def test_an_unknown_sample_lists_what_there_is(uri, run):
    assert "choose one of: sample:digits" in refused(uri, run)


def test_an_unknown_protocol_is_named(run):
    assert "unknown kind of address 'nope://'" in refused("nope://x/y.csv", run)


def test_a_missing_driver_names_the_package_to_install(run):
    cases = {"s3": ("s3fs", "labelsweep[s3]"), "gs": ("gcsfs", "gcsfs"), "abfs": ("adlfs", "adlfs")}
    missing = {scheme: fix for scheme, (module, fix) in cases.items() if find_spec(module) is None}
    if not missing:
        pytest.skip("every driver is installed")
    for scheme, fix in missing.items():
        assert f"pip install {fix}" in refused(f"{scheme}://bucket/cats.parquet", run).replace("'", "")


def test_an_unreadable_file_says_permission(tmp_path, run):
    path = write(tmp_path / "cats.csv", GOOD)
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        assert "permission denied" in refused(path, run)
    else:
        pytest.skip("this user may read everything")


# Damaged or misnamed bytes


@pytest.mark.parametrize(
    "name", ["e.parquet", "e.csv", "e.csv.gz", "e.tsv", "e.jsonl", "e.arrow", "e.feather"]
)
def test_an_empty_file_is_called_empty(name, tmp_path, run):
    line = refused(write(tmp_path / name, b""), run)
    assert name in line
    assert "empty" in line


@pytest.mark.parametrize(
    ("name", "content"), [("b.csv", b"\n\n"), ("b.csv.gz", gzip.compress(b"", mtime=0)), ("b.jsonl", b" \n")]
)
def test_a_file_of_nothing_but_white_space_is_called_empty(name, content, tmp_path, run):
    assert "empty" in refused(write(tmp_path / name, content), run)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.parquet", GOOD.encode(), "not Parquet although it is named so"),
        ("m.csv", b"PAR1\x15\x04\x15", "not CSV although it is named so: it looks like Parquet"),
        ("m.csv", b"PK\x03\x04 workbook", "Excel"),
        ("m.csv", b"a,b\x00\x01\x02", "not CSV"),
        ("m.csv.gz", GOOD.encode(), "not gzip"),
        ("m.csv", gzip.compress(GOOD.encode(), mtime=0), "it looks like gzip"),
        ("m.arrow", GOOD.encode(), "not Arrow"),
        ("m.feather", b"PAR1....", "it looks like Parquet"),
        ("m.feather", b"FEA1....", "Feather version 1"),
        ("m.jsonl", b"\x89PNG\r\n\x1a\n", "it looks like a PNG image"),
        ("m.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        ("m.csv", b"<!DOCTYPE html><title>Sign in</title>", "it looks like a web page"),
        ("m.jsonl", b'[{"a": 1}]', "a JSON array, not JSON Lines"),
    ],
)
def test_a_misnamed_file_is_told_from_a_damaged_one(name, content, said, tmp_path, run):
    assert said in refused(write(tmp_path / name, content), run)


def test_a_truncated_parquet_file_says_so(tmp_path, run):
    path = parquet(tmp_path / "t.parquet", x=list(range(1000)), label=["a", "b"] * 500)
    write(path, path.read_bytes()[:-20])
    assert "truncated Parquet" in refused(path, run)


def test_a_parquet_file_with_a_hole_says_damaged(tmp_path, run):
    path = parquet(
        tmp_path / "t.parquet", x=np.random.default_rng(0).random(20_000), label=["a", "b"] * 10_000
    )
    whole = bytearray(path.read_bytes())
    whole[100:120_000] = b"\xff" * 119_900
    assert "damaged or truncated Parquet" in refused(write(path, bytes(whole)), run)


@pytest.mark.parametrize("name", ["t.arrow", "t.feather"])
def test_a_truncated_arrow_file_says_so(name, tmp_path, run):
    path = tmp_path / name
    feather.write_feather(pa.table({"x": list(range(1000)), "label": ["a", "b"] * 500}), str(path))
    write(path, path.read_bytes()[:-300])
    assert "damaged or truncated Arrow" in refused(path, run)


def test_an_arrow_file_with_broken_offsets_is_refused_before_they_are_followed(tmp_path, run):
    path = tmp_path / "o.arrow"
    table = pa.table({"x": range(6), "note": ["four"] * 6, "label": ["a", "b"] * 3})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    whole = path.read_bytes()
    offsets = struct.pack("<3i", 4, 8, 12)
    assert whole.count(offsets) == 1
    line = refused(write(path, whole.replace(offsets, struct.pack("<3i", 2**30, 2**31 - 1, 8))), run)
    assert "damaged or truncated Arrow" in line


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_typed_text_that_is_not_utf8_is_refused(name, tmp_path, run):
    latin = pa.array(["käse".encode("latin-1"), b"b"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, latin.buffers())
    table = pa.table({"x": [1, 2], "note": text, "label": ["a", "b"]})
    if name.endswith("parquet"):
        pq.write_table(table, tmp_path / name)
    else:
        feather.write_feather(table, str(tmp_path / name))
    assert "UTF8" in refused(tmp_path / name, run).replace("-", "").upper()


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz"])
def test_a_truncated_gzip_says_so(name, tmp_path, run):
    rows = "".join(f"{i},{i * 7919 % 1000},{'ab'[i % 2]}\n" for i in range(5000))
    lines = "".join(
        json.dumps({"x": i, "y": i * 7919 % 1000, "label": "ab"[i % 2]}) + "\n" for i in range(5000)
    )
    whole = gzip.compress(("x,y,label\n" + rows if "csv" in name else lines).encode())
    assert "damaged or truncated gzip" in refused(write(tmp_path / name, whole[: len(whole) // 2]), run)


def test_damaged_gzip_says_so(tmp_path, run):
    whole = bytearray(gzip.compress((GOOD * 1).encode()))
    whole[12:20] = b"\xff" * 8
    assert "damaged or truncated gzip" in refused(write(tmp_path / "d.csv.gz", bytes(whole)), run)


# Text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y,label\n1,2,a\n3,4\n", "line 3 has 2 fields, the header has 3"),
        ("x,y,label\n1,2,a\n\n3,4,b,9,9\n", "line 4 has 5 fields, the header has 3"),
        ('x,y,label\n1,"2\n2",a\nlonely\n', "line 4 has 1 field, the header has 3"),
    ],
)
def test_a_ragged_row_is_named_with_its_line_and_fields(text, said, tmp_path, run):
    assert said in refused(write(tmp_path / "r.csv", text), run)


def test_a_ragged_row_far_down_a_compressed_file_is_found(tmp_path, run):
    text = "x,label\n" + "1,a\n2,b\n" * 100_000 + "1,a,extra\n"
    line = refused(write(tmp_path / "r.csv.gz", gzip.compress(text.encode())), run)
    assert "line 200002 has 3 fields, the header has 2" in line


def test_a_quote_that_is_never_closed_does_not_swallow_rows(tmp_path, run):
    assert "a quote that opens in line 3 is never closed" in refused(
        write(tmp_path / "q.csv", 'x,label\n1,a\n2,"b\n3,a\n4,b\n'), run
    )


def test_json_that_is_not_utf8_is_named_with_its_line(tmp_path, run):
    text = b'{"x": 1, "label": "a"}\n{"x": 2, "label": "\xff"}\n'
    assert "line 2: byte 0xff at position 42 is not UTF-8" in refused(write(tmp_path / "l.jsonl", text), run)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"x": 1, "label": "a"}\n{"x": 2, "label": \n', "line 2 is not JSON"),
        ('{"x": 1, "label": "a"}\n\n[1, 2]\n', "line 3 is not a JSON object"),
        (
            '{"x": 1, "label": "a"}\n{"x": 2, "label": ["b", "c"]}\n',
            "line 2, column 'label': a list where line 1 has text",
        ),
    ],
)
def test_a_wrong_json_line_is_named(text, said, tmp_path, run):
    assert said in refused(write(tmp_path / "j.jsonl", text), run)


def test_json_kinds_that_change_between_distant_lines_are_text_and_said(tmp_path, run):
    pad = "p" * 1000
    lines = [json.dumps({"x": i, "pad": pad, "label": "ab"[i % 2]}) for i in range(10_000)]
    lines.append(json.dumps({"x": "text", "pad": pad, "label": "a"}))
    found = ingest(Source(uri=str(write(tmp_path / "j.jsonl", "\n".join(lines)))), run)
    assert (found.rows, found.feature_names) == (10_001, ("x",))
    assert found.notes == (
        "column 'x' is read as text: line 10001 has text where line 1 has a number",
        "column 'x': 1 value that is no number, 'text', counts as missing",
    )


# Columns


def test_a_missing_label_column_lists_the_columns_and_suggests_one(tmp_path, run):
    line = refused(write(tmp_path / "c.csv", "x,Lable\n1,a\n2,b\n"), run)
    assert "no label column 'label'" in line
    assert "'x', 'Lable'" in line
    assert "did you mean 'Lable'?" in line


def test_the_truth_or_another_role_is_never_what_was_meant(tmp_path, run):
    path = write(tmp_path / "c.csv", "x,true_label\n1,a\n2,b\n")
    assert refused(path, run).endswith(
        f"{path}: no label column 'label'; it has 'x', 'true_label'; name one with --label"
    )
    assert "did you mean" not in refused(path, run, label="true_labl", truth="true_label")
    assert "did you mean 'true_label'? Name it with --truth" in refused(
        path, run, label="x", truth="true_labl"
    )


@pytest.mark.parametrize("role", ["id", "truth", "trusted", "embedding", "image"])
def test_a_missing_column_of_any_role_is_named(role, tmp_path, run):
    assert "column 'nope'" in refused(write(tmp_path / "c.csv", GOOD), run, **{role: "nope"})


def test_an_unknown_feature_suggests_the_close_match(tmp_path, run):
    path = write(tmp_path / "c.csv", "width,height,label\n1,2,a\n3,4,b\n")
    line = refused(path, run, features=("width", "heigth"))
    assert "no column 'heigth'" in line
    assert "did you mean 'height'?" in line


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": "label"}, "column 'label' is named as"),
        ({"truth": "label"}, "column 'label' is named as"),
        ({"features": ("x", "label")}, "column 'label' is the label, id, trusted or truth column"),
        ({"features": ()}, "--features names no column"),
        ({"features": ("x",), "pred_probs": ("x",)}, "--features and --pred-probs exclude each other"),
        ({"embedding": "x"}, "not lists of numbers"),
        ({"image": "x"}, "no such image file '1', and no other image in column 'x' can be read"),
    ],
)
def test_roles_that_contradict_each_other_are_refused(columns, said, tmp_path, run):
    assert said in refused(write(tmp_path / "c.csv", GOOD), run, **columns)


def test_a_column_name_that_occurs_twice_is_named(tmp_path, run):
    table = pa.table([[1, 3], [2, 4], ["a", "b"]], names=["x", "x", "label"])
    pq.write_table(table, tmp_path / "c.parquet")
    assert "2 columns are named 'x'" in refused(tmp_path / "c.parquet", run)


def test_parts_that_contradict_each_other_name_the_part(tmp_path, run):
    data = tmp_path / "parts"
    data.mkdir()
    parquet(data / "1.parquet", x=[1.0], label=["a"])
    parquet(data / "2.parquet", x=["one"], label=["b"])
    line = refused(data, run)
    assert "2.parquet" in line
    assert "x" in line


def test_a_part_without_the_label_is_named(tmp_path, run):
    data = tmp_path / "parts"
    data.mkdir()
    write(data / "test.csv", "x,y\n1,2\n3,4\n")
    write(data / "train.csv", GOOD)
    assert "test.csv: has no column 'label'; add the column" in refused(data, run)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("id,label\n1,a\n2,b\n", "features.merge(labels, on='id') in pandas"),
        ("label\na\nb\n", "pd.concat([features, labels], axis=1) in pandas"),
    ],
)
def test_features_and_labels_in_two_files_say_how_to_join_them(labels, said, tmp_path, run):
    data = tmp_path / "data"
    data.mkdir()
    write(data / "X.csv", "id,x,y\n1,1,5\n2,2,6\n")
    write(data / "y.csv", labels)
    assert (
        f"X.csv: has no column 'label'; of features and labels in two files make one table: {said}"
        in refused(data, run)
    )


def test_a_damaged_part_is_named(tmp_path, run):
    data = tmp_path / "parts"
    data.mkdir()
    parquet(data / "1.parquet", x=[1.0], label=["a"])
    write(data / "2.parquet", b"")
    assert "2.parquet: the file is empty" in refused(data, run)


def test_a_field_too_long_to_read_is_an_error_of_the_file(tmp_path, run):
    text = 'x,note,label\n1,"' + "n" * (20 * 2**20) + '",a\n2,short,b\n'
    line = refused(write(tmp_path / "long.csv", text), run)
    assert "long.csv" in line


def test_a_very_long_field_does_not_hide_which_row_is_wrong(tmp_path, run):
    text = 'k,x,note,label\n1,2,"' + "n" * 200_000 + '",a\n1,3,short,b\n'
    assert "id '1'" in refused(write(tmp_path / "long.csv", text), run, id="k")


@pytest.mark.parametrize("name", ["cats.csv", "cats.parquet", "cats.jsonl", "cats.arrow"])
@pytest.mark.parametrize("faulty", ["info", "_open"])
def test_a_fault_of_the_network_is_not_blamed_on_the_user(name, faulty, run):
    def reset(*_: object, **__: object):
        raise ConnectionResetError("connection reset by peer")

    there = {"info": lambda _self, path, **_: {"name": path, "size": 18, "type": "file"}}
    flaky = type(
        "Flaky", (MemoryFileSystem,), {"protocol": "flaky", "cachable": False, **there, faulty: reset}
    )
    fsspec.register_implementation("flaky", flaky, clobber=True)
    with pytest.raises(StoreError, match=f"flaky://{name}: cannot be reached .ConnectionResetError"):
        ingest(Source(uri=f"flaky://{name}"), run)
    assert not run.exists()


# Labels


@pytest.mark.parametrize("text", ["x,label\n1,\n2,\n", "x,label\n1,\n2,  \n"])
def test_all_labels_missing_is_said(text, tmp_path, run):
    assert "all labels are missing in column 'label'" in refused(write(tmp_path / "c.csv", text), run)


def test_all_labels_missing_is_said_of_a_typed_column(tmp_path, run):
    path = parquet(tmp_path / "c.parquet", x=[1, 2], label=pa.nulls(2))
    assert "all labels are missing" in refused(path, run)


def test_one_class_is_said(tmp_path, run):
    assert "only one class ('a')" in refused(write(tmp_path / "c.csv", "x,label\n1,a\n2,a\n3,\n"), run)


def test_a_header_without_rows_is_said(tmp_path, run):
    assert "no rows" in refused(write(tmp_path / "c.csv", "x,label\n"), run)
    assert "no rows" in refused(
        parquet(tmp_path / "c.parquet", x=pa.array([], pa.int64()), label=pa.array([], "string")), run
    )


def test_very_many_measured_quantities_are_named_as_such(tmp_path, run):
    path = parquet(
        tmp_path / "m.parquet", x=np.zeros(150_000), label=np.random.default_rng(0).random(150_000)
    )
    assert "measured quantities" in refused(path, run)


def test_free_text_is_not_a_class(tmp_path, run):
    path = parquet(tmp_path / "m.parquet", x=np.zeros(150_000), label=[f"text {i}" for i in range(150_000)])
    assert "more than 100,000 different labels" in refused(path, run)


@pytest.mark.parametrize("name", ["r.csv", "r.parquet"])
def test_measured_quantities_are_not_classes(name, tmp_path, run):
    values = np.random.default_rng(0).normal(size=50)
    table = pa.table({"x": np.arange(50), "label": values})
    path = tmp_path / name
    if name.endswith("csv"):
        write(path, "x,label\n" + "".join(f"{x},{y}\n" for x, y in enumerate(values)))
    else:
        pq.write_table(table, path)
    line = refused(path, run)
    assert "measured quantities" in line
    assert "regression" in line


def test_lists_as_labels_are_multi_label(tmp_path, run):
    line = refused(parquet(tmp_path / "m.parquet", x=[1, 2], label=[["a"], ["a", "b"]]), run)
    assert "multi-label" in line


@pytest.mark.parametrize("role", ["label", "trusted"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([(1, 2, 3), (1, 2, 4)], pa.month_day_nano_interval()),
        pa.array([1, 2], pa.timestamp("us", "Nowhere")),
    ],
    ids=["interval", "unknown time zone"],
)
def test_values_that_cannot_be_written_as_text_are_refused(values, role, tmp_path, run):
    path = tmp_path / "m.arrow"
    feather.write_feather(pa.table({"x": [1, 2], "label": ["a", "b"], "odd": values}), path)
    assert f"{role} column 'odd' holds {values.type}" in refused(path, run, **{role: "odd"})


@pytest.mark.parametrize(
    ("name", "message"), [("d.csv", "the archive cannot be read"), ("gone.zip", "no such file")]
)
def test_an_archive_that_is_none_or_is_not_there_is_refused(name, message, tmp_path, run):
    write(tmp_path / "d.csv", GOOD)
    assert message in refused(f"zip://d.csv::{tmp_path / name}", run)


@pytest.mark.skipif(int(pa.__version__.partition(".")[0]) >= 26, reason="this pyarrow reads it")
def test_a_missing_list_of_fixed_length_is_not_called_damage(tmp_path, run):
    lists = pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2))
    line = refused(parquet(tmp_path / "m.parquet", v=lists, label=["a", "b", "a"]), run)
    assert "lists of a fixed length lacks one in some row" in line
    assert "damaged" not in line


def test_a_file_that_does_not_fit_into_memory_is_not_called_damaged(tmp_path, run, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 99 failed")

    path = parquet(tmp_path / "m.parquet", x=[1, 2], label=["a", "b"])
    monkeypatch.setattr(pq, "ParquetFile", full)
    assert "Parquet that takes more memory than there is (malloc of size 99 failed)" in refused(path, run)


def test_structs_as_labels_are_refused(tmp_path, run):
    assert "struct" in refused(parquet(tmp_path / "m.parquet", x=[1, 2], label=[{"a": 1}, {"a": 2}]), run)


# Ids and trusted


def test_a_duplicate_id_is_named_with_both_rows(tmp_path, run):
    path = parquet(
        tmp_path / "d.parquet", x=[1, 2, 3, 4], key=["k1", "k2", "k3", "k2"], label=["a", "b", "a", "b"]
    )
    line = refused(path, run, id="key")
    assert "row 4: id 'k2' in column 'key' is also the id of row 2" in line


def test_a_duplicate_id_in_csv_is_named_with_both_lines(tmp_path, run):
    path = write(tmp_path / "d.csv", 'key,x,label\n7,1,a\n8,"2",b\n\n7,3,a\n')
    assert "line 5: id '7' in column 'key' is also the id of line 2" in refused(path, run, id="key")


def test_a_duplicate_id_across_parts_names_both_parts(tmp_path, run):
    data = tmp_path / "parts"
    data.mkdir()
    parquet(data / "1.parquet", k=["a", "b"], x=[1, 2], label=["a", "b"])
    parquet(data / "2.parquet", k=["c", "b"], x=[3, 4], label=["a", "b"])
    line = refused(data, run, id="k")
    assert "2.parquet: row 2: id 'b'" in line
    assert "row 2 of 1.parquet" in line


@pytest.mark.parametrize("hole", [None, " "])
def test_a_missing_id_is_named_with_its_row(hole, tmp_path, run):
    path = parquet(tmp_path / "d.parquet", x=[1, 2, 3], key=["k1", "k2", hole], label=["a", "b", "a"])
    assert "row 3: no id in column 'key'" in refused(path, run, id="key")


def test_a_group_column_without_a_value_is_refused(tmp_path, run):
    path = write(tmp_path / "c.csv", "x,who,label\n1,,a\n2, ,b\n")
    assert "group column 'who' holds no value at all" in refused(path, run, group="who")


@pytest.mark.parametrize("payload", ["table", "text", "image"])
def test_a_row_without_an_id_of_its_own_is_set_aside(payload, tmp_path, run):
    ids = [f"k{n}" for n in range(20)]
    ids[5], ids[7] = " ", "k3"
    content = {
        "table": ({"x": list(range(20))}, {}),
        "text": ({"t": [f"so many words about number {n}" for n in range(20)]}, {"text": "t"}),
        "image": ({"i": [png(value=n) for n in range(20)]}, {"image": "i"}),
    }
    columns, named = content[payload]
    path = parquet(tmp_path / "d.parquet", key=ids, label=["a", "b"] * 10, **columns)
    validation = validate(ingest(Source(uri=str(path), id="key", **named), run), run, folds=5)
    assert validation.reasons == {"a value does not fit its column": 2}
    aside = pq.read_table(validation.quarantine).to_pylist()
    assert {row["source_row"]: row["reason"] for row in aside} == {
        5: "no id in column 'key'",
        7: "id 'k3' in column 'key' is also the id of row 4",
    }


def test_a_trusted_value_that_means_nothing_is_named(tmp_path, run):
    path = write(tmp_path / "c.csv", "x,ok,label\n1,yes,a\n2,perhaps,b\n")
    assert "line 3: trusted column 'ok': 'perhaps' is neither true nor false" in refused(
        path, run, trusted="ok"
    )


# Features


def test_a_file_with_nothing_but_labels_is_refused(tmp_path, run):
    assert "no column to learn from" in refused(write(tmp_path / "c.csv", "label\na\nb\n"), run)


def test_text_where_numbers_are_needed_is_refused(tmp_path, run):
    line = refused(write(tmp_path / "c.csv", "title,body,label\nt,u,a\nv,w,b\n"), run)
    assert "no numeric column" in line
    assert "'title', 'body'" in line


def test_a_named_feature_with_many_wrong_values_names_value_and_line(tmp_path, run):
    words = ["low", "lower", "none yet", "ask", "late", "gone", "void"] * 3
    text = "x,y,label\n" + "".join(f"1,{n},{'ab'[n % 2]}\n" for n in range(100))
    text += "".join(f"1,{word},a\n" for word in words)
    line = refused(write(tmp_path / "c.csv", text), run, features=("x", "y"))
    assert "line 102: column 'y': 'low' is not a number" in line


def test_a_named_feature_without_any_value_is_refused(tmp_path, run):
    line = refused(write(tmp_path / "c.csv", "x,y,label\n1,,a\n2,,b\n"), run, features=("x", "y"))
    assert "column 'y' has no value" in line


def test_a_named_feature_that_is_a_list_points_to_embedding(tmp_path, run):
    path = parquet(tmp_path / "c.parquet", v=[[1.0, 2.0], [3.0, 4.0]], label=["a", "b"])
    assert "use --embedding" in refused(path, run, features=("v",))


def test_embeddings_most_of_which_have_unequal_lengths_are_refused(tmp_path, run):
    text = '{"v": [1, 2], "label": "a"}\n\n{"v": [1, 2, 3], "label": "b"}\n'
    assert "2 different lengths (2, 3)" in refused(write(tmp_path / "e.jsonl", text), run)


@pytest.mark.parametrize("vectors", [[[], []], [None, None]])
def test_embeddings_without_numbers_are_refused(vectors, tmp_path, run):
    path = parquet(tmp_path / "e.parquet", v=pa.array(vectors, pa.list_(pa.float32())), label=["a", "b"])
    assert "'v'" in refused(path, run, embedding="v")


def test_several_columns_that_could_be_meant_are_listed(tmp_path, run):
    path = parquet(tmp_path / "c.parquet", v=[[1.0], [2.0]], w=[[1.0], [2.0]], label=["a", "b"])
    assert "choose one: --embedding v, --embedding w" in refused(path, run)


# Images


def broken_images() -> dict[str, bytes]:
    whole = png((64, 64))
    header = b"\x89PNG\r\n\x1a\n"
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    bomb = header + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + whole[33:]
    return {"text": b"not an image", "empty": b"", "truncated": whole[: len(whole) // 2], "bomb": bomb}


def unreadable(files: list[bytes], folder: Path, run: Path) -> list[dict[str, object]]:
    """Ingest images and return which of them cannot be read and why; their pixels are missing, the others' are not."""
    labels = ["a", "b"] * (len(files) // 2) + ["a"] * (len(files) % 2)
    path = parquet(folder / "i.parquet", picture=pa.array(files, pa.binary()), label=labels)
    dataset = ingest(Source(uri=str(path)), run)
    assert dataset.unreadable is not None
    found = pq.read_table(dataset.unreadable).to_pylist()
    table = pq.read_table(dataset.path)
    pixels = np.array(table["features"].to_pylist())
    aside = [row["source_row"] for row in found]
    assert np.isnan(pixels).any(axis=1).nonzero()[0].tolist() == aside
    assert [row for row, image in enumerate(table["image"].to_pylist()) if image is None] == aside
    return found


@pytest.mark.parametrize("kind", ["text", "empty", "truncated", "bomb"])
def test_an_image_that_does_not_decode_is_kept_with_its_reason_and_its_pixels_missing(kind, tmp_path, run):
    files = [png((64, 64)), png((64, 64), value=9), broken_images()[kind]]
    (found,) = unreadable(files, tmp_path, run)
    assert found["source_row"] == 2
    assert str(found["reason"]).startswith("the image does not decode (")


def test_an_image_of_which_none_decodes_is_refused_with_its_row(tmp_path, run):
    path = parquet(tmp_path / "i.parquet", picture=pa.array([b"no", b"neither"]), label=["a", "b"])
    assert "row 1: no image in column 'picture' decodes" in refused(path, run)


def test_a_bomb_within_pillows_own_limit_does_not_unfold(tmp_path, run):
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    (found,) = unreadable([png(), buffer.getvalue()], tmp_path, run)
    assert found["source_row"] == 1


def test_a_missing_image_file_is_named_with_its_line(tmp_path, run):
    path = write(tmp_path / "i.csv", "file,label\nb.png,a\nc.png,b\n")
    assert "line 2: no such image file 'b.png'" in refused(path, run, image="file")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 300, "not a readable image file: '" + "x" * 100 + "…'"),
        ("a.png/b.png", "no such image file 'a.png/b.png'"),
        ("loop.png", "not a readable image file: 'loop.png'"),
        ("a\0.png", "not a readable image file: 'a\0.png'"),
    ],
    ids=["long", "below a file", "loop", "NUL"],
)
def test_a_path_that_can_be_no_file_is_set_aside_with_its_reason(name, said, tmp_path, run):
    write(tmp_path / "a.png", png())
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    path = parquet(tmp_path / "i.parquet", file=["a.png", name], label=["a", "b"])
    dataset = ingest(Source(uri=str(path), image="file"), run)
    assert pq.read_table(dataset.unreadable).to_pylist() == [{"source_row": 1, "reason": said}]


def test_a_file_name_that_is_not_utf8_is_named(tmp_path, run):
    for name in ("cats/a.png", "dogs/b.png"):
        (tmp_path / "pets" / name).parent.mkdir(parents=True)
        write(tmp_path / "pets" / name, png())
    (tmp_path / "pets" / "dogs" / "b.png").rename(tmp_path / "pets" / "dogs" / os.fsdecode(b"\xff.png"))
    assert "dogs/\\udcff.png: the name of this file is not UTF-8" in refused(tmp_path / "pets", run)


def test_a_column_without_any_image_is_refused(tmp_path, run):
    path = parquet(tmp_path / "i.parquet", image=pa.nulls(2, pa.binary()), label=["a", "b"])
    assert "no image at all" in refused(path, run)


def test_eps_is_never_handed_to_an_interpreter(tmp_path, run):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    (found,) = unreadable([png(), eps], tmp_path, run)
    assert "not an image of a known format" in str(found["reason"])


def test_a_failure_in_the_middle_of_writing_leaves_no_partial_file(tmp_path, run):
    path = parquet(
        tmp_path / "e.parquet",
        x=range(40_001),
        ok=["yes"] * 40_000 + ["maybe"],
        truth=["a"] * 40_001,
        label=["a", "b"] * 20_000 + ["a"],
    )
    assert "row 40001" in refused(path, run, trusted="ok", truth="truth")
