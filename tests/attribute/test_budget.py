"""The whole way from encode to scores on files: the budget, the row groups and the size of blocks decide nothing."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from problems import blobs

from tasks.attribute import step as attribute_step
from tasks.encode import step as encode_step
from tasks.fit import step as fit_step
from tasks.heads import softmax, stacks
from tasks.heads.rows import CachedRows, EncodedRows
from tasks.models import linear
from tasks.options import AuditOptions
from tasks.records import Dataset


def data_set(folder: Path, rows: int, group_rows: int) -> Dataset:
    features, labels, _ = blobs(rows, d=5, classes=3)
    flat = pa.array(features.astype(np.float32).reshape(-1))
    table = pa.table(
        {
            "sample_id": [f"s{i}" for i in range(rows)],
            "label": pa.array(["abc"[i] for i in labels]),
            "features": pa.FixedSizeListArray.from_arrays(flat, 5),
            "content_hash": [f"h{i}" for i in range(rows)],
        }
    )
    path = folder / "dataset.parquet"
    pq.write_table(table, path, row_group_size=group_rows)
    return Dataset(
        path=path,
        name="d",
        uri="d",
        rows=rows,
        classes=("a", "b", "c"),
        payload="tabular",
        feature_names=tuple("vwxyz"),
        feature_shape=(5,),
        digest="",
    )


def swept(folder: Path, options: AuditOptions, rows: int = 700, group_rows: int = 1_000) -> pa.Table:
    """Return the scores of two rounds, each step from the files of the one before."""
    folder.mkdir()
    dataset = data_set(folder, rows, group_rows)
    encoding = encode_step.encode.fn(dataset, folder, options)
    scores = None
    for _ in range(2):
        model = fit_step.fit.fn(dataset, encoding, folder, options, scores)
        scores = attribute_step.attribute.fn(dataset, encoding, model, folder, options)
    return pq.read_table(scores.path)


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return swept(tmp_path_factory.mktemp("roomy") / "run", AuditOptions())


def test_a_budget_that_holds_nothing_gives_the_same_bits(
    roomy: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, kept = set(), []
    rows, hessian = stacks.encode_rows, softmax.SoftmaxHessian

    def encode(*arguments: object) -> object:
        made = rows(*arguments)  # type: ignore[arg-type]
        kinds.add(type(made))
        return made

    class Watched(hessian):  # type: ignore[valid-type, misc]
        def __init__(self, stack: softmax.SoftmaxStack, theta: object) -> None:
            super().__init__(stack, theta)
            kept.append(self._kept)

    monkeypatch.setattr(stacks, "encode_rows", encode)
    monkeypatch.setattr(softmax, "SoftmaxHessian", Watched)
    monkeypatch.setattr(linear, "choose_memory_budget", lambda _: 1)
    tight = swept(tmp_path / "run", AuditOptions())
    assert kinds == {EncodedRows}
    assert tight.equals(roomy)
    monkeypatch.setattr(linear, "choose_memory_budget", lambda _: 10**9)
    assert swept(tmp_path / "again", AuditOptions()).equals(roomy)
    assert kinds == {EncodedRows, CachedRows}
    assert None in kept


@pytest.mark.parametrize("group_rows", [64, 333])
def test_row_groups_do_not_count(roomy: pa.Table, tmp_path: Path, group_rows: int) -> None:
    assert swept(tmp_path / "run", AuditOptions(), group_rows=group_rows).equals(roomy)
