"""One stack for all tests: `make serve` on Postgres where one can be started, on SQLite otherwise."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest
from local_stack import SMALL, Stack, runs_in
from postgres_server import binaries, free_port, postgres
from prefect import flow
from prefect.states import Running

from tasks.synthesize import synthesize


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    programs = binaries()
    # Runs give a sign of life every 30 s; the shipped 90 s of silence would only make the tests wait.
    variables = {"LABELSWEEP_LOST_AFTER": "40", "LABELSWEEP_RETRY_AFTER": "10"}
    variables["LABELSWEEP_REPORTS_PORT"] = str(free_port())
    with ExitStack() as exits:
        if programs:
            variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = exits.enter_context(postgres(programs))
        one = Stack(tmp_path_factory.mktemp("stack"), free_port(), variables)
        try:
            one.start()
            yield one
        finally:
            if one.process.poll() is None:
                one.stop()


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small data set with planted errors."""
    path = tmp_path_factory.mktemp("blobs") / "blobs.parquet"
    return synthesize(path, rows=400, dimension=4, sigma=0.4, flips=0.05, seed=0)


@pytest.fixture(scope="session")
def lost(stack: Stack, blobs: Path, tmp_path_factory) -> tuple[str, float, UUID]:
    """Kill a run together with everything that would say so; return its id, when, and a silent run of somebody else."""
    out = tmp_path_factory.mktemp("lost")
    command = [sys.executable, "-m", "flows.cli", "clean", str(blobs), "--out", str(out), "--quiet"]
    process = subprocess.Popen(command, env=stack.environment(), start_new_session=True)
    stack.wait(lambda: list(out.glob("runs/*/steps/ingest.json")), 120)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _, found = stack.post("/flow_runs/filter", {"flows": {"name": {"any_": ["clean-labels"]}}})
    (run,) = [one["id"] for one in found if one["deployment_id"] is None]
    assert stack.state(run) == "RUNNING"
    with stack.client() as client:
        stranger = client.create_flow_run(flow(lambda: None, name="clean-labels"), state=Running())
    return run, time.monotonic(), stranger.id


@pytest.fixture(scope="session")
def sent(stack: Stack, blobs: Path):
    """Sweep with the fit on the gpu worker; return the run, its child and the run folder."""
    out = Path(stack.environment()["LABELSWEEP_OUT"])  # the worker's own, of which the reports are served
    run = stack.submit(
        "clean-labels/on-demand",
        source=str(blobs),
        gpu_deployment="fit/gpu",
        gpu_timeout=600,
        **SMALL,
    )
    ended = stack.ended(run.id)
    assert ended.state.is_completed(), ended.state.message
    (folder,) = runs_in(out)
    return ended, stack.child(run.id), folder
