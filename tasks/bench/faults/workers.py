"""The workers of the stack in the nights: a second one, one that is away, and strikes at them and at their runs."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil  # type: ignore[import-untyped]

WAYS = {
    "run, SIGKILL": ("run", signal.SIGKILL),
    "run, SIGTERM": ("run", signal.SIGTERM),
    "worker, SIGKILL": ("worker", signal.SIGKILL),
    "worker, SIGTERM": ("worker", signal.SIGTERM),
    "both, SIGKILL": ("both", signal.SIGKILL),
    "run, cancelled": ("run", None),
}


@dataclass
class Strike:
    """A run that is struck once, so many seconds after its process began.

    Attributes:
        steps: How many steps were finished at the strike; None before it.
    """

    way: str
    after: float
    began: float
    steps: int | None = None
    is_cancelled: bool = False


def strike(stack: Any, way: str, run: str, process: psutil.Process) -> bool:  # noqa: ANN401 (of the tests)
    """Cancel a run, or strike its process, the worker that it has, or both, so that nobody tells of it.

    Returns:
        Whether the server cancels the run: it does not where the run has just ended.
    """
    what, with_signal = WAYS[way]
    if with_signal is None:
        _, answer = stack.post(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        return bool(answer.get("status") == "ACCEPT")
    workers = {worker.pid for worker in _find(stack, "cpu")}
    with suppress(psutil.NoSuchProcess):  # it ended in this moment
        above = [parent for parent in process.parents() if parent.pid in workers]
        for one in (above if what != "run" else []) + ([process] if what != "worker" else []):
            one.send_signal(with_signal)
    return False


def take_gpu_worker(stack: Any) -> psutil.Process:  # noqa: ANN401
    """Kill the gpu worker; return the shell that starts it again once it is resumed."""
    shell = next(_find(stack, "gpu", is_shell=True))
    shell.suspend()
    for worker in shell.children():
        worker.kill()
    return shell


@contextmanager
def run_second_worker(stack: Any) -> Iterator[None]:  # noqa: ANN401
    """Run another worker beside that of the stack, kept alive in the same way."""
    first = next(_find(stack, "cpu"))
    words = "deploy/keep.sh prefect worker start --pool cpu --name second --limit 1"
    with (stack.folder / "second.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (our own command)
            ["/bin/sh", *words.split()], env=first.environ(), cwd=first.cwd(), stdout=log, stderr=log
        )
    try:
        yield
    finally:
        shell = psutil.Process(process.pid)
        for one in (shell, *shell.children(recursive=True)):
            one.terminate()
        process.wait(60)


def _find(stack: Any, pool: str, *, is_shell: bool = False) -> Iterator[psutil.Process]:  # noqa: ANN401
    """Yield the workers of a pool, or the shells that keep them."""
    for pid, line in stack.processes().items():
        if f"worker start --pool {pool}" in line and ("keep.sh" in line) == is_shell:
            yield psutil.Process(pid)
