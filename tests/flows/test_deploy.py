"""Many data sets from one list: deployments that follow it, and runs of them on a worker, whose results stay."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flow_inputs import parquet
from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.settings import get_current_settings

from flows.cli import run
from flows.data_sets import read_list
from tasks.errors import InputError
from tasks.runs.data_sets import find_newest_runs

LIST = """\
defaults: {{schedule: "0 2 * * *", timezone: Europe/Berlin, rounds: 1, controls: 0, feature_map: raw, folds: 3}}
datasets:
  pets:
    source: "{source}"
    id: id
    owner: ada
    gate: 0.9
"""


@pytest.fixture
def listed(prefect_server, tmp_path, monkeypatch) -> Path:
    """Return a folder with a list of one data set, whose files have dates in their names."""
    url = str(get_current_settings().api.url)
    monkeypatch.setenv("PREFECT_API_URL", url)
    monkeypatch.chdir(tmp_path)
    for day in ("2026-11-28", "2026-11-29"):
        parquet(tmp_path).rename(tmp_path / f"pets-{day}.parquet")
    (tmp_path / "datasets.yaml").write_text(LIST.format(source="pets-{date}.parquet"))
    with get_client(sync_client=True) as client:
        if "cpu" not in {pool.name for pool in client.read_work_pools()}:
            client.create_work_pool(WorkPoolCreate(name="cpu", type="process"))
    return tmp_path


def on_a_worker(**variables: str) -> FlowRun:
    """Have the deployment swept by a worker, its parameters replaced as `prefect deployment run -p` does; return the run."""
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name("clean-labels/pets")
        # The gate has tests of its own.
        asked = {**found.parameters["parameters"], "max_noise": None, "out": "data"}
        flow_run = client.create_flow_run_from_deployment(found.id, parameters={"parameters": asked})
        kept = {name: value for name, value in os.environ.items() if name != "LABELSWEEP_OUT"}
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "cpu", "--run-once"]
        subprocess.run(command, env=kept | variables, check=True, capture_output=True, timeout=900)
        return client.read_flow_run(flow_run.id)


def test_entries_start_at_the_folder_of_the_list_and_win_over_defaults(tmp_path: Path):
    file = tmp_path / "datasets.yaml"
    query = "sqlite:///{}?query=SELECT * FROM pets"
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").touch()
    lines = [
        "defaults: {gate: 0.5}",
        "datasets:",
        f"  pets: {{source: '{query.format('p.db')}', max-noise: 0.01,",
    ]
    lines += ["    metrics: pets.prom, encoder: encoder}", "  cats: {source: cats.csv}"]
    file.write_text("\n".join(lines))
    pets, cats = read_list(file)
    assert pets.options["source"] == query.format(tmp_path / "p.db")
    assert (pets.options["metrics"], pets.options["encoder"]) == (
        str(tmp_path / "pets.prom"),
        str(tmp_path / "encoder"),
    )
    assert (pets.options["max_noise"], cats.options["max_noise"]) == (0.01, 0.5)
    file.write_text("\n".join([*lines[:-1], "  cats: {source: cats.csv, name: pets}"]))
    with pytest.raises(InputError, match="cats: another data set is called 'pets'"):
        read_list(file)


def test_deployments_follow_the_list_and_say_what_changed(listed: Path, capsys):
    assert run(["deploy"]) == 0
    assert capsys.readouterr().out == 'pets: made as clean-labels/pets, "0 2 * * *" Europe/Berlin\n'
    assert run(["deploy"]) == 0
    assert capsys.readouterr().out == 'pets: unchanged, "0 2 * * *" Europe/Berlin\n'
    file = listed / "datasets.yaml"
    file.write_text(file.read_text().replace("0 2", "0 4").replace("0.9", "0.8"))
    assert run(["deploy"]) == 0
    said = capsys.readouterr().out
    assert "max_noise 0.9 → 0.8" in said
    assert 'schedule "0 2 * * *" Europe/Berlin → "0 4 * * *" Europe/Berlin' in said
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name("clean-labels/pets")
        assert [one.schedule.cron for one in found.schedules] == ["0 4 * * *"]
        assert {"dataset:pets", "owner:ada"} <= set(found.tags)
        client.pause_deployment(found.id)
        file.write_text(file.read_text().replace("0.8", "0.7"))
        assert run(["deploy"]) == 0
        assert capsys.readouterr().out == "pets: max_noise 0.8 → 0.7\n"
        assert client.read_deployment(found.id).paused
        file.write_text(file.read_text() + "    notify: {block: slack-webhook/team, on: [flagged, failed]}\n")
        SlackWebhook(url="http://127.0.0.1:9/").save("team", overwrite=True)
        assert run(["deploy"]) == 0
        assert "pets: tells slack-webhook/team of: flagged, failed" in capsys.readouterr().out
        assert client.read_automations_by_name("labelsweep pets: flagged")
        (failed,) = client.read_automations_by_name("labelsweep pets: failed")
        assert failed.trigger.expect == {"prefect.flow-run.Failed", "prefect.flow-run.Gate"}
    file.write_text(file.read_text().replace("  pets:", "  cats:"))
    assert run(["deploy"]) == 0
    assert "pets: is not listed any more; --prune removes it" in capsys.readouterr().out
    assert run(["deploy", "--prune"]) == 0
    assert "pets: removed" in capsys.readouterr().out
    with get_client(sync_client=True) as client:
        names = {one.name for one in client.read_deployments()}
    assert "cats" in names
    assert "pets" not in names
    file.write_text("datasets: {pets: {source: a.csv, schedule: '0 2 * * *', timezone: Berlin}}")
    assert run(["deploy"]) == 2
    assert "data set pets: no time zone 'Berlin'; write it as in Europe/Berlin" in capsys.readouterr().err
    file.write_text("datasets: {pets: {source: a.csv, lable: species}}")
    assert run(["deploy"]) == 2
    assert "datasets.yaml: pets: unknown option 'lable'; did you mean 'label'?" in capsys.readouterr().err
    file.write_text("datasets:\n  pets: {source: a.csv}\n  pets: {source: b.csv}\n")
    assert run(["deploy"]) == 2
    assert "line 3 is not YAML ('pets' is there twice)" in capsys.readouterr().err


def test_results_of_a_worker_go_where_its_setting_says_and_without_one_the_run_is_refused(
    listed: Path, capsys
):
    assert run(["deploy"]) == 0
    refused = on_a_worker()
    assert refused.state.is_failed()
    assert "set LABELSWEEP_OUT to a folder" in refused.state.message
    out = listed / "results"
    done = on_a_worker(LABELSWEEP_OUT=str(out))
    assert done.state.is_completed(), done.state.message
    ((data_set, newest),) = find_newest_runs(out).items()
    assert data_set == "pets"
    assert "pets-2026-11-29.parquet" in (out / "runs" / newest / "config.yaml").read_text()
    capsys.readouterr()
    assert run(["datasets", "--out", str(out)]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert line.split()[0] == "pets"
    assert line.split()[-1] == "ada"
    assert header.split()[:2] == ["DATA", "SET"]
    file = listed / "datasets.yaml"
    file.write_text(file.read_text().replace("  pets:", "  animals:\n    name: pets"))
    assert run(["datasets", "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [header, line]
