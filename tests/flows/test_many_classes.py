"""A thousand classes by the command: the wrong labels come first, and no small class is flagged as a whole."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.cli import run
from tasks.storage import read_json

CLASSES, WIDTH = 1_000, 6


def test_a_thousand_classes_are_swept(prefect_server, tmp_path, capsys):
    generator = np.random.default_rng(0)
    # Twenty samples in the largest class, four in nearly all.
    sizes = np.maximum(4, (20 / np.sqrt(1 + np.arange(CLASSES))).astype(int))
    true = np.repeat(np.arange(CLASSES), sizes)
    vectors = 3 * generator.normal(size=(CLASSES, WIDTH))[true] + 0.3 * generator.normal(
        size=(len(true), WIDTH)
    )
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    wrong = generator.choice(first, 40, replace=False)  # at most one of a class
    given = true.copy()
    given[wrong] = (true[wrong] + generator.integers(1, CLASSES, len(wrong))) % CLASSES
    names = np.array([f"class {label:04}" for label in range(CLASSES)])
    table = {"vector": list(np.float32(vectors)), "label": names[given], "truth": names[true]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    options = ["--embedding", "vector", "--truth", "truth", "--feature-map", "raw", "--folds", "2"]
    options += [
        "--rounds",
        "1",
        "--controls",
        "0",
        "--max-queue",
        "5",
        "--out",
        str(tmp_path / "out"),
        "--quiet",
    ]
    assert run(["clean", str(tmp_path / "t.parquet"), *options]) == 0, capsys.readouterr().err
    folder = tmp_path / "out" / "runs" / "latest"
    summary = read_json(folder / "summary.json")
    assert set(summary["data"]["classes"]) == set(names)
    assert summary["quality"]["average_precision"] > 0.9
    assert summary["quality"]["recall"] > 0.9
    scores = pq.read_table(folder / "scores.parquet", columns=["given_label", "flagged"]).to_pandas()
    assert scores.groupby("given_label").flagged.mean().max() <= 0.5
