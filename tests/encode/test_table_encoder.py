"""A table becomes numbers without gaps, the same whatever the batches, and never by a look at a label."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.encode.encoded import read_features
from tasks.encode.feature_names import read_names
from tasks.encode.featurize import featurize
from tasks.encode.table import fit_table
from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.options import AuditOptions
from tasks.records import Column, Source

ROWS = 60


def table(**changes) -> pa.Table:
    columns = {
        "age": pa.array([None if n % 6 == 0 else float(n) for n in range(ROWS)]),
        "town": ["Bonn", "Rome", None] * (ROWS // 3),
        "member": [n % 5 < 2 for n in range(ROWS)],
        "since": [dt.datetime(2024, 1, 1, 6, tzinfo=dt.UTC) + dt.timedelta(days=n) for n in range(ROWS)],
        "label": ["a", "b"] * (ROWS // 2),
    } | changes
    return pa.table(columns)


def matrix(tmp_path, data: pa.Table, **named) -> tuple[dict[str, np.ndarray], object]:
    path = tmp_path / "t.parquet"
    pq.write_table(data, path, row_group_size=7)
    dataset = ingest(Source(uri=str(path), **named), tmp_path / "run")
    features = read_features(dataset, AuditOptions())
    rows = np.concatenate(list(features.batches()))
    return dict(zip(features.names, rows.T, strict=True)), dataset


def test_every_kind_of_column_becomes_numbers_without_gaps(tmp_path):
    columns, _ = matrix(tmp_path, table())
    assert all(np.isfinite(values).all() for values in columns.values())
    age = columns["age"]
    assert age[1] == 1
    assert age[0] == np.median([n for n in range(ROWS) if n % 6])
    assert columns["age is missing"].tolist() == [float(n % 6 == 0) for n in range(ROWS)]
    assert columns["town = Rome"].tolist() == [0, 1, 0] * (ROWS // 3)
    assert columns["town is missing"].tolist() == [0, 0, 1] * (ROWS // 3)
    assert columns["member"].tolist() == [1, 1, 0, 0, 0] * (ROWS // 5)


def test_dates_bring_their_calendar(tmp_path):
    columns, _ = matrix(tmp_path, table())
    assert np.allclose(np.diff(columns["since"]), 1)
    # 2024-01-01 was a Monday.
    assert columns["since is a Monday"][:8].tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert np.allclose(
        columns["since: hour (sine)"], 1, atol=1e-2
    )  # six in the morning, a quarter of the circle


def test_labels_decide_nothing_about_the_encoding(tmp_path):
    first, _ = matrix(tmp_path, table())
    second, _ = matrix(tmp_path, table(label=["b", "b", "a", "a"] * (ROWS // 4)))
    assert list(first) == list(second)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_the_encoding_does_not_depend_on_the_batches():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(500, 2)).astype(np.float32)
    rows[generator.random((500, 2)) < 0.1] = np.nan
    columns = (Column(name="x", kind="number"), Column(name="y", kind="number"))
    whole = fit_table(columns, lambda: iter([rows]))
    parts = fit_table(columns, lambda: iter(np.array_split(rows, 9)))
    assert whole.names == parts.names == ("x", "x is missing", "y", "y is missing")
    assert np.array_equal(whole(rows), parts(rows))


def test_plain_numbers_stay_as_they_are(tmp_path):
    columns, dataset = matrix(
        tmp_path, pa.table({"x": [1.5, 2.5] * 10, "k": [3] * 20, "label": ["a", "b"] * 10})
    )
    assert tuple(columns) == dataset.feature_names == ("x", "k")
    assert columns["x"].tolist() == [1.5, 2.5] * 10


def test_a_value_of_few_rows_is_no_category_of_its_own(tmp_path):
    towns = ["Bonn"] * 30 + ["Rome"] * 24 + ["Kyiv"] * 3 + ["Lima"] * 3
    columns, _ = matrix(tmp_path, table(town=towns))
    assert "town = Kyiv" not in columns
    assert columns["town is another value"].tolist() == [0.0] * 54 + [1.0] * 6


def test_features_have_their_names_beside_them(tmp_path):
    columns, dataset = matrix(tmp_path, table())
    file = featurize(dataset, tmp_path / "run" / "model")
    names = read_names(tmp_path / "run", dataset)
    assert names == tuple(columns)
    stored = np.fromfile(file.path, "<f4").reshape(file.rows, file.width)
    assert np.array_equal(stored[:, names.index("town = Rome")], columns["town = Rome"])


@pytest.mark.parametrize("gap", [float("nan"), None])
def test_a_column_without_any_value_is_refused_when_it_is_alone(gap, tmp_path):
    data = pa.table({"x": pa.array([gap] * 20, pa.float64()), "label": ["a", "b"] * 10})
    with pytest.raises(InputError, match="all rows have the same values in every column"):
        matrix(tmp_path, data)
