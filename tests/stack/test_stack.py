"""The whole stack, by `make serve`: deployments, two workers, faults, and an end that leaves nothing behind.

The tests go in their order: the first loses a run on purpose, which the last but one finds marked as crashed; the last presses
Ctrl-C.
"""

import re
import time
from pathlib import Path

import httpx
import pytest
from local_stack import Stack
from prefect.states import Cancelling


def test_stack_keeps_its_database_where_the_environment_says(stack: Stack, lost):
    database = stack.folder / "home" / "prefect.db"
    assert database.exists() == ("PREFECT_SERVER_DATABASE_CONNECTION_URL" not in stack.variables)


def test_deployments_are_on_their_pools_with_schedule_and_limit(stack: Stack):
    with stack.client() as client:
        found = {
            name: client.read_deployment_by_name(name)
            for name in ("clean-labels/nightly", "clean-labels/on-demand", "fit/gpu")
        }
    assert {name: one.work_pool_name for name, one in found.items()} == {
        "clean-labels/nightly": "cpu",
        "clean-labels/on-demand": "cpu",
        "fit/gpu": "gpu",
    }
    nightly = found["clean-labels/nightly"]
    (schedule,) = nightly.schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 2 * * *", "Europe/Berlin")
    assert nightly.global_concurrency_limit.limit == 1
    assert nightly.concurrency_options.collision_strategy == "ENQUEUE"
    assert found["fit/gpu"].tags == ["labelsweep", "gpu"]
    assert not nightly.pull_steps
    assert "out" not in nightly.parameters["parameters"]  # the worker says it


def test_schedule_creates_runs(stack: Stack):
    with stack.client() as client:
        nightly = client.read_deployment_by_name("clean-labels/nightly")

    def scheduled():
        body = {
            "deployments": {"id": {"any_": [str(nightly.id)]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        }
        return stack.post("/flow_runs/filter", body)[1]

    assert stack.wait(scheduled, 60)


@pytest.mark.parametrize(
    ("field", "value"), [("folds", 1), ("tolerance", 2), ("lable", "x"), ("solver", "magic")]
)
def test_server_refuses_wrong_parameters(stack: Stack, field, value):
    with stack.client() as client:
        deployment = client.read_deployment_by_name("clean-labels/on-demand")
    body = {"parameters": {"parameters": {"source": "sample:digits", field: value}}}
    status, answer = stack.post(f"/deployments/{deployment.id}/create_flow_run", body)
    assert status == 409
    assert field in str(answer) or str(value) in str(answer)


def test_fit_ran_on_the_gpu_worker_and_the_rest_on_the_cpu_worker(stack: Stack, sent):
    parent, child, folder = sent
    assert child.state.is_completed()
    assert (parent.work_pool_name, child.work_pool_name) == ("cpu", "gpu")
    assert "gpu" in child.tags
    lines = stack.log.splitlines()
    for run, worker in ((parent, "cpu.1"), (child, "gpu.1")):
        where = {line.split()[1] for line in lines if str(run.id) in line}
        assert where == {worker}
    assert (folder / "manifest.json").exists()


def test_report_opens_by_the_link_in_the_ui(stack: Stack, sent):
    parent, _, folder = sent
    wanted = {"artifacts": {"flow_run_id": {"any_": [str(parent.id)]}, "type": {"any_": ["markdown"]}}}
    pages = [one["data"] for one in stack.post("/artifacts/filter", wanted)[1]]
    (link,) = {found for page in pages for found in re.findall(r"\[[^\]]*\]\((http[^)]+)\)", page)}
    assert httpx.get(link, trust_env=False).text == (folder / "report.html").read_text(encoding="utf-8")


def test_cancelling_the_parent_cancels_the_child(stack: Stack, tmp_path):
    slow = {"folds": 50, "rounds": 5, "out": str(tmp_path), "gpu_deployment": "fit/gpu", "gpu_timeout": 120}
    run = stack.submit("clean-labels/on-demand", source="sample:digits", **slow)
    child = stack.wait(lambda: stack.child(run.id), 120)
    stack.wait(lambda: stack.state(child.id) == "RUNNING", 60)
    process = stack.process_of(child.id)
    with stack.client() as client:
        client.set_flow_run_state(run.id, Cancelling())
    assert stack.ended(run.id, 60).state.is_cancelled()
    assert stack.ended(child.id, 60).state.is_cancelled()
    stack.wait(lambda: process not in stack.processes(), 30)


def test_run_that_lost_its_process_is_marked_as_crashed_and_no_other(stack: Stack, lost):
    run, killed, stranger = lost
    ended = stack.ended(run, max(1.0, killed + 150 - time.monotonic()))
    assert ended.state.is_crashed()
    assert "not been heard of" in ended.state.message
    assert stack.state(stranger) == "RUNNING"


def test_ctrl_c_stops_everything_and_leaves_no_process(stack: Stack, blobs: Path, tmp_path):
    run = stack.submit("clean-labels/on-demand", source=str(blobs), out=str(tmp_path), gpu_deployment=None)
    stack.wait(lambda: stack.process_of(run.id), 60)
    assert len(stack.processes()) > 4
    stack.stop()
    deadline = time.monotonic() + 15
    while stack.processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert stack.processes() == {}
