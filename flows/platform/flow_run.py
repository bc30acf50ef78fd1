"""What Prefect is told while a flow run works: its progress, and the one line of an error that fails it."""

import logging
import re
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect import Flow, State, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run
from prefect.states import Cancelled, Crashed, Failed

from flows.progress import Watcher
from tasks.errors import LabelsweepError, TooMuchNoise
from tasks.records import Record, Validation
from tasks.storage import write_json

Result = TypeVar("Result")

# The ids of the flow runs that worked in a run folder.
FLOW_RUNS = "flow_runs.json"
GATE = "Gate"
# A server that starts again, with a database to migrate, is back within a minute on a busy machine.
_AWAY_SECONDS, _ASK_AGAIN_SECONDS = 120.0, 2.0
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def run_or_fail(work: Callable[[], Result]) -> Result | State[object]:
    """Return what the work of a flow returns; a failed state with one line where the user can mend the error."""
    for name in ("prefect.flow_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(_shorten_traceback)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the libraries; what concerns the user is in the report
            return work()
    except LabelsweepError as error:
        # The name makes the event: `prefect.flow-run.Gate` is told apart from a failure.
        return Failed(
            name=GATE if isinstance(error, TooMuchNoise) else "Failed", message=str(error), data=error
        )


def _shorten_traceback(record: logging.LogRecord) -> bool:
    """Log an error that the user can mend without Prefect's traceback of where it was raised."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, LabelsweepError):
        record.msg, record.args, record.exc_info = str(error), (), None
    return True


def ask_server(work: Callable[[], Result]) -> Result:
    """Return what the work returns that asks the server, which may be away for a while.

    Raises:
        httpx.TransportError: It does not answer for two minutes.
    """
    deadline = time.monotonic() + _AWAY_SECONDS
    while True:
        try:
            return work()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_ASK_AGAIN_SECONDS)


def list_flow_runs(folder: Path) -> list[str]:
    """Return the ids of the flow runs that worked in a run folder, oldest first."""
    path = folder / FLOW_RUNS
    # The file may be damaged: what looks like an id is one, and the server knows its own.
    return _ID.findall(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else []


def claim_folder(folder: Path) -> None:
    """Note that the current flow run works in `folder`; mark those that did before and never ended as crashed."""
    current = str(flow_run.id)
    others = [run for run in list_flow_runs(folder) if run != current]
    ask_server(lambda: _give_up(others, current))
    write_json([*others, current], folder / FLOW_RUNS)


def _give_up(others: list[str], current: str) -> None:
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run) for run in others]))
        for run in client.read_flow_runs(flow_run_filter=wanted) if others else []:
            if run.state is not None and not run.state.is_final():
                message = f"It lost its process; flow run {current} goes on with it."
                client.set_flow_run_state(run.id, Crashed(message=message), force=True)


def stay_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 (Prefect's names)
    """Call a run cancelled that crashed while it was being cancelled; the server would start it once more.

    Its worker, which ends cancelled runs, has ended itself: the run crashes for want of it.
    """
    with suppress(httpx.TransportError), get_client(sync_client=True) as client:
        states = client.read_flow_run_states(flow_run.id)
        if any(one.is_cancelling() for one in states[-2:]):
            client.set_flow_run_state(
                flow_run.id, Cancelled(message="It was cancelled, and its worker has ended."), force=True
            )


def tag_flow_run(tag: str) -> None:
    """Add a tag to the current flow run."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(str(flow_run.id)), tags=sorted({*flow_run.tags, tag}))


class FlowRunWatcher(Watcher):
    """Tells Prefect how far the current flow run is; while the server does not answer, nobody is told.

    Args:
        data_set: Key of the data set, with which the keys of the progress artifacts begin: lower case, digits and dashes.
    """

    def __init__(self, data_set: str) -> None:
        self._data_set = data_set
        self._artifacts: dict[str, UUID] = {}

    def show_start(self, step: str, done: int, total: int) -> None:  # noqa: ARG002
        """Show how many steps there are."""
        if not done:
            self._show("", 0.0, f"{total} steps")

    def show_progress(self, step: str, text: str, percent: float) -> None:
        """Show how far a step is, in an artifact of its own."""
        self._show(step.partition(",")[0], percent, text)

    def show_end(self, step: str, record: Record, seconds: float | None, done: int, total: int) -> None:
        """Write what the step made to the log; complete its artifact, if it has one, and move the run's."""
        super().show_end(step, record, seconds, done, total)
        logger, name = get_run_logger(), step.partition(",")[0]
        if isinstance(record, Validation):
            for reason, rows in record.reasons.items():
                logger.info("set aside: %s (%d rows)", reason, rows)
            if record.data_docs is not None:
                logger.info("Data Docs: %s", record.data_docs)
        if name in self._artifacts:
            self._show(name, 100.0, f"{step}: done in {seconds:,.0f} s")
        self._show("", 100.0 * done / total)

    def say(self, line: str) -> None:
        """Write the line to the log."""
        get_run_logger().info("%s", line)

    def _show(self, step: str, percent: float, text: str | None = None) -> None:
        """Create or update the progress artifact of a step, or of the whole run where no step is named."""
        with suppress(httpx.TransportError):
            if step in self._artifacts:
                update_progress_artifact(self._artifacts[step], progress=percent, description=text)
            else:
                key = "-".join(part for part in (self._data_set, step, "progress") if part)
                made = create_progress_artifact(progress=percent, key=key, description=text)
                self._artifacts[step] = UUID(str(made))
