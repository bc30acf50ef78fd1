"""The programs of a campaign of faults: labelsweep commands, and runs that a Prefect server has a worker do.

A command runs in a process group of its own, so that all of it can be killed. A submitted run is of the deployment
`clean-labels/on-demand`, on a worker of the cpu pool; a service manager would start a killed worker again, which is done
here before the next run is submitted.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from tasks.errors import LabelsweepError

DEPLOYMENT = "clean-labels/on-demand"
# A worker asks for work every second, and its first process takes some seconds to come up on a busy machine.
PICKED_UP_SECONDS = 60.0
HEALTHY_SECONDS = 300.0
# An undisturbed command takes 15 s on two idle cores; one that takes this much longer hangs.
PATIENCE = 180.0
HANGS = "a program that hangs"


def wait_until(is_true: Callable[[], object], seconds: float) -> bool:
    """Wait until something is true; return whether it was within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := bool(is_true())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


class Program:
    """A labelsweep command, or another module of Python, in a process group of its own.

    Args:
        arguments: What follows the command.
        environment: Its variables.
        log: File without ending that takes what it says: `.out` and `.err`.
        module: What is run.
    """

    def __init__(
        self, arguments: list[str], environment: Mapping[str, str], log: Path, module: str = "flows.cli"
    ) -> None:
        self.out, self.error = log.with_suffix(".out"), log.with_suffix(".err")
        with self.out.open("ab") as output, self.error.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603 (our own programs, by this interpreter)
                [sys.executable, "-m", module, *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        """Return whether it has ended."""
        return self.process.poll() is not None

    def end(self, patience: float = PATIENCE) -> str:
        """Wait for the end and return in a word how it was; a program that hangs is killed."""
        has_ended = wait_until(self.has_ended, patience)
        self.kill()
        return describe_end(self.process.returncode, self.read_errors()) if has_ended else HANGS

    def read_errors(self) -> str:
        """Return what it said on standard error, but for the news of a server."""
        lines = self.error.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if line.strip() and "labelsweep: reviewing" not in line)

    def kill(self) -> None:
        """Kill the whole group with SIGKILL."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    clear = kill


def describe_end(code: int, said: str) -> str:
    """Return in a word how a program ended.

    >>> describe_end(2, "labelsweep: error: no column"), describe_end(1, "labelsweep: internal error (KeyError)")
    ('refused', 'an internal error')
    """
    if code == 0:
        return "survived"
    if "Traceback (most recent call last)" in said:
        return "a traceback"
    if "internal error" in said:
        return "an internal error"
    if code < 0 or code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        return "killed"
    return "refused" if len(said.splitlines()) == 1 else "more or less than one line"


class Worker:
    """A worker of the cpu pool that can be killed; it is started again for the next run.

    Args:
        environment: Variables of the worker and of the runs that it starts.
        log: File that takes what they say.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = {**environment, "PREFECT_WORKER_QUERY_SECONDS": "1"}
        self._log = log
        self._program: Program | None = None

    def ensure(self) -> None:
        """Start the worker unless it is running."""
        if self._program is None or self._program.has_ended():
            arguments = ["worker", "start", "--pool", "cpu"]
            self._program = Program(arguments, self._environment, self._log, "prefect")

    def kill(self) -> None:
        """Kill the worker alone. Its run loses its standard output with it, and soon ends too."""
        if self._program is not None:
            self._program.process.kill()
            self._program.process.wait()


class SubmittedRun:
    """A run of the deployment, on a worker.

    Args:
        way: What is killed: the run's process (`run`), the `worker`, or `both`.
        worker: The worker.
        url: Address of the server.
        parameters: What is swept, and where its results go.
    """

    def __init__(self, way: str, worker: Worker, url: str, **parameters: object) -> None:
        worker.ensure()
        self._way, self._worker, self._client = way, worker, SyncPrefectClient(api=url)
        deployment = self._client.read_deployment_by_name(DEPLOYMENT)
        # As the nightly deployment has it: behind a run of the same data set that is still at work.
        asked = {"gpu_deployment": None, "wait": 3600, **parameters}
        self._id = self._client.create_flow_run_from_deployment(
            deployment.id, parameters={"parameters": asked}
        ).id
        self._mark = {"PREFECT__FLOW_RUN_ID": str(self._id)}

    def _read_state(self) -> State:
        state = self._client.read_flow_run(self._id).state
        assert state is not None  # noqa: S101 (a run has a state from its submission on)
        return state

    def has_ended(self) -> bool:
        """Return whether the run is in a final state."""
        return self._read_state().is_final()

    def end(self, patience: float = PATIENCE) -> str:
        """Wait for the end; return in which state it ended where that is not Completed."""
        if not wait_until(self.has_ended, patience):
            return HANGS
        state = self._read_state()
        return "survived" if state.is_completed() else f"a run that ended as {state.name}"

    def read_errors(self) -> str:
        """Return nothing: the server has its log."""
        return ""

    def kill(self) -> None:
        """Kill the run's process, the worker, or first the worker and then the process, so that no one reports it."""
        if self._way == "run":
            wait_until(lambda: [*find_processes(self._mark)] or self.has_ended(), PICKED_UP_SECONDS)
        else:
            self._worker.kill()
        if self._way != "worker":
            kill_processes(self._mark)

    def clear(self) -> None:
        """End what is left of the run, so that the next trial finds the worker idle."""
        kill_processes(self._mark)
        if not self.has_ended():
            self._client.set_flow_run_state(self._id, Cancelled(), force=True)


def find_processes(wanted: Mapping[str, str], having: str | None = None) -> Iterator[psutil.Process]:
    """Yield the living processes whose environment has the wanted values, and some variable."""
    for process in psutil.process_iter(["environ"]):
        variables = process.info["environ"] or {}  # nothing of a process of another user
        if wanted.items() <= variables.items() and (having is None or having in variables):
            yield process


def kill_processes(wanted: Mapping[str, str], having: str | None = None) -> None:
    """Kill the processes that `find_processes` finds."""
    for process in find_processes(wanted, having):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def run_prefect_server(folder: Path) -> Iterator[dict[str, str]]:
    """Run a Prefect server, which saves each run its own, on a folder; yield the environment that names it.

    Raises:
        LabelsweepError: It does not come up.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")},
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    }
    serve = ["server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    server = Program(serve, environment, folder / "server", "prefect")
    try:
        if not wait_until(lambda: SyncPrefectClient(api=url).api_healthcheck() is None, HEALTHY_SECONDS):
            raise LabelsweepError(f"the server is not healthy at {url} after {HEALTHY_SECONDS:g} s")
        yield environment
    finally:
        server.process.terminate()
        server.end(15)
        kill_processes({"PREFECT_HOME": environment["PREFECT_HOME"]}, having="PREFECT__FLOW_RUN_ID")
