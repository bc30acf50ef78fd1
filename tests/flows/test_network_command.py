"""`--model` from the command line: a network of the user's own end to end, and what is wrong with one in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from flow_command import environment
from flow_inputs import good_table, parquet

from flows.cli import run as labelsweep

OWN = """
from torch import nn

def factory(feature_shape, n_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(16), nn.ReLU(), nn.Linear(16, n_classes))

def ends_in_softmax(feature_shape, n_classes):
    return nn.Sequential(nn.Linear(*feature_shape, n_classes), nn.Softmax(dim=1))
"""


def clean(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder that holds the user's module."""
    (home / "mynet.py").write_text(OWN)
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", "clean", *arguments],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("resnet", "--model: must be linear, mlp, cnn or PACKAGE.MODULE:FUNCTION, not 'resnet'"),
        ("mynet:absent", "--model mynet:absent: module 'mynet' has no function 'absent'; write def factory("),
        ("nowhere:factory", "--model nowhere:factory: no module 'nowhere'"),
    ],
)
def test_a_wrong_model_is_one_line_before_anything_runs(tmp_path: Path, model: str, says: str) -> None:
    ran = clean(tmp_path, str(parquet(tmp_path)), "--model", model, "--quiet")
    assert ran.returncode == 2
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not ran.stdout
    assert not (tmp_path / "data").exists()


def test_a_network_of_the_users_own_sweeps_a_table(tmp_path: Path) -> None:
    source = parquet(tmp_path)
    wrong = clean(tmp_path, str(source), "--model", "mynet:ends_in_softmax", "--quiet")
    assert wrong.returncode == 2
    assert "the network does not end in torch.nn.Linear" in wrong.stderr
    assert not (tmp_path / "data").exists()
    options = ("--id", "id", "--folds", "3", "--max-queue", "9", "--json", "--quiet")
    ran = clean(tmp_path, str(source), "--model", "mynet:factory", *options)
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert summary["convergence"]["converged"]
    assert [member["width"] for member in summary["audit"]["members"]] == [16]
    run = next((tmp_path / "data" / "runs").glob("pets-*"))
    assert pq.read_table(run / "scores.parquet").num_rows == 60
    assert not list(run.rglob("*.pt"))
    assert not list(run.rglob("*.pkl"))
    curve = pq.read_table(run / "model" / "network_curve.parquet").to_pandas()
    assert curve.groupby(["round", "fold"]).kept.sum().eq(1).all()
    page = (run / "report.html").read_text()
    assert "Loss of 3 networks by epoch" in page


def test_influences_on_every_parameter_sweep_a_table_and_corrections_are_worth_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = good_table()["label"].to_pylist()
    wrong = [4, 9, 15, 22]
    given = [("dog", "cat")[x == "dog"] if row in wrong else x for row, x in enumerate(labels)]
    options = ("--id", "id", "--folds", "2", "--rounds", "1", "--controls", "0", "--json", "--quiet")
    source = str(parquet(tmp_path, label=given))
    ran = clean(tmp_path, source, "--model", "mynet:factory", "--params", "all", *options)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["convergence"]["converged"]
    run = next((tmp_path / "data" / "runs").glob("pets-*"))
    assert pq.read_table(run / "scores.parquet").to_pandas().influence.notna().all()
    queue = pd.read_csv(run / "queue.csv", dtype=str)
    assert {f"row-{row}" for row in wrong} <= set(queue.sample_id)
    queue.assign(new_label=queue.suggested_label).to_csv(tmp_path / "edited.csv", index=False)
    monkeypatch.chdir(tmp_path)
    assert labelsweep(["import", "edited.csv", "--from", "csv", "--reviewer", "Ada"]) == 0
    capsys.readouterr()
    # Refits the network of every fold with and without the corrections.
    assert labelsweep(["apply", "--yes", "--json"]) == 0
    gain = json.loads(capsys.readouterr().out)["gain"]
    assert gain["log_loss"]["after"] < gain["log_loss"]["before"]
