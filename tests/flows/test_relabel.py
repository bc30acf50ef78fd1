"""Decisions applied by Prefect: by hand, out of a sweep that waits for the review, and by the event of a finished queue."""

import asyncio
import json
import shutil
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from flow_command import start
from flow_inputs import parquet
from prefect import State, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.settings import get_current_settings

sys.path.insert(0, str(Path(__file__).parents[1] / "review"))

from review_server import Client, Process

from flows import relabel
from flows.clean import Cleaned, clean_labels
from flows.config import CleanParameters
from flows.platform.events import REVIEWED
from flows.relabel import ApplyParameters, Relabeled, apply_review, wait_for_review
from tasks.apply.version import list_versions
from tasks.review.log import DecisionLog, log_path
from tasks.review.queue import load_queue
from tasks.review.state import Answer, Review


def take_every_suggestion(run: Path) -> None:
    log = DecisionLog(log_path(run.parents[1]))
    review = Review(load_queue(run), log)
    review.decide(review.queue.items, Answer("suggestion"), "Ada")
    log.close()


def ask(api: str, path: str, body: dict[str, Any]) -> Any:
    """Ask the server as the UI does."""
    request = urllib.request.Request(
        f"{api}{path}", json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or "null")


class Person:
    """Somebody who sees the paused run in the UI and answers its form, and tries again where the server is busy."""

    _PATIENCE_S = 240

    def __init__(self, out: Path, *, review: bool = False, **answer: str) -> None:
        self._api = get_current_settings().api.url  # which only this thread knows
        self._last: object = "no paused run was seen"
        self._answered = False
        run = out if review else None
        self._thread = threading.Thread(target=self._work, args=(run, answer))
        self._thread.start()

    def _work(self, out: Path | None, answer: dict[str, str]) -> None:
        until = time.monotonic() + self._PATIENCE_S
        is_reviewed = out is None
        while not self._answered and time.monotonic() < until:
            time.sleep(0.1)
            try:
                paused = self._paused()
                if paused and not is_reviewed:
                    take_every_suggestion((out / "runs" / "latest").resolve())
                    is_reviewed = True
                self._answered = any(self._resume(one, answer) for one in paused)
            except OSError as busy:  # an HTTP error is one: SQLite was locked, say
                self._last = busy

    def _paused(self) -> list[str]:
        states = {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}
        return [found["id"] for found in ask(self._api, "/flow_runs/filter", states)]

    def _resume(self, flow_run: str, answer: dict[str, str]) -> bool:
        self._last = ask(self._api, f"/flow_runs/{flow_run}/resume", {"run_input": answer})
        return self._last["status"] == "ACCEPT"  # the form comes a moment after the pause

    def left(self) -> None:
        self._thread.join(self._PATIENCE_S)
        assert self._answered, self._last


@pytest.fixture(scope="module")
def swept(prefect_server, tmp_path_factory) -> Path:
    """The run folder of two flipped labels among sixty."""
    folder = tmp_path_factory.mktemp("relabel")
    return flawed(folder)


def source_of(folder: Path) -> Path:
    return parquet(folder, label=["dog"] * 2 + [("cat", "dog")[n % 2] for n in range(2, 60)])


def flawed(folder: Path) -> Path:
    cleaned = clean_labels(CleanParameters(source=str(source_of(folder)), out=folder / "out", id="id"))
    assert isinstance(cleaned, Cleaned)
    assert cleaned.queued
    return cleaned.folder


@pytest.fixture
def run(swept: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    out = Path(shutil.copytree(swept.parents[1], tmp_path / "out", symlinks=True))
    return out / "runs" / swept.name


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(relabel, "_ASK_EVERY_S", 1)


def artifacts_of(state: State) -> dict[str, Any]:
    async def read():
        async with get_client() as client:
            mine = ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id])
            return await client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=mine))

    # The key of the data set comes first.
    return {artifact.key.rpartition("-")[2]: artifact.data for artifact in asyncio.run(read())}


def test_the_flow_applies_the_decisions_and_shows_what_it_did(run: Path):
    take_every_suggestion(run)
    state = apply_review(ApplyParameters(out=run.parents[1]), return_state=True)
    done = state.result()
    assert isinstance(done, Relabeled)
    assert (done.is_new, done.run) == (True, run.name)
    assert state.message.startswith(f"{done.changes} changes in v0001, accuracy ")
    shown = artifacts_of(state)
    assert "Refitted with and without the corrections" in shown["applied"]
    assert len(json.loads(shown["changes"])) == done.changes > 0
    again = apply_review(ApplyParameters(run=run.name, out=run.parents[1]))
    assert (again.is_new, again.folder, again.gain) == (False, done.folder, done.gain)


