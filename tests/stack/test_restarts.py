"""What dies is started again, what is away for a while costs nothing, and who waits for people holds nobody up.

These tests use the stack of the others, before the last of `test_stack.py` stops it.
"""

import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from local_stack import SMALL, Stack, runs_in
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.states import Pending

from flows.platform.setup import _install, find_configuration

if not os.environ.get("LABELSWEEP_STACK_FAULTS"):
    pytest.skip("takes minutes: LABELSWEEP_STACK_FAULTS=1 runs it", allow_module_level=True)

ON_DEMAND = "clean-labels/on-demand"


def process_with(stack: Stack, words: str) -> int | None:
    """Return the stack's process whose command line ends with the words, without the shell that keeps it."""
    found = [pid for pid, line in stack.processes().items() if words in line and "keep.sh" not in line]
    return min(found, default=None)


def test_worker_that_died_is_started_again(stack: Stack):
    died = process_with(stack, "worker start --pool cpu")
    os.kill(died, signal.SIGKILL)
    stack.wait(lambda: process_with(stack, "worker start --pool cpu") not in (None, died), 60)
    assert "'prefect worker start' ended with code 137; it is started again" in stack.log


def test_run_that_crashed_is_started_once_more_and_goes_on_to_the_same_bytes(
    stack: Stack, blobs: Path, sent, tmp_path
):
    parameters = {"source": str(blobs), "out": str(tmp_path), **SMALL}
    run = stack.submit(ON_DEMAND, **parameters, gpu_deployment=None)
    stack.wait(lambda: list(tmp_path.glob("runs/*/steps/ingest.json")), 120)
    os.kill(stack.process_of(run.id), signal.SIGKILL)
    stack.wait(lambda: stack.state(run.id) == "CRASHED", 30)
    (folder,) = runs_in(tmp_path)
    record = (folder / "steps" / "ingest.json").read_bytes()
    stack.wait(lambda: stack.state(run.id) == "COMPLETED", 120)
    assert runs_in(tmp_path) == [folder]
    assert (folder / "steps" / "ingest.json").read_bytes() == record
    for name in ("scores.parquet", "queue.parquet"):
        assert (folder / name).read_bytes() == (sent[2] / name).read_bytes()


