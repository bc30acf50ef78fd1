"""The flow as Prefect sees it."""

import asyncio
import importlib
import json
import re
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from flow_inputs import parquet
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flows.clean import Cleaned, clean_labels
from flows.config import CleanParameters
from flows.fit import fit_on_worker
from flows.platform.artifacts import escape, read_top_of_queue
from tasks.errors import InputError


def run_of(state):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(state.state_details.flow_run_id)


def artifacts_of(state) -> dict:
    async def read():
        async with get_client() as client:
            wanted = ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id])
            )
            return await client.read_artifacts(artifact_filter=wanted)

    # The key of the data set comes first.
    return {re.sub("^(pets-[0-9a-f]{6}|run)-", "", one.key): one for one in asyncio.run(read())}


@pytest.fixture(scope="module")
def swept(prefect_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flow")
    source = parquet(folder, label=["dog"] * 2 + [("cat", "dog")[n % 2] for n in range(2, 60)])
    storage = {PREFECT_LOCAL_STORAGE_PATH: folder / "storage"}
    with pytest.MonkeyPatch.context() as patch, temporary_settings(storage):
        patch.setattr("flows.progress.EVERY_SECONDS", 0.0)  # every step counts as a long one
        return clean_labels(
            CleanParameters(source=str(source), out=folder / "out", id="id"), return_state=True
        )


def test_flow_run_is_named_after_the_data_set_and_the_time_and_tagged_with_the_data_set(swept):
    run = run_of(swept)
    assert swept.is_completed()
    assert re.fullmatch(r"pets 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{4}", run.name)
    assert [tag for tag in run.tags if re.fullmatch(r"dataset:pets-[0-9a-f]{6}", tag)]


def test_results_are_never_pickled(swept):
    storage = swept.result().folder.parents[2] / "storage"
    assert not [path for path in storage.rglob("*") if path.is_file()]


def test_artifacts_show_the_queue_the_headline_and_the_report(swept):
    cleaned = asyncio.run(swept.aresult()) if hasattr(swept, "aresult") else swept.result()
    assert isinstance(cleaned, Cleaned)
    artifacts = artifacts_of(swept)
    assert artifacts.keys() >= {
        *("queue", "summary", "report", "progress"),
        "steps",
    }
    steps = json.loads(artifacts["steps"].data)
    assert [step["step"] for step in steps][:3] == ["ingest", "validate", "encode"]
    assert all(step["seconds"] >= 0 and step["peak memory (MB)"] > 0 for step in steps)
    summary = artifacts["summary"].data
    assert summary.count("](data:image/png;base64,") == 2
    assert f"labelsweep review {cleaned.folder.name}" in summary
    table = json.loads(artifacts["queue"].data)
    assert len(table) == cleaned.queued
    assert table[0]["rank"] == 1
    assert float(artifacts["progress"].data) == 100
    assert str(cleaned.report.absolute()) in artifacts["report"].data
    assert "file://" not in artifacts["report"].data + summary
    assert f"{cleaned.samples} samples, {cleaned.flagged} flagged" in swept.message
    assert "60 samples" in artifacts["summary"].data


def test_what_the_user_did_wrong_fails_the_run_with_one_line(prefect_server, tmp_path):
    parameters = CleanParameters(source=str(tmp_path / "absent.csv"), out=tmp_path / "out")
    state = clean_labels(parameters, return_state=True)
    assert state.is_failed()
    assert run_of(state).state.message.startswith(f"{tmp_path}/absent.csv: no such file")
    assert "\n" not in state.message
    with pytest.raises(InputError, match="absent"):
        clean_labels(parameters)


def test_form_in_the_ui_describes_every_field(prefect_server):
    schema = clean_labels.parameters.model_dump()["definitions"]["CleanParameters"]
    assert schema["properties"].keys() == CleanParameters.model_fields.keys()
    assert [name for name, field in schema["properties"].items() if not field.get("description")] == []


def test_records_cross_to_the_worker_as_json(swept):
    """What the GPU part takes and gives survives the way through Prefect's API."""
    cleaned: Cleaned = swept.result()
    steps = {p.stem: json.loads(p.read_text())["record"] for p in (cleaned.folder / "steps").glob("*.json")}
    parameters = {
        "dataset": steps["validate"]["dataset"],
        "folder": str(cleaned.folder),
        "options": CleanParameters(source="x").audit_options().model_dump(mode="json"),
    }
    fitted = fit_on_worker(**fit_on_worker.validate_parameters(json.loads(json.dumps(parameters))))
    assert fitted.scores.model_dump(mode="json") == steps["attribute-2"]


def test_table_of_the_queue_stays_small_whatever_the_data_hold(tmp_path):
    rows = 3_000
    pq.write_table(
        pa.table(
            {
                "rank": range(1, rows + 1),
                "sample_id": ["s" * 5_000] * rows,
                "reason": ["because " * 500] * rows,
                "image": [b"x" * 1_000] * rows,
            }
        ),
        tmp_path / "queue.parquet",
    )
    table = read_top_of_queue(tmp_path / "queue.parquet")
    assert len(table) == 1_000
    assert len(json.dumps(table)) < 1_000_000
    assert "image" not in table[0]


def test_text_from_the_data_is_only_text_in_markdown():
    escaped = escape("[click](http://x) <img src=x>\n# title | **bold** `code`")
    assert escaped == r"\[click\]\(http\://x\) \<img src=x\> \# title \| \*\*bold\*\* \`code\`"


def test_deployment_file_names_what_can_be_imported():
    deployments = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]
    for deployment in deployments:
        module, name = deployment["entrypoint"].rsplit(".", 1)
        flow = getattr(importlib.import_module(module), name)
        assert isinstance(flow, Flow)
        if deployment["name"] != "gpu":  # it is sent its parameters
            flow.validate_parameters(deployment["parameters"])


