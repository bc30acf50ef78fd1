"""The ways of a fault campaign: how a run is started, what of it is killed, and how it is started again.

`command` is `labelsweep clean` in a process group of its own, all of which is killed. The others submit the deployment
`clean-labels/on-demand` to a Prefect server with a worker of the cpu pool, and kill the run's process, the worker, or both at
once; what a service manager would do, starting the worker again, is done before the next run is submitted.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol, get_args
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled

Way = Literal["command", "run", "worker", "both"]
WAYS: tuple[Way, ...] = get_args(Way)

DEPLOYMENT = "clean-labels/on-demand"

# A worker asks for work every second, and its first process takes some seconds to come up on a busy machine.
PICKED_UP_SECONDS = 60.0


class Attempt(Protocol):
    """A run that was started."""

    def ended(self) -> bool:
        """Return whether it has come to an end."""

    def kill(self) -> None:
        """Kill what the way says, with SIGKILL."""

    def outcome(self, seconds: float) -> str:
        """Wait for the end; return what is wrong with it, nothing where all is well."""

    def clear(self) -> None:
        """End whatever is left of it."""


@contextmanager
def group(
    command: list[str], environment: Mapping[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program in a process group of its own, and leave nothing of it behind."""
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603 (our own programs, by this interpreter)
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Command:
    """`labelsweep clean` in a process group of its own."""

    def __init__(self, source: Path, out: Path, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "flows.cli", "clean", str(source), "--out", str(out), "--quiet"]
        self.process = subprocess.Popen(  # noqa: S603 (this program, by this interpreter)
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ended(self) -> bool:
        """Return whether the process has ended."""
        return self.process.poll() is not None

    def kill(self) -> None:
        """Kill the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def outcome(self, seconds: float) -> str:
        """Wait for the end; say with which exit code it ended where that is not 0."""
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return "a run that hangs"
        return f"a command that ended with exit code {code}" if code else ""

    def clear(self) -> None:
        """End whatever is left of it."""
        self.kill()


class Worker:
    """A worker of the cpu pool that can be killed and started again.

    Args:
        environment: Variables of the worker and of the runs that it starts.
        log: File that takes what they say.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.environment, self._log = environment, log
        self._process: subprocess.Popen[bytes] | None = None

    def ensure(self) -> None:
        """Start the worker unless it is at work."""
        if self._process is not None and self._process.poll() is None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "worker", "start", "--pool", "cpu"],
                env={**self.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the worker alone: the run that it started has nobody left who reads what it says, and soon ends too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Kill the worker and every run that a worker of this campaign started."""
        self.kill()
        home = self.environment["PREFECT_HOME"]
        for process in processes(
            lambda variables: variables.get("PREFECT_HOME") == home and _is_run(variables)
        ):
            _kill(process)


class Submitted:
    """A run of the deployment, on a worker.

    Args:
        way: What is killed.
        worker: The worker.
        client: The server.
        source: The data set.
        out: Folder of the results.
    """

    def __init__(self, way: Way, worker: Worker, client: SyncPrefectClient, source: Path, out: Path) -> None:
        worker.ensure()
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        # As the nightly deployment has it: behind a run of the same data set that is still at work.
        parameters = {"source": str(source), "out": str(out), "gpu_deployment": None, "wait": 3600}
        self.run = client.create_flow_run_from_deployment(
            deployment.id, parameters={"parameters": parameters}
        )
        self._way, self._worker, self._client = way, worker, client

    def ended(self) -> bool:
        """Return whether the run is in a final state."""
        state = self._client.read_flow_run(self.run.id).state
        return state is not None and state.is_final()

    def kill(self) -> None:
        """Kill the run's process, the worker, or first the worker and then the process, so that nobody tells of it."""
        if self._way == "run":
            deadline = time.monotonic() + PICKED_UP_SECONDS
            while not self._processes() and not self.ended() and time.monotonic() < deadline:
                time.sleep(0.05)
        if self._way in ("worker", "both"):
            self._worker.kill()
        if self._way in ("run", "both"):
            for process in self._processes():
                _kill(process)

    def _processes(self) -> list[int]:
        wanted = str(self.run.id)
        return processes(lambda variables: variables.get("PREFECT__FLOW_RUN_ID") == wanted)

    def outcome(self, seconds: float) -> str:
        """Wait for the end; say in which state it ended where that is not Completed."""
        deadline = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > deadline:
                return "a run that hangs"
            time.sleep(0.2)
        state = self._client.read_flow_run(self.run.id).state
        return (
            ""
            if state is not None and state.is_completed()
            else f"a run that ended as {state and state.name}"
        )

    def clear(self) -> None:
        """End whatever is left of the run, so that the next trial finds the worker idle."""
        for process in self._processes():
            _kill(process)
        run: FlowRun = self._client.read_flow_run(self.run.id)
        if run.state is None or not run.state.is_final():
            self._client.set_flow_run_state(UUID(str(run.id)), Cancelled(), force=True)


def processes(wanted: Callable[[Mapping[str, str]], bool]) -> list[int]:
    """Return the living processes whose environment is the wanted one (Linux)."""
    names = (entry.name for entry in Path("/proc").iterdir())
    return [
        int(name) for name in names if name.isdigit() and wanted(_variables(Path(f"/proc/{name}/environ")))
    ]


def _variables(path: Path) -> dict[str, str]:
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError:  # it has ended meanwhile, or is somebody else's
        return {}
    return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)


def _is_run(variables: Mapping[str, str]) -> bool:
    return "PREFECT__FLOW_RUN_ID" in variables


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