@pytest.fixture
def unstarted(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the stack wait 30 s, and not ten minutes, for a run that a worker took to begin."""
    shipped = yaml.safe_load(find_configuration("automations.yaml").read_text())["automations"]
    (ours,) = [one for one in shipped if one["name"] == "labelsweep-lost-submissions"]
    with stack.client() as client:
        monkeypatch.setenv("LABELSWEEP_UNSTARTED_AFTER", "30")
        _install(client, ours)
        yield
        monkeypatch.delenv("LABELSWEEP_UNSTARTED_AFTER")
        _install(client, ours)


@pytest.mark.usefixtures("unstarted")
def test_run_that_a_worker_took_and_never_began_crashes_and_is_started_once_more(
    stack: Stack, blobs: Path, tmp_path
):
    """A worker takes a run as Pending, then as Submitting; only then is there a process that could tell of an end."""
    parameters = {"source": str(blobs), "gpu_deployment": None, **SMALL}
    with stack.client() as client:
        found = client.read_deployment_by_name(ON_DEMAND)
        pending = client.create_flow_run_from_deployment(
            found.id, parameters={"parameters": {**parameters, "out": str(tmp_path / "a")}}, state=Pending()
        )
    run = stack.submit(ON_DEMAND, **parameters, out=str(tmp_path / "b"))
    stack.wait(lambda: stack.run(run.id).state.name == "Submitting", 60)
    os.kill(process_with(stack, "worker start --pool cpu"), signal.SIGKILL)
    if process := stack.process_of(run.id):
        os.kill(process, signal.SIGKILL)
    assert stack.run(run.id).state.name == "Submitting"
    for one in (pending, run):
        stack.wait(lambda one=one: stack.run(one.id).state.name == "Completed", 360)
        with stack.client() as client:
            said = [state.message for state in client.read_flow_run_states(one.id)]
        assert "A worker took it and never started it." in said


@pytest.mark.parametrize("struck", ["its worker", "its worker and its process"])
def test_run_that_is_cancelled_stays_so_although_its_worker_ends(
    stack: Stack, blobs: Path, tmp_path, struck: str
):
    run = stack.submit(ON_DEMAND, source=str(blobs), out=str(tmp_path), gpu_deployment=None, **SMALL)
    stack.wait(lambda: stack.state(run.id) == "RUNNING", 120)
    process = stack.process_of(run.id)
    os.kill(process, signal.SIGSTOP)
    stack.post(f"/flow_runs/{run.id}/set_state", {"state": {"type": "CANCELLING"}})
    os.kill(process_with(stack, "worker start --pool cpu"), signal.SIGKILL)
    os.kill(process, signal.SIGKILL if "process" in struck else signal.SIGCONT)
    stack.wait(lambda: stack.state(run.id) == "CANCELLED", 120)
    time.sleep(
        60
    )  # a run that crashed is started once more after 10 s, when the server looks, which it does every 40 s
    assert stack.state(run.id) == "CANCELLED"


def test_fit_that_no_worker_takes_in_time_fails_its_run_frees_the_slot_and_the_next_run_goes_on(
    stack: Stack, blobs: Path, tmp_path
):
    parameters = {"source": str(blobs), "out": str(tmp_path), "gpu_deployment": "fit/gpu", **SMALL}
    stack.post("/work_pools/gpu", {"is_paused": True}, "PATCH")
    run = stack.submit("clean-labels/nightly", **parameters, gpu_timeout=5)
    ended = stack.ended(run.id)
    stack.post("/work_pools/gpu", {"is_paused": False}, "PATCH")
    assert ended.state.name == "Failed"
    assert "the pool is paused); resume it with `prefect work-pool resume gpu`" in ended.state.message
    assert stack.state(stack.child(run.id).id) == "CANCELLED"
    (folder,) = runs_in(tmp_path)
    again = stack.ended(stack.submit("clean-labels/nightly", **parameters).id)
    assert again.state.is_completed(), again.state.message
    assert runs_in(tmp_path) == [folder]


def test_server_that_dies_during_a_run_comes_back_and_the_run_completes(stack: Stack, blobs: Path, tmp_path):
    run = stack.submit(ON_DEMAND, source=str(blobs), out=str(tmp_path), gpu_deployment=None)
    stack.wait(lambda: list(tmp_path.glob("runs/*/steps/ingest.json")), 120)
    os.kill(process_with(stack, "server start"), signal.SIGKILL)
    stack.wait(lambda: list(tmp_path.glob("runs/*/manifest.json")), 240)
    stack.wait(lambda: stack.workers("cpu"), 120)
    assert stack.ended(run.id).state.is_completed()


def test_run_that_crashes_after_the_server_came_back_is_started_once_more_soon(
    stack: Stack, blobs: Path, tmp_path
):
    """Left alone, Prefect holds the event of the crash for 15 minutes: it follows one that the new server has not seen.

    It also forgets who has the slot of a deployment that runs one at a time, and ends the run that renews it.
    """
    parameters = {"source": str(blobs), "out": str(tmp_path), "gpu_deployment": None, **SMALL}
    run = stack.submit("clean-labels/nightly", **parameters)
    stack.wait(lambda: stack.state(run.id) == "RUNNING", 120)
    os.kill(stack.process_of(run.id), signal.SIGSTOP)
    lease = stack.run(run.id).state.state_details.deployment_concurrency_lease_id
    os.kill(process_with(stack, "server start"), signal.SIGKILL)
    stack.wait(lambda: not stack.workers("cpu"), 30)
    stack.wait(lambda: stack.workers("cpu"), 120)
    renewed, said = stack.post(f"/v2/concurrency_limits/leases/{lease}/renew", {"lease_duration": 300})
    assert renewed < 300, said
    os.kill(stack.process_of(run.id), signal.SIGKILL)
    stack.wait(lambda: stack.run(run.id).state.name == "Completed", 360)


def test_run_that_waits_for_a_review_has_no_process_and_goes_on_with_the_answer(
    stack: Stack, blobs: Path, tmp_path
):
    parameters = {"source": str(blobs), "out": str(tmp_path), "wait_for_review": True, **SMALL}
    run = stack.submit(ON_DEMAND, **parameters, gpu_deployment=None)
    stack.wait(lambda: stack.run(run.id).state.name == "Suspended", 120)
    stack.wait(lambda: stack.process_of(run.id) is None, 30)
    with stack.client() as client:
        client.resume_flow_run(run.id, run_input={"action": "apply later", "comment": "on Monday"})
    ended = stack.ended(run.id)
    (folder,) = runs_in(tmp_path)
    assert ended.state.name == "ApplyLater"
    assert ended.state.message == f"labelsweep apply {folder.name} applies the decisions (on Monday)"


def test_wrong_input_is_one_line_in_the_log(stack: Stack, tmp_path):
    before = len(stack.log)  # the worker said its part while the server was away
    run = stack.submit(
        ON_DEMAND, source=str(tmp_path / "nothing.csv"), out=str(tmp_path), gpu_deployment=None
    )
    assert stack.ended(run.id).state.name == "Failed"
    with stack.client() as client:
        wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
        stack.wait(lambda: any(log.level >= logging.ERROR for log in client.read_logs(wanted)), 30)
        time.sleep(5)  # whatever else it says arrives in the seconds after the run
        logs = client.read_logs(wanted)
    errors = [log.message for log in logs if log.level >= logging.ERROR]
    assert len(errors) == 1, errors
    assert "nothing.csv" in errors[0]
    assert "Traceback" not in "".join(log.message for log in logs)
    assert "Traceback" not in stack.log[before:]


@pytest.mark.parametrize("field", ["source", "publish"])
def test_server_refuses_a_secret_before_it_is_stored(stack: Stack, field):
    with stack.client() as client:
        deployment = client.read_deployment_by_name(ON_DEMAND)
    values = {"source": "sample:digits", field: "s3://me:pa55word@bucket/x.csv"}
    status, _ = stack.post(
        f"/deployments/{deployment.id}/create_flow_run", {"parameters": {"parameters": values}}
    )
    assert status == 409
