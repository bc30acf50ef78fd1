"""A worker killed without a word, alone or with its run: the next run goes on, to the same bytes.

The worker that is killed is another one than those of `make serve`, which are started again: it has a pool of its own.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_stack import SMALL, Stack, runs_in
from prefect.client.schemas.actions import WorkPoolCreate

COMPARED = ("scores.parquet", "queue.parquet", "queue.csv")


class Spare:
    """A pool with copies of the shipped deployments, and a worker that can be killed and started again."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        with stack.client() as client:
            client.create_work_pool(WorkPoolCreate(name="spare", type="process"))
            for name in ("nightly", "on-demand"):
                shipped = client.read_deployment_by_name(f"clean-labels/{name}")
                client.create_deployment(
                    flow_id=shipped.flow_id,
                    name=f"spare-{name}",
                    entrypoint=shipped.entrypoint,
                    parameters=shipped.parameters,
                    tags=shipped.tags,  # the automations see our runs by their tag
                    concurrency_limit=shipped.global_concurrency_limit and 1,
                    concurrency_options=shipped.concurrency_options,
                    work_pool_name="spare",
                )
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "spare", "--name", "spare"]
        with (self._stack.folder / "spare.log").open("ab") as log:
            variables = self._stack.environment() | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
            variables["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = "30"
            self.worker = subprocess.Popen(command, env=variables, stdout=log, stderr=log)

    def kill(self) -> None:
        self.worker.kill()
        self.worker.wait()


@pytest.fixture(scope="module")
def spare(stack: Stack) -> Iterator[Spare]:
    one = Spare(stack)
    yield one
    one.kill()


@pytest.fixture(scope="module")
def swept(blobs: Path, tmp_path_factory) -> dict[str, object]:
    """Return what is swept every night."""
    out = tmp_path_factory.mktemp("pulled")
    return {"source": str(blobs), "out": str(out), "gpu_deployment": None, "wait": 600, **SMALL}


@pytest.fixture(scope="module")
def pulled(stack: Stack, spare: Spare, swept, lost):
    """Kill a nightly run together with its worker; return it, and the next night's, which was submitted right after."""
    run = stack.submit("clean-labels/spare-nightly", **swept)
    stack.wait(lambda: list(Path(swept["out"]).glob("runs/*/steps/encode.json")), 120)
    process = stack.process_of(run.id)
    spare.kill()
    os.kill(process, signal.SIGKILL)
    assert stack.state(run.id) == "RUNNING"
    (folder,) = runs_in(Path(swept["out"]))
    records = {path.name: path.read_bytes() for path in (folder / "steps").glob("*.json")}
    spare.start()
    return run, stack.submit("clean-labels/spare-nightly", **swept), folder, records


def test_worker_killed_alone_loses_nothing_and_the_next_run_ends_with_the_same_bytes(
    stack: Stack, spare: Spare, pulled, sent, blobs: Path, tmp_path
):
    parameters = {"source": str(blobs), "out": str(tmp_path), "gpu_deployment": None, "wait": 600, **SMALL}
    run = stack.submit("clean-labels/spare-on-demand", **parameters)
    stack.wait(lambda: list(tmp_path.glob("runs/*/steps/ingest.json")), 120)
    spare.kill()
    spare.start()
    after = stack.submit("clean-labels/spare-on-demand", **parameters)
    # Its run has nobody left who reads what it says, and ends at its next line, or comes through before it.
    assert stack.ended(run.id).state.type.value in ("CRASHED", "COMPLETED")
    assert stack.ended(after.id).state.is_completed()
    (folder,) = runs_in(tmp_path)
    for name in COMPARED:
        assert (folder / name).read_bytes() == (sent[2] / name).read_bytes()


def test_run_killed_with_its_worker_is_crashed_and_the_next_night_goes_on_to_the_same_bytes(
    stack: Stack, pulled, sent
):
    lost_run, next_night, folder, records = pulled
    assert stack.ended(next_night.id).state.is_completed()
    with stack.client() as client:
        assert "CRASHED" in [state.type.value for state in client.read_flow_run_states(lost_run.id)]
    assert runs_in(folder.parents[1]) == [folder]
    assert len(records) >= 3
    assert all((folder / "steps" / name).read_bytes() == record for name, record in records.items())
    for name in COMPARED:
        assert (folder / name).read_bytes() == (sent[2] / name).read_bytes()
