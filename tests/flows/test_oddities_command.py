"""What else stands out, by the command: each kind in a section and a file of its own, the queue untouched."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.cli import run
from tasks.storage import read_json


def test_copies_strangers_and_leaks_are_listed_beside_the_queue(prefect_server, tmp_path, capsys):
    generator = np.random.default_rng(0)
    label = np.arange(240) % 3
    x = generator.normal(size=(240, 4)) + label[:, None]
    x[0], label[0] = x[1] + 1e-4, 2  # nearly the same as its neighbour, under another label
    x[2] = 60  # a unit mixed up
    x[9], label[9] = x[12], 1  # identical content, another label
    code = np.array([30.0, 10.0, 20.0])[label]
    code[0], code[9] = code[1], code[12]
    code[4] = 10.0
    frame = pd.DataFrame(x, columns=list("abcd")).assign(
        status_code=code, label=label, name=[f"row {n}" for n in range(240)]
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    for out in ("one", "two"):
        options = ["--id", "name", "--out", str(tmp_path / out), "--quiet", "--controls", "0"]
        options += [
            "--features",
            "a,b,c,d,status_code",
        ]  # else the code is left out before anything is learned
        assert run(["clean", str(tmp_path / "t.csv"), *options]) == 0, capsys.readouterr().err
    folder, again = ((tmp_path / out / "runs" / "latest").resolve() for out in ("one", "two"))
    found = read_json(folder / "summary.json")["oddities"]
    assert (found["looked_at"], found["exact"]) == (240, True)
    assert found["identical_with_different_labels"] == 2
    assert [one["feature"] for one in found["telling_features"]] == ["status_code"]
    groups = pq.read_table(folder / "duplicates.parquet").to_pylist()
    assert {"row 0", "row 1"} <= {row["sample_id"] for row in groups}
    assert pq.read_table(folder / "outliers.parquet")["sample_id"].to_pylist()[0] == "row 2"
    page = (folder / "report.html").read_text()
    for title in (
        "Same content, different labels",
        "Near-duplicates",
        "Outliers",
        "Features that give the label away",
    ):
        assert f">{title}<" in page
    assert "status_code" in page
    for name in ("duplicates.parquet", "outliers.parquet", "oddities.json"):
        assert (folder / name).read_bytes() == (again / name).read_bytes()
        assert name in read_json(folder / "manifest.json")["files"]


def test_predictions_are_not_taken_for_copies_or_leaks(prefect_server, tmp_path, capsys):
    label = np.arange(100) % 2
    sure = np.where(label == 1, 0.9, 0.1) + np.random.default_rng(0).normal(0, 0.02, 100)
    pd.DataFrame({"no": 1 - sure, "yes": sure, "label": label}).to_csv(tmp_path / "p.csv", index=False)
    options = ["--pred-probs", "no,yes", "--out", str(tmp_path / "out"), "--quiet", "--controls", "0"]
    assert run(["clean", str(tmp_path / "p.csv"), *options]) == 0, capsys.readouterr().err
    found = read_json(tmp_path / "out" / "runs" / "latest" / "summary.json")["oddities"]
    assert (found["near_duplicates"], found["outliers"], found["telling_features"]) == (0, 0, [])
    assert found["looked_at"] == 0
