"""`--model` from the command line: a network of the user's own end to end, and what is wrong with one in one line."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from flow_command import start
from flow_inputs import good_table, parquet

from flows.cli import run as labelsweep

OWN = """
from torch import nn

def factory(feature_shape, n_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(16), nn.ReLU(), nn.Linear(16, n_classes))

def ends_in_softmax(feature_shape, n_classes):
    return nn.Sequential(nn.Linear(*feature_shape, n_classes), nn.Softmax(dim=1))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of somebody who wrote a module."""
    (tmp_path / "ownnet.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("resnet", "--model: must be auto, cnn, linear, mlp or PACKAGE.MODULE:FUNCTION, not 'resnet'"),
        (
            "ownnet:absent",
            "--model ownnet:absent: module 'ownnet' has no function 'absent'; write def factory(",
        ),
        ("nowhere:factory", "--model nowhere:factory: no module 'nowhere'"),
        ("ownnet:ends_in_softmax", "the network does not end in torch.nn.Linear"),
    ],
)
def test_a_wrong_model_is_one_line_before_anything_runs(
    prefect_server: None, home: Path, capsys: pytest.CaptureFixture[str], model: str, says: str
) -> None:
    assert labelsweep(["clean", str(parquet(home)), "--model", model, "--quiet"]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert not (home / "data").exists()


def test_a_network_of_the_users_own_sweeps_a_table(home: Path) -> None:
    options = ("--id", "id", "--folds", "3", "--max-queue", "9", "--json", "--quiet")
    # In a process of its own, as a user starts it: the module is found where it was started.
    process = start(["clean", str(parquet(home)), "--model", "ownnet:factory", *options], home)
    printed, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    summary = json.loads(printed)
    assert summary["convergence"]["converged"]
    assert [member["width"] for member in summary["audit"]["members"]] == [16]
    run = next((home / "data" / "runs").glob("pets-*"))
    assert pq.read_table(run / "scores.parquet").num_rows == 60
    assert not list(run.rglob("*.pt"))
    assert not list(run.rglob("*.pkl"))
    curve = pq.read_table(run / "model" / "network_curve.parquet").to_pandas()
    assert curve.groupby(["round", "fold"]).kept.sum().eq(1).all()
    page = (run / "report.html").read_text()
    assert "Loss of 3 networks by epoch" in page


def test_influences_on_every_parameter_sweep_a_table_and_corrections_are_worth_something(
    prefect_server: None, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = good_table()["label"].to_pylist()
    wrong = [4, 9, 15, 22]
    given = [("dog", "cat")[x == "dog"] if row in wrong else x for row, x in enumerate(labels)]
    options = ("--id", "id", "--folds", "2", "--rounds", "1", "--controls", "0", "--json", "--quiet")
    model = ("--model", "ownnet:factory", "--params", "all")
    assert labelsweep(["clean", str(parquet(home, label=given)), *model, *options]) == 0, (
        capsys.readouterr().err
    )
    assert json.loads(capsys.readouterr().out)["convergence"]["converged"]
    run = next((home / "data" / "runs").glob("pets-*"))
    assert pq.read_table(run / "scores.parquet").to_pandas().influence.notna().all()
    queue = pd.read_csv(run / "queue.csv", dtype=str)
    assert {f"row-{row}" for row in wrong} <= set(queue.sample_id)
    queue.assign(new_label=queue.suggested_label).to_csv("edited.csv", index=False)
    assert labelsweep(["import", "edited.csv", "--from", "csv", "--reviewer", "Ada"]) == 0
    capsys.readouterr()
    # Refits the network of every fold with and without the corrections.
    assert labelsweep(["apply", "--yes", "--json"]) == 0
    gain = json.loads(capsys.readouterr().out)["gain"]
    assert gain["log_loss"]["after"] < gain["log_loss"]["before"]
