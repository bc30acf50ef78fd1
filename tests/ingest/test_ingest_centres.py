"""Numbers far from zero and close together keep their differences; all others keep every bit."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.attribute import AuditOptions, audit
from tasks.encode.encoded import read_features
from tasks.ingest import ingest
from tasks.ingest.columns.centres import choose_centre
from tasks.options import AuditOptions as Options
from tasks.records import Source


def frame(offset: float) -> pd.DataFrame:
    random = np.random.default_rng(0)
    label = np.arange(200) % 2
    return pd.DataFrame(
        {"x": label * 30 + random.random(200) + offset, "y": random.random(200), "label": label}
    )


def read(folder, data: pd.DataFrame, name: str = "t.parquet") -> tuple:
    folder.mkdir(exist_ok=True)
    if name.endswith(".csv"):
        data.to_csv(folder / name, index=False)
    else:
        data.to_parquet(folder / name)
    dataset = ingest(Source(uri=str(folder / name)), folder / "run")
    features = pq.read_table(dataset.path)["features"].combine_chunks().flatten().to_numpy().reshape(200, -1)
    return dataset, features


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
@pytest.mark.parametrize("offset", [1_700_000_000, 5_400_000_000_000, -1e12])
def test_a_large_offset_costs_no_differences_and_the_user_keeps_the_values(tmp_path, offset, name):
    data = frame(offset)
    dataset, features = read(tmp_path, data, name)
    column = {column.name: column for column in dataset.columns}["x"]
    assert abs(column.centre - offset) < 100
    np.testing.assert_allclose(features[:, 0].astype(float), data["x"] - column.centre, atol=2e-3)
    table = pq.read_table(dataset.path)
    assert len(set(table["content_hash"].to_pylist())) == 200
    assert table["x"].to_pylist() == pytest.approx(data["x"].tolist(), abs=2e-3)


def test_what_float32_holds_is_the_same_to_the_last_bit(tmp_path):
    data = frame(0).assign(
        day=pd.date_range("2024-01-01", periods=200), year=2_000 + np.arange(200) // 2 % 20
    )
    data["seconds"] = 1_700_000_000 + np.arange(200) * 3_600  # a week: a step of 128 s is fine enough
    dataset, features = read(tmp_path, data)
    assert [column.centre for column in dataset.columns] == [0.0] * 5
    assert (features[:, 0] == data["x"].to_numpy(np.float32)).all()
    assert (features[:, 4] == data["seconds"].to_numpy(np.float32)).all()


def test_moments_within_an_hour_keep_their_seconds_and_their_place_in_the_day(tmp_path):
    moments = pd.Timestamp("2024-03-01 12:00:00") + pd.to_timedelta(np.arange(200) * 7, unit="s")
    dataset, features = read(tmp_path, frame(0).assign(at=moments)[["at", "label"]])
    np.testing.assert_allclose(np.diff(features[:, 0]) * 86_400, 7, rtol=1e-3)
    made = read_features(dataset, Options())
    values = dict(zip(made.names, np.concatenate(list(made.batches())).T, strict=True))
    assert (values["at is a Friday"] == 1).all()
    assert np.allclose(values["at: hour (cosine)"], -1, atol=0.02)


def test_an_odd_value_does_not_hide_that_the_others_lie_close_together():
    values = 1_700_000_000 + np.arange(1_000.0)
    values[0] = 0
    assert choose_centre(values) == pytest.approx(1_700_000_500, abs=1_024)


def test_features_in_memory_are_centred_too():
    data = frame(1_700_000_000_000)
    features, labels = data[["x", "y"]].to_numpy(), data["label"].to_numpy().copy()
    labels[[3, 8]] ^= 1
    options = AuditOptions(device="cpu")
    assert audit(features, labels, options).score.argsort()[:2].tolist() in ([3, 8], [8, 3])
