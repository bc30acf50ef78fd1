"""A data set that lives, with its results on an object store."""

import sys
from pathlib import Path

import fsspec
import pytest
from prefect.testing.utilities import prefect_test_harness

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))

from living_data import NIGHTS, by_command, by_flow

from flows.cli import run
from tasks.addresses import work_folder
from tasks.runs import remote

OUT = "s3://labels/team"


@pytest.fixture(scope="module")
def prefect_server():
    with prefect_test_harness(server_startup_timeout=120):
        yield


def test_nights_on_a_store_show_what_those_on_a_disk_do(prefect_server, s3, objects, tmp_path, monkeypatch):
    monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path / "work"))
    data = by_flow(tmp_path / "pets.csv", OUT, work_folder(OUT))
    data.live(NIGHTS)
    there = objects()
    assert there["team/runs/latest"].decode() == data.runs[-1].name
    assert {f"team/runs/{run.name}/manifest.json" for run in data.runs} <= there.keys()
    assert any(name.startswith("team/datasets/pets/v0001/") for name in there)


def test_new_machine_goes_on_from_the_last_run_on_the_store(s3, objects, tmp_path, monkeypatch, capsys):
    data = by_command(tmp_path / "pets.csv", OUT, tmp_path)
    for number, event in enumerate(("begin", "add", "add_column")):
        monkeypatch.setenv(
            "LABELSWEEP_WORK", str(tmp_path / f"work-{number}")
        )  # each night on a machine of its own
        data.out = work_folder(OUT)
        before = set(data.frame.get("id", ()))
        getattr(data, event)()
        data.frame.to_csv(data.source, index=False)
        data.sweep()
        data._look(event, before)
        data.touched = set()
    monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path / "work-none"))
    sent = objects()
    data.sweep()  # nothing changed: nothing is swept, and nothing is published
    assert objects() == sent
    # A run that was damaged there is said, and --force goes on without it.
    (scores,) = [name for name in sent if name.endswith(f"{data.runs[-1].name}/scores.parquet")]
    fsspec.filesystem("s3").pipe_file(f"labels/{scores}", b"damaged")
    monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path / "work-after"))
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    options = [
        "--id",
        "id",
        "--rounds",
        "1",
        "--controls",
        "0",
        "--feature-map",
        "raw",
        "--folds",
        "3",
        "--quiet",
    ]
    assert run(["clean", str(data.source), *options, "--out", OUT]) == 2
    assert "--force continues without this run" in capsys.readouterr().err
    assert run(["clean", str(data.source), *options, "--out", OUT, "--force"]) == 0
