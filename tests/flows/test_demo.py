"""The main job on the bundled digits, by the command in a process of its own."""

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from flow_command import secrets_in

from flows.cli import run


def latest(demo) -> Path:
    return (demo.out / "runs" / "latest").resolve()


def test_demo_prints_the_summary_and_nothing_else_on_stdout(demo):
    assert demo.exit_code == 0, demo.stderr
    assert demo.stdout == (latest(demo) / "summary.json").read_text()
    assert json.loads(demo.stdout)["data"]["rows"] == 1797


def test_demo_tells_each_step_in_one_plain_line(demo):
    steps = [line.split(": ")[1] for line in demo.stderr.splitlines()]
    assert steps == [
        *("ingest", "validate", "encode", "fit", "attribute", "fit, round 2", "attribute, round 2"),
        *("controls", "flag", "queue", "oddities", "map", "report"),
    ]


def test_demo_finds_the_planted_errors(demo):
    quality = json.loads(demo.stdout)["quality"]
    assert quality["average_precision"] >= 0.98
    assert quality["f1"] >= 0.94
    assert quality["suggested_right"] >= 0.97


def test_demo_knows_without_the_truth_how_good_its_queue_is(demo):
    summary = json.loads(demo.stdout)
    controls, quality = summary["queue"]["controls"], summary["quality"]
    assert controls["planted"] == 90
    assert controls["recall"]["low"] <= quality["recall"] <= controls["recall"]["high"]
    assert controls["precision"]["low"] <= quality["precision"] <= controls["precision"]["high"]
    noise = quality["n_errors"] / summary["data"]["rows"]
    assert controls["noise_rate"]["low"] <= noise <= controls["noise_rate"]["high"]


def test_nothing_tries_to_reach_the_internet(demo):
    assert demo.exit_code == 0
    assert not demo.network_log.exists(), demo.network_log.read_text()


def test_no_secret_of_the_environment_is_written_or_said(demo):
    assert secrets_in(demo.out.parent, demo.stdout, demo.stderr) == []
    assert not (demo.out.parent / "prefect").exists()


def test_every_promised_file_is_there_and_is_what_the_manifest_says(demo):
    folder = latest(demo)
    manifest = json.loads((folder / "manifest.json").read_text())["files"]
    promised = {
        "dataset.parquet",
        "scores.parquet",
        "queue.parquet",
        "queue.csv",
        "report.html",
        "summary.json",
    }
    assert promised | {"config.yaml"} <= manifest.keys()
    for name, entry in manifest.items():
        content = (folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
        if name.endswith(".parquet"):
            assert pq.read_metadata(folder / name).num_rows == entry["rows"]


def test_queue_holds_the_flagged_samples_worst_first(demo):
    scores = pq.read_table(latest(demo) / "scores.parquet").to_pandas()
    queue = pq.read_table(latest(demo) / "queue.parquet").to_pandas()
    assert set(queue["sample_id"]) == set(scores.loc[scores["flagged"], "sample_id"])
    assert queue["score"].is_monotonic_increasing
    assert list(queue["rank"]) == list(range(1, len(queue) + 1))


def test_truth_lies_nowhere_but_in_its_own_file(demo):
    for path in latest(demo).rglob("*.parquet"):
        if path.name != "truth.parquet":
            assert "true_label" not in pq.read_schema(path).names, path


def test_config_replays_the_run_to_the_same_bytes(demo, prefect_server, tmp_path, capsys):
    config = latest(demo) / "config.yaml"
    assert yaml.safe_load(config.read_text())["seed"] == 0
    assert run(["clean", "--config", str(config), "--out", str(tmp_path), "--quiet"]) == 0
    first, again = latest(demo), (tmp_path / "runs" / "latest").resolve()
    assert again.name != first.name
    for name in ("scores.parquet", "queue.parquet"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].startswith("This queue is strong: ")
    assert lines[1].startswith("1,797 samples, ")
    assert lines[2].startswith("against the truth: average precision 0.9")
    assert lines[3:] == [
        f"queue:  {tmp_path / 'runs' / again.name / 'queue.csv'}",
        f"report: {tmp_path / 'runs' / again.name / 'report.html'}",
        f"review: labelsweep review {again.name} --out {tmp_path}",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_runs_lists_the_run(demo, capsys, as_json):
    assert run(["runs", "--out", str(demo.out), *(["--json"] if as_json else [])]) == 0
    printed = capsys.readouterr().out
    flagged = json.loads(demo.stdout)["queue"]["flagged"]
    if as_json:
        (entry,) = json.loads(printed)
        assert entry["run_id"] == latest(demo).name
        assert (entry["source"], entry["rows"], entry["flagged"]) == ("sample:digits", 1797, flagged)
        assert entry["state"] == "finished"
    else:
        assert printed.splitlines()[1].split()[0] == latest(demo).name
        assert f"  1,797  {flagged} " in printed