def test_event_tells_the_counts_of_the_run(swept):
    from prefect.events.filters import EventFilter, EventNameFilter

    cleaned: Cleaned = swept.result()
    wanted = EventFilter(event=EventNameFilter(name=["labels.flagged"]))
    deadline = time.monotonic() + 30
    found: list = []
    with get_client(sync_client=True) as client:
        while not found and time.monotonic() < deadline:
            answer = client.request(
                "POST", "/events/filter", json={"filter": wanted.model_dump(mode="json"), "limit": 50}
            )
            events = answer.json()["events"]
            found = [event for event in events if event["payload"]["run_id"] == cleaned.folder.name]
            time.sleep(0.2)
    (event,) = found
    assert event["payload"]["flagged"] == cleaned.flagged
    assert event["payload"]["rows"] == cleaned.samples
    assert event["payload"]["out"] == str(cleaned.folder.parents[1])


def test_every_long_step_has_a_progress_artifact_of_its_own(swept):
    artifacts = artifacts_of(swept)
    for step in ("ingest", "encode", "fit", "attribute", "controls", "queue", "report"):
        artifact = artifacts[f"{step}-progress"]
        assert float(artifact.data) == 100
        assert ": done in " in artifact.description


def test_long_step_says_how_far_it_is_and_how_long_it_takes(prefect_server, monkeypatch):
    from prefect import flow

    from flows import progress as module
    from flows.platform.flow_run import FlowRunWatcher

    monkeypatch.setattr(module, "EVERY_SECONDS", 0.0)

    @flow
    def watched_step():
        with module.add_watcher(FlowRunWatcher("run")):
            within = module.Within("fit, round 2")
            within("folds", 5, 15)
            within("folds", 10, 15)

    artifacts = artifacts_of(watched_step(return_state=True))
    assert float(artifacts["fit-progress"].data) == pytest.approx(100 * 10 / 15)
    assert artifacts["fit-progress"].description.startswith("fit, round 2: 10 of 15 folds, about ")
