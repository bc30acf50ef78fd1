"""Progress of a run, for everyone who watches: the terminal, and Prefect where the run is a flow run."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, Self, TypeVar

from flows.signals import stop_if_asked
from tasks import records
from tasks.records import Record
from tasks.runs.progress import call_on_tick

P = ParamSpec("P")
R = TypeVar("R", bound=Record)

# Watchers are told this often how far a step is.
EVERY_SECONDS = 2.0
# Columns that a line of the terminal names; the report has them all.
NAMED = 6


class Watcher:
    """Who watches a run; this one shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show_preparation(self, what: str) -> None:
        """Show what is done before the first step."""

    def show_start(self, step: str, done: int, total: int) -> None:
        """Show that a step began when `done` of `total` were finished."""

    def show_progress(self, step: str, text: str, percent: float) -> None:
        """Show how far a step is that takes longer than a moment."""

    def show_end(self, step: str, record: Record, seconds: float | None, done: int, total: int) -> None:  # noqa: ARG002
        """Say what a step made in some seconds, None where they are not known; `done` of `total` are finished."""
        self.say(f"{step}: {describe_step(record, seconds)}")

    def say(self, line: str) -> None:
        """Show something that is not a step."""


_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())
_current: ContextVar["_Progress"] = ContextVar("progress")


class _Progress:
    """How many steps of a run are done; names a step that comes again by its round."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._seen: Counter[str] = Counter()

    def label(self, step: str) -> str:
        self._seen[step] += 1
        return step if self._seen[step] == 1 else f"{step}, round {self._seen[step]}"


@contextmanager
def add_watcher(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` too of the steps in the enclosed block."""
    token = _watchers.set((*_watchers.get(), watcher))
    try:
        with watcher:
            yield
    finally:
        _watchers.reset(token)


@contextmanager
def count_progress(total: int) -> Iterator[None]:
    """Count the steps of the enclosed block, `total` in all."""
    token = _current.set(_Progress(total))
    try:
        yield
    finally:
        _current.reset(token)


def run_step(task: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one step of a run and tell everyone who watches."""
    stop_if_asked()
    state, name = _current.get(), task.name  # type: ignore[attr-defined]
    label = state.label(name)
    for watcher in _watchers.get():
        watcher.show_start(label, state.done, state.total)
    began = time.perf_counter()
    with call_on_tick(Within(label)):
        record: R = task(*args, **kwargs)
    state.done += 1
    _tell_finished(label, record, time.perf_counter() - began)
    return record


def count_steps_done(count: int, label: str, record: Record) -> None:
    """Count steps that were done elsewhere, and say what they made."""
    _current.get().done += count
    _tell_finished(label, record, None)


def _tell_finished(label: str, record: Record, seconds: float | None) -> None:
    state = _current.get()
    for watcher in _watchers.get():
        watcher.show_end(label, record, seconds, state.done, state.total)


def announce_preparation(what: str) -> None:
    """Tell everyone who watches what is done before the first step."""
    for watcher in _watchers.get():
        watcher.show_preparation(what)


def say(line: str) -> None:
    """Tell everyone who watches something that is not a step."""
    for watcher in _watchers.get():
        watcher.say(line)


class Within:
    """Tells how far one step is, now and then."""

    def __init__(self, label: str) -> None:
        self._label, self._what = label, ""
        self._told = self._counted_since = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take in that `done` of `total` are done."""
        stop_if_asked()
        now = time.monotonic()
        if what != self._what:  # another part of the step, of which the time of those before it says nothing
            self._counted_since = now if self._what else self._counted_since
            self._what = what
        if now - self._told < EVERY_SECONDS or not done or not total:
            return
        self._told = now
        left = (now - self._counted_since) * (total - done) / done
        text = f"{self._label}: {done:,} of {total:,} {what}, about {left:,.0f} s left"
        for watcher in _watchers.get():
            watcher.show_progress(self._label, text, 100.0 * done / total)


def describe_step(record: Record, seconds: float | None) -> str:
    """Say what a step made, and how long it took."""
    return describe(record) + (f" ({seconds:.1f} s)" if seconds is not None else "")


def describe(record: Record) -> str:
    """Say in a few words what a step made.

    >>> from pathlib import Path
    >>> describe(records.Queue(parquet=Path("queue.parquet"), csv=Path("queue.csv"), rows=100, flagged=143))
    '100 of 143 flagged samples queued'
    >>> describe(records.Queue(parquet=Path("queue.parquet"), csv=Path("queue.csv"), rows=20, flagged=3, unflagged=17))
    '3 of 3 flagged samples queued, and the 17 most doubtful others'
    """
    match record:
        case records.Dataset():
            content = {"text": "texts"}.get(record.payload, f"{len(record.feature_names):,} features")
            text = f"{record.rows:,} samples of {len(record.classes):,} classes, {content}"
            # What gives the label away has a line of its own.
            others = {name: why for name, why in record.left_out.items() if name not in record.leaks}
            text += f"; left out: {_list_reasons(others)}" if others else ""
        case records.Validation():
            text = f"{record.dataset.rows:,} samples kept, {record.quarantined:,} in quarantine"
            reasons = ", ".join(
                f"{reason}: {count:,}" for reason, count in list(record.reasons.items())[:NAMED]
            )
            text += f" ({reasons})" if reasons else ""
            text += f", {record.conflicting:,} with conflicting labels" if record.conflicting else ""
        case records.Encoding():
            maps = [f"{member.name} ({member.width:,} features)" for member in record.members]
            text = ", ".join(maps or [f"a network for each fold: {record.choice.model}"])
            text += f"; model {record.choice.model}, since {record.choice.why}" if record.choice.why else ""
            text += f"; {record.encoder}" if record.encoder else ""
        case records.FittedRound():
            text = f"{record.folds} folds, {record.iterations} iterations, {_say_converged(record.converged)}"
        case records.Scores():
            text = (
                f"{record.flagged:,} of {record.rows:,} samples flagged, {_say_converged(record.converged)}"
            )
        case records.Controls():
            text = f"{record.found:,} of {record.planted:,} planted errors found"
        case records.Queue():
            text = f"{record.rows - record.unflagged:,} of {record.flagged:,} flagged samples queued"
            text += f", and the {record.unflagged:,} most doubtful others" if record.unflagged else ""
        case records.Map():
            text = f"{record.rows:,} samples placed"
        case records.Report():
            text = record.html.name
        case _:
            text = "done"
    return text


def _list_reasons(left_out: Mapping[str, str]) -> str:
    """Name some of the columns that are not features, each with the reason."""
    shown = ", ".join(f"'{name}' ({why})" for name, why in list(left_out.items())[:NAMED])
    return shown + (f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else "")


def _say_converged(yes: bool) -> str:  # noqa: FBT001 (a field of a record)
    return "converged" if yes else "NOT converged"