def test_a_version_is_swept_as_it_is_and_what_was_decided_is_not_asked_again(run: Path):
    take_every_suggestion(run)
    out, decided = run.parents[1], {item.sample_id for item in load_queue(run).items}
    apply_review(ApplyParameters(out=out, gain=False))
    again = clean_labels(CleanParameters(source=str(out / "datasets" / "pets" / "latest"), out=out))
    assert isinstance(again, Cleaned)
    before, after = (pq.read_table(folder / "dataset.parquet") for folder in (run, again.folder))
    assert after.column_names == before.column_names
    assert after["content_hash"].equals(before["content_hash"])
    assert after["sample_id"].equals(before["sample_id"])
    assert after["label"].to_pylist()[:2] != before["label"].to_pylist()[:2]
    assert not {item.sample_id for item in load_queue(again.folder).items} & decided


def test_what_is_wrong_fails_the_run_with_one_line(prefect_server, tmp_path: Path):
    state = apply_review(ApplyParameters(run="nowhere", out=tmp_path), return_state=True)
    assert state.is_failed()
    assert "no run 'nowhere'" in state.message
    assert "\n" not in state.message


@pytest.mark.parametrize("model", [ApplyParameters, relabel.ReviewAnswer])
def test_the_forms_in_the_ui_describe_every_field(model):
    fields = model.model_json_schema()["properties"]
    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_a_sweep_waits_for_the_review_and_applies_it_when_told_to(prefect_server, tmp_path: Path):
    out = tmp_path / "out"
    parameters = CleanParameters(source=str(source_of(tmp_path)), out=out, id="id", wait_for_review=True)
    person = Person(out, review=True, action="apply now", comment="all looked at")
    state = clean_labels(parameters, return_state=True)
    person.left()
    assert (state.name, state.is_completed()) == ("Applied", True)
    assert state.message.endswith("(all looked at)")
    cleaned = state.result()
    assert isinstance(cleaned, Cleaned)
    (_, corrected) = list_versions(out, "pets")
    assert corrected.run == cleaned.folder.name


@flow
def asking(run: Path, seconds: float) -> State[object]:
    return wait_for_review(run, str(run.parents[1]), 2, seconds, result=None)


@pytest.mark.parametrize(("action", "name"), [("apply later", "ApplyLater"), ("reject", "Rejected")])
def test_later_and_reject_write_nothing(run: Path, action: str, name: str):
    take_every_suggestion(run)
    person = Person(run.parents[1], action=action)
    state = asking(run, 300, return_state=True)
    person.left()
    assert (state.name, state.is_completed()) == (name, True)
    assert not (run.parents[1] / "datasets").exists()


def test_nobody_answering_is_no_failure(run: Path):
    state = asking(run, 1, return_state=True)
    assert (state.name, state.is_completed()) == ("ReviewPending", True)
    assert f"labelsweep apply {run.name}" in state.message


def test_waiting_without_a_server_that_others_reach_is_refused(tmp_path: Path):
    (tmp_path / "home").mkdir()
    source = source_of(tmp_path)
    process = start(["clean", str(source), "--id", "id", "--wait-for-review"], tmp_path / "home")
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "--wait-for-review: nobody could answer" in error
    assert error.count("\n") == 1
    assert not list((tmp_path / "home" / "data").glob("runs/*"))


def test_the_last_decision_of_a_queue_is_an_event(run: Path):
    out = run.parents[1]
    server = Process(
        out, run.name, "--reviewer", "Ada", "--port", "0", PREFECT_API_URL=get_current_settings().api.url
    )
    try:
        client = Client(server.address)
        total = client.get("/api/progress")["total"]
        body = {"decision": "keep", "filter": {}, "expected": total, "action": "e" * 16}
        assert client.post("/api/decide-many", body)[1]["todo"] == 0
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 40
        while not found and time.monotonic() < deadline:
            time.sleep(0.3)
            wanted = {
                "filter": {"event": {"name": [REVIEWED]}, "resource": {"id": [f"labelsweep.run.{run.name}"]}}
            }
            found = ask(get_current_settings().api.url, "/events/filter", wanted)["events"]
    finally:
        server.kill()
    assert found[0]["payload"] == {"run_id": run.name, "out": str(out)}
