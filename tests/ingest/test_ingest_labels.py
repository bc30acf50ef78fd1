"""Labels are kept as the user wrote them, missing ones stay missing, and classes come in a natural order."""

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ingest import ingest
from tasks.ingest.columns.values import convert_to_text
from tasks.records import Source


def labels_of(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    else:
        pq.write_table(pa.table({"x": np.arange(len(content)), "label": content}), path)
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    return pq.read_table(dataset.path)["label"].to_pylist(), dataset.classes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([3, 10, None, 3], pa.int8()), ["3", "10", None, "3"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([3.0, float("nan"), None, 10.0]), ["3", None, None, "10"]),
        (pa.array([0.5, 1.0, 0.5], pa.float32()), ["0.5", "1", "0.5"]),
        (pa.array([0.1, 0.2], pa.float32()), ["0.1", "0.2"]),
        (pa.array([decimal.Decimal("2.00"), decimal.Decimal("3.00")]), ["2", "3"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "", " ", "b"]), ["a", None, None, "b"]),
        (pa.array(["3.0", "4"]), ["3.0", "4"]),
    ],
)
def test_typed_labels_become_the_text_a_person_would_write(values, expected, tmp_path):
    assert labels_of(tmp_path, "l.parquet", values)[0] == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["007", "7", "007"], ["007", "7", "007"]),
        (["True", "False", ""], ["True", "False", None]),
        (["3.0", "", "4.0"], ["3", None, "4"]),
        (["3.0", "4"], ["3", "4"]),
        (["3.0", "cat"], ["3.0", "cat"]),
        (["0.5", "1.0"], ["0.5", "1.0"]),
        ([" a", "b "], [" a", "b "]),
        (["1e3", "2"], ["1e3", "2"]),
        (["2020-01-01", "2020-01-02"], ["2020-01-01", "2020-01-02"]),
    ],
)
def test_csv_labels_stay_as_written(column, expected, tmp_path):
    text = "x,label\n" + "".join(f"{i},{value}\n" for i, value in enumerate(column))
    assert labels_of(tmp_path, "l.csv", text)[0] == expected


def test_labels_that_pandas_made_floats_become_integers_again(tmp_path):
    frame = pd.DataFrame({"x": range(4), "label": [1, 2, None, 10]})
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    for name in ("p.csv", "p.parquet"):
        dataset = ingest(Source(uri=str(tmp_path / name)), tmp_path / name.replace(".", ""))
        assert pq.read_table(dataset.path)["label"].to_pylist() == ["1", "2", None, "10"]
        assert dataset.classes == ("1", "2", "10")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "b"], ("10", "9", "b")),
        (["b", "B", "a"], ("B", "a", "b")),
        (["²", "3"], ("3", "²")),
        (["--1", "+2", "10"], ("+2", "--1", "10")),
        (["9" * 5_000, "10"], ("10", "9" * 5_000)),
    ],
)
def test_classes_are_sorted_as_numbers_only_when_all_are_integers(labels, classes, tmp_path):
    assert labels_of(tmp_path, "l.parquet", labels)[1] == classes


def test_half_star_ratings_are_classes(tmp_path):
    values = [round(0.5 * (i % 10 + 1), 1) for i in range(100)]
    assert len(labels_of(tmp_path, "l.parquet", values)[1]) == 10


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1))
def test_text_is_kept_exactly_or_is_missing(values):
    for value, kept in zip(values, convert_to_text(pa.array(values)).to_pylist(), strict=True):
        assert kept == value or (kept is None and not value.strip())


@given(st.lists(st.integers(-(2**52), 2**52), min_size=1))
def test_whole_floats_are_written_as_the_integers_that_they_are(values):
    assert convert_to_text(pa.array([float(value) for value in values])).to_pylist() == [
        str(value) for value in values
    ]


def test_truth_goes_to_its_own_file_and_nowhere_else(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("k,x,label,y\np,1,1.0,1\nq,2,2.0,\nr,3,,2.0\n")
    dataset = ingest(Source(uri=str(path), truth="y", id="k"), tmp_path / "run")
    assert dataset.truth == tmp_path / "run" / "truth.parquet"
    truth = pq.read_table(dataset.truth)
    assert truth.to_pydict() == {"sample_id": ["p", "q", "r"], "true_label": ["1", None, "2"]}
    assert dataset.feature_names == ("x",)
    assert pq.read_schema(dataset.path).names == [
        "sample_id",
        "label",
        "features",
        "content_hash",
        "source_row",
        "x",
    ]


def test_truth_follows_ids_that_come_from_the_content(tmp_path):
    rows = 40_000
    table = pa.table(
        {
            "x": np.arange(rows) // 2,
            "label": ["a"] * rows,
            "truth": ["a", *(f"t{i}" for i in range(1, rows))],
            "z": np.ones(rows),
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table.set_column(1, "label", pa.array(["a", "a", "b", "b"] * (rows // 4))), path)
    dataset = ingest(Source(uri=str(path), truth="truth"), tmp_path / "run")
    data, truth = pq.read_table(dataset.path), pq.read_table(dataset.truth)
    assert truth["sample_id"].equals(data["sample_id"])
    assert truth["true_label"].to_pylist() == table["truth"].to_pylist()
    assert len(set(truth["sample_id"].to_pylist())) == rows


def test_a_true_label_that_nobody_named_is_neither_feature_nor_shown(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,label,true_label\n1,0,0\n2,1,0\n")
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    assert dataset.feature_names == ("x",)
    assert "true_label" not in pq.read_schema(dataset.path).names
    assert dataset.truth is None
    assert not (tmp_path / "run" / "truth.parquet").exists()


@pytest.mark.parametrize("named", [{"group": "true_label"}, {"raters": ("true_label", "second")}])
def test_a_column_that_is_called_like_the_truth_may_be_a_group_or_a_rater(tmp_path, named):
    values = ["a", "b"] * 10
    columns = {"x": np.arange(20.0) % 7, "label": values, "true_label": values, "second": values}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    dataset = ingest(Source(uri=str(tmp_path / "t.parquet"), features=("x",), **named), tmp_path / "run")
    assert (dataset.group, dataset.raters) == (named.get("group"), named.get("raters", ()))
    assert pq.read_table(dataset.path)["true_label"].to_pylist() == values
