"""`make serve` in a process of its own, as a user would start it, and what a test asks of it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

ROOT = Path(__file__).parents[2]
MARK = "LABELSWEEP_TEST_STACK"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
# So many times as long may anything take where other work shares the machine: with eight processes ready for each core 4 was enough.
BUSY = 4
SMALL = {"rounds": 1, "feature_map": "raw", "folds": 3}


def runs_in(out: Path) -> list[Path]:
    return [path for path in (out / "runs").glob("*-*") if path.is_dir()]


@dataclass
class Stack:
    """A running stack."""

    folder: Path
    port: int
    variables: dict[str, str]
    mark: str = field(default_factory=lambda: uuid4().hex)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def log(self) -> str:
        return (self.folder / "serve.log").read_text(errors="replace")

    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MAKE"))
        }
        return kept | {
            "PREFECT_HOME": str(self.folder / "home"),
            "PREFECT_API_URL": self.url,
            "LABELSWEEP_PORT": str(self.port),
            "LABELSWEEP_OUT": str(self.folder / "out"),
            "PYTHONPATH": str(ROOT),
            MARK: self.mark,
            **self.variables,
        }

    def start(self) -> None:
        """Start it, and return when it says that it is ready and both workers are online."""
        stamp = f"{sys.prefix}/.installed-serve"
        with (self.folder / "serve.log").open("wb") as log:
            self.process = subprocess.Popen(
                ["make", "-o", stamp, f"VENV={sys.prefix}", "serve"],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait(lambda: "labelsweep is ready: http" in self.log, 240)
        self.wait(lambda: self.workers("cpu") and self.workers("gpu"), 120)

    def stop(self) -> int:
        """Press Ctrl-C: the terminal sends SIGINT to the whole foreground group. Return the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)

    def processes(self) -> dict[int, str]:
        """Return the living processes that carry this stack's mark, with their command lines."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self.mark in _read(entry / "environ"):
                found[int(entry.name)] = _read(entry / "cmdline").replace("\0", " ")
        return found

    def process_of(self, run: UUID) -> int | None:
        """Return the process in which a worker runs a flow run."""
        own = [
            pid
            for pid in self.processes()
            if f"PREFECT__FLOW_RUN_ID={run}" in _read(Path(f"/proc/{pid}/environ"))
        ]
        return min(own, default=None)

    def wait(self, condition: Callable[[], Any], seconds: float) -> Any:
        """Wait for something that takes up to so many seconds on an idle machine; return what it is."""
        deadline = time.monotonic() + BUSY * seconds
        while not (value := condition()):
            assert self.process.poll() is None, self.log[-3000:]
            assert time.monotonic() < deadline, self.log[-6000:]
            time.sleep(0.25)
        return value

    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(api=self.url)

    def post(self, path: str, body: dict[str, Any], method: str = "POST") -> tuple[int, Any]:
        request = urllib.request.Request(
            f"{self.url}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def workers(self, pool: str) -> list[str]:
        try:
            _, found = self.post(f"/work_pools/{pool}/workers/filter", {})
        except OSError:
            return []
        return [
            worker["name"]
            for worker in found
            if isinstance(worker, dict) and worker.get("status") == "ONLINE"
        ]

    def submit(self, deployment: str, **parameters: object) -> FlowRun:
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters={"parameters": parameters})

    def run(self, run: UUID) -> FlowRun:
        with self.client() as client:
            return client.read_flow_run(run)

    def state(self, run: UUID) -> str:
        state = self.run(run).state
        return state.type.value if state else ""

    def ended(self, run: UUID, seconds: float = 240) -> FlowRun:
        """Wait for the end of a run."""
        self.wait(lambda: self.state(run) in FINAL, seconds)
        return self.run(run)

    def runs_of(self, deployment: str) -> list[FlowRun]:
        """Return the runs of a deployment, newest first."""
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
        wanted = {"deployments": {"id": {"any_": [str(found.id)]}}, "sort": "EXPECTED_START_TIME_DESC"}
        return [self.run(UUID(one["id"])) for one in self.post("/flow_runs/filter", wanted)[1]]

    def switch(self, automation: str, *, on: bool) -> None:
        """Switch an automation on or off, as the switch in the UI does."""
        with self.client() as client:
            (found,) = client.read_automations_by_name(automation)
        status, _ = self.post(f"/automations/{found.id}", {"enabled": on}, "PATCH")
        assert status == 204

    def child(self, parent: UUID) -> FlowRun | None:
        """Return the run that a run sent to another worker."""
        _, found = self.post(
            "/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [str(parent)]}}}
        )
        return self.run(UUID(found[0]["id"])) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended meanwhile
        return ""
