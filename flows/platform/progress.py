"""Progress of a run, for everyone who watches.

One line a step in Prefect's log, a progress artifact in its UI, and whatever display the caller has set.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, Protocol, TypeVar
from uuid import UUID

from prefect import Task, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.signals import stop_if_asked
from tasks.records import Controls, Dataset, Encoding, Model, Queue, Record, Report, Scores, Validation
from tasks.runs.progress import watched

P = ParamSpec("P")
R = TypeVar("R", bound=Record)

# A step that is done sooner is not worth an artifact, and more often nobody looks.
EVERY_SECONDS = 2.0

# Columns that a line of the terminal names; the report has them all.
NAMED = 6


class Display(Protocol):
    """Where a person watches the run."""

    def started(self, step: str, done: int, total: int) -> None:
        """Say that a step began when `done` of `total` were finished."""

    def finished(self, step: str, result: str, seconds: float) -> None:
        """Say what a step made, and how long it took."""

    def say(self, line: str) -> None:
        """Say something that is not a step."""


display: ContextVar[Display | None] = ContextVar("display", default=None)
_current: ContextVar["_Progress | None"] = ContextVar("progress", default=None)


class _Progress:
    """How many steps of a run are done; names a step that comes again by its round."""

    def __init__(self, total: int, artifact: UUID) -> None:
        self.total = total
        self.artifact = artifact
        self.done = 0
        self._seen: Counter[str] = Counter()

    def label(self, step: str) -> str:
        self._seen[step] += 1
        return step if self._seen[step] == 1 else f"{step}, round {self._seen[step]}"


@contextmanager
def progress(key: str, total: int) -> Iterator[None]:
    """Count the steps of the enclosed flow; a flow inside another counts towards the outer one.

    Args:
        key: Key of the progress artifact: lower case, digits and dashes.
        total: Number of steps.
    """
    if _current.get() is not None:
        yield
        return
    artifact = create_progress_artifact(progress=0.0, key=key, description=f"{total} steps")
    token = _current.set(_Progress(total, UUID(str(artifact))))
    try:
        yield
    finally:
        _current.reset(token)


def step(task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one step of the enclosing flow and tell everyone who watches."""
    stop_if_asked()
    state, watcher = _current.get(), display.get()
    label = state.label(task.name) if state else task.name
    if state and watcher:
        watcher.started(label, state.done, state.total)
    began = time.perf_counter()
    with watched(Within(task.name, label)) as within:
        record: R = task(*args, **kwargs)
        within.finished()
    seconds, result = time.perf_counter() - began, describe(record)
    get_run_logger().info("%s: %s (%.1f s)", label, result, seconds)
    if watcher:
        watcher.finished(label, result, seconds)
    if state:
        state.done += 1
        update_progress_artifact(artifact_id=state.artifact, progress=100.0 * state.done / state.total)
    return record


class Within:
    """How far one step is, as a progress artifact of its own, for steps that take longer than a moment.

    Args:
        name: The step, which the artifact's key is made of.
        label: What a person reads.
    """

    def __init__(self, name: str, label: str) -> None:
        self._key, self._label = f"{name}-progress", label
        self._began = self._told = self._counted_since = time.monotonic()
        self._what = ""
        self._artifact: UUID | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take in that `done` of `total` are done; tell of it now and then."""
        stop_if_asked()
        now = time.monotonic()
        if what != self._what:  # another part of the step, of which the time of those before it says nothing
            self._what, self._counted_since = what, now if self._what else self._began
        if now - self._told < EVERY_SECONDS or not done or not total:
            return
        self._told = now
        left = (now - self._counted_since) * (total - done) / done
        text = f"{self._label}: {done:,} of {total:,} {what}, about {left:,.0f} s left"
        self._show(100.0 * done / total, text)

    def finished(self) -> None:
        """Say that the step is done, if anything was said of it."""
        if self._artifact is not None:
            self._show(100.0, f"{self._label}: done in {time.monotonic() - self._began:,.0f} s")

    def _show(self, percent: float, text: str) -> None:
        if self._artifact is None:
            made = create_progress_artifact(progress=percent, key=self._key, description=text)
            self._artifact = UUID(str(made))
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=percent, description=text)


def steps_done(count: int, label: str, record: Record) -> None:
    """Count steps that were done elsewhere, and say what they made."""
    get_run_logger().info("%s: %s", label, describe(record))
    if state := _current.get():
        state.done += count
        update_progress_artifact(artifact_id=state.artifact, progress=100.0 * state.done / state.total)


def say(line: str) -> None:
    """Tell everyone who watches something that is not a step."""
    get_run_logger().info("%s", line)
    if watcher := display.get():
        watcher.say(line)


def describe(record: Record) -> str:
    """Say in a few words what a step made.

    >>> from pathlib import Path
    >>> describe(Queue(parquet=Path("queue.parquet"), csv=Path("queue.csv"), rows=100, flagged=143))
    '100 of 143 flagged samples queued'
    """
    match record:
        case Dataset():
            content = {"text": "texts"}.get(record.payload, f"{len(record.feature_names):,} features")
            text = f"{record.rows:,} samples of {len(record.classes):,} classes, {content}"
            # What gives the label away has a line of its own.
            others = {name: why for name, why in record.left_out.items() if name not in record.leaks}
            text += f"; left out: {_why(others)}" if others else ""
        case Validation():
            text = f"{record.dataset.rows:,} samples kept, {record.quarantined:,} in quarantine"
            reasons = ", ".join(
                f"{reason}: {count:,}" for reason, count in list(record.reasons.items())[:NAMED]
            )
            text += f" ({reasons})" if reasons else ""
            text += f", {record.conflicting:,} with conflicting labels" if record.conflicting else ""
        case Encoding():
            maps = [f"{member.name} ({member.width:,} features)" for member in record.members]
            text = ", ".join(maps or [f"a network for each fold: {record.choice.model}"])
            text += f"; model {record.choice.model}, since {record.choice.why}" if record.choice.why else ""
        case Model():
            text = f"{record.folds} folds, {record.iterations} iterations, {_converged(record.converged)}"
        case Scores():
            text = f"{record.flagged:,} of {record.rows:,} samples flagged, {_converged(record.converged)}"
        case Controls():
            text = f"{record.found:,} of {record.planted:,} planted errors found"
        case Queue():
            text = f"{record.rows:,} of {record.flagged:,} flagged samples queued"
        case Report():
            text = record.html.name
        case _:
            text = "done"
    return text


def _why(left_out: Mapping[str, str]) -> str:
    """Name some of the columns that are no features, each with the reason."""
    shown = ", ".join(f"'{name}' ({why})" for name, why in list(left_out.items())[:NAMED])
    return shown + (f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else "")


def _converged(yes: bool) -> str:  # noqa: FBT001 (a field of a record)
    return "converged" if yes else "NOT converged"
