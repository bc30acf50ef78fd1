"""Rows from disk are the rows in memory, in blocks of any size."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from head_problems import clouds
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.arrays import Array
from tasks.encode.featurize import featurize
from tasks.heads.design import make_design
from tasks.heads.feature_map import FeatureMap, make_kernel_map, make_raw_map
from tasks.heads.features import FileFeatures, MemoryFeatures, compute_moments, prefetch
from tasks.heads.newton import fit_newton
from tasks.heads.rows import CachedRows, EncodedRows, MemoryRows
from tasks.heads.samples import read_samples, read_votes
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve_newton_step
from tasks.records import Dataset, FeatureFile


def on_disk(path: Path, raw: Array, feature_map: FeatureMap, block_rows: int) -> EncodedRows:
    raw.astype("<f4").tofile(path)
    like = torch.empty(0, dtype=torch.float32)
    return EncodedRows(
        FileFeatures(FeatureFile(path=path, rows=raw.shape[0], width=raw.shape[1]), like, block_rows),
        feature_map,
    )


@pytest.mark.parametrize("kind", ["raw", "kernel"])
@pytest.mark.parametrize("block_rows", [1, 7, 100, 1_000])
def test_disk_rows_equal_memory_rows(tmp_path: Path, kind: str, block_rows: int) -> None:
    raw = clouds(100, 3, 2)[0].astype(np.float32)
    x = torch.from_numpy(raw)
    feature_map: FeatureMap | None = make_raw_map(x.mean(0), x.std(0))
    if kind == "kernel":
        feature_map = make_kernel_map(feature_map, x, 20, 1.0)
    disk = on_disk(tmp_path / "raw", raw, feature_map, block_rows)
    memory = CachedRows(MemoryFeatures(x, block_rows), feature_map)
    assert (disk.n, disk.width, disk.like.dtype) == (memory.n, memory.width, memory.like.dtype)
    for (rows, block), (expected_rows, expected) in zip(disk.blocks(), memory.blocks(), strict=True):
        assert rows == expected_rows
        assert torch.equal(block, expected)
    index = torch.tensor([99, 0, 50, 50])
    assert torch.equal(disk.take(index), memory.take(index))


def test_a_fit_from_disk_is_the_fit_in_memory(tmp_path: Path) -> None:
    raw, labels = clouds(100, 3, 2)
    raw = raw.astype(np.float32)
    x = torch.from_numpy(raw)
    feature_map = make_raw_map(x.mean(0), x.std(0))
    design = make_design(labels, "crossfit", 3, seed=0)
    fits = [
        fit_newton(
            SoftmaxStack(rows, torch.from_numpy(labels), 2, design, 0.01, torch.ones(100, dtype=torch.bool)),
            solve_newton_step,
        )
        for rows in (
            on_disk(tmp_path / "raw", raw, feature_map, 16),
            CachedRows(MemoryFeatures(x, 16), feature_map),
        )
    ]
    assert torch.equal(fits[0].theta, fits[1].theta)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 70))
def test_blocks_cover_every_row_once_in_order(n: int, block_rows: int) -> None:
    rows = MemoryRows(torch.arange(n, dtype=torch.float32)[:, None], block_rows)
    blocks = [block for _, block in rows.blocks()]
    assert torch.equal(torch.cat(blocks)[:, 0], torch.arange(n, dtype=torch.float32))
    assert all(len(block) <= block_rows for block in blocks)


@pytest.mark.parametrize("group_rows", [1, 7, 1_000])
def test_samples_do_not_depend_on_the_row_groups_of_the_file(tmp_path: Path, group_rows: int) -> None:
    raw, labels = clouds(50, 3, 2)
    raw = raw.astype(np.float32)
    features = pa.FixedSizeListArray.from_arrays(pa.array(raw.reshape(-1)), 3)
    trusted = pa.array([None if i % 7 == 0 else i % 2 == 0 for i in range(50)])
    columns = {"features": features, "label": pa.array(["ba"[i] for i in labels]), "trusted": trusted}
    table = pa.table({"sample_id": pa.array([f"row {i}" for i in range(50)]), **columns})
    pq.write_table(table, tmp_path / "d.parquet", row_group_size=group_rows)
    dataset = Dataset(
        path=tmp_path / "d.parquet",
        name="d",
        uri="d",
        rows=50,
        classes=("a", "b"),
        payload="tabular",
        feature_names=("x", "y", "z"),
        feature_shape=(3,),
        digest="",
        trusted=True,
    )
    samples = read_samples(dataset, featurize(dataset, tmp_path), "cpu")
    assert np.array_equal(samples.features.take(torch.arange(50)).float().numpy(), raw)
    assert np.array_equal(samples.labels.numpy(), 1 - labels)
    assert np.array_equal(samples.trusted, [i % 7 != 0 and i % 2 == 0 for i in range(50)])


def test_votes_are_places_among_the_classes_and_what_is_no_class_is_no_answer(tmp_path) -> None:
    columns = {"ann": ["0", "1.0", None, "9"], "bob": [0.0, 1.0, 1.0, None], "eve": [1, 1, None, 1]}
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    made = {"path": tmp_path / "d.parquet", "name": "d", "uri": "d", "digest": "", "payload": "tabular"}
    plain = Dataset(rows=4, classes=("0", "1"), feature_names=("x",), feature_shape=(1,), **made)
    labels = np.array([0, 1, 1, 1])
    assert read_votes(plain, labels) is None
    votes = read_votes(plain.model_copy(update={"raters": ("ann", "bob", "eve")}), labels)
    assert votes.tolist() == [[0, 0, 1], [1, 1, 1], [-1, 1, -1], [-1, -1, 1]]
    assert votes.dtype == np.int16


@pytest.mark.parametrize("block_rows", [1, 7, 100])
def test_moments_are_those_of_all_rows_at_once(block_rows: int) -> None:
    raw = torch.from_numpy(clouds(100, 3, 2)[0] + 1e3)
    mean, deviation = compute_moments(MemoryFeatures(raw, block_rows))
    assert torch.allclose(mean, raw.mean(0), rtol=1e-12)
    assert torch.allclose(deviation, raw.std(0, correction=0), rtol=1e-10)


def test_reading_ahead_stops_with_whoever_reads_and_passes_errors_on():
    closed = []

    def numbers(fail_at: int):
        try:
            for number in range(10):
                if number == fail_at:
                    raise OSError("the disk is gone")
                yield number
        finally:
            closed.append(fail_at)

    coming = prefetch(numbers(-1))
    assert [next(coming), next(coming)] == [0, 1]
    coming.close()
    assert closed == [-1]
    with pytest.raises(OSError, match="the disk is gone"):
        list(prefetch(numbers(3)))
    assert closed == [-1, 3]


def test_error_that_keeps_a_thread_from_starting_is_the_one_that_is_raised(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        list(prefetch(number for number in range(3)))
