"""A step's record on disk: what it returned, how long it took, how much memory it had, and whether it needs to run again."""

import ctypes
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from tasks.errors import LabelsweepError, StoreError
from tasks.intact import are_intact, digests_since, read_records, stamps, with_check
from tasks.records import Record
from tasks.storage import write_json

R = TypeVar("R", bound=Record)

# Who watches a step from within: told what is counted, how much of it is done, and how much there is.
Watch = Callable[[str, int, int], None]
W = TypeVar("W", bound=Watch)
_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched(watch: W) -> Iterator[W]:
    """Have `watch` told how far the enclosed steps are."""
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def tick(what: str, done: int, total: int) -> None:
    """Say from within a step how far it is.

    Args:
        what: What is counted: rows, folds.
        done: How many are done.
        total: How many there are.

    >>> with watched(print):
    ...     tick("rows", 10, 100)
    rows 10 100
    """
    if (watch := _watch.get()) is not None:
        watch(what, done, total)


def recorded(
    name: str, folder: Path, kind: type[R], inputs: Mapping[str, object], work: Callable[[], R]
) -> R:
    """Run `work` and keep its record in `folder/steps/name.json`; return the kept one if it was made from the same inputs.

    This is what makes a killed run continue from its last finished step: a step publishes its files before its record, and the
    record holds their digests. Where a file was removed or damaged since, the step runs again.

    Args:
        name: Step name, unique within the run.
        folder: The run folder.
        kind: Type of the record that `work` returns.
        inputs: Everything the result depends on: records and options.
        work: The step itself.

    Returns:
        What `work` returned, now or then.

    Raises:
        Exception: Whatever `work` raises; no record is kept then.
    """
    path = folder / "steps" / f"{name}.json"
    key = digest_of(inputs)
    others = read_records(folder)
    kept = others.pop(name, None)
    taken = {other["place"] for other in others.values()}
    # Its place among the steps; one whose record is lost has the first that is free, as the steps come in order.
    place = kept["place"] if kept else next(free for free in count() if free not in taken)
    later = [other for other in others.values() if other["place"] > place]
    if kept and kept["inputs"] == key and are_intact(folder, kept["files"], later):
        return kind.model_validate(kept["record"])
    before = stamps(folder)
    reset_peak_memory()
    started = time.perf_counter()
    record = work()
    entry = {
        "step": name,
        "place": place,
        "inputs": key,
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_mb": round(peak_memory() / 2**20, 1),
        "finished": time.time(),
        "files": digests_since(folder, before),
        "record": record.model_dump(mode="json"),
    }
    write_json(with_check(entry), path)
    return record


def may_pass(task: Any, run: Any, state: Any) -> bool:  # noqa: ANN401, ARG001 (Prefect calls it with its own types)
    """Return whether trying a task again can help: after a fault of disk or network, never after a user's error."""
    error = state.data
    return isinstance(error, StoreError) or (
        isinstance(error, OSError) and not isinstance(error, LabelsweepError)
    )


def digest_of(inputs: Mapping[str, object]) -> str:
    """Return a digest of everything that a result depends on: records and options."""

    def plain(value: object) -> object:
        if not isinstance(value, BaseModel):
            return str(value)
        unread = value.indifferent if isinstance(value, Record) else frozenset()
        return value.model_dump(mode="json", exclude=set(unread))

    text = json.dumps({key: plain(value) for key, value in inputs.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def reset_peak_memory() -> None:
    """Give back what is free, and start a new high-water mark of this process's resident memory, where the system can (Linux)."""
    # The allocator keeps what the step before has freed, and a long run would seem, and be, larger with every step.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory() -> int:
    """Return the highest resident memory of this process since the last reset, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource  # noqa: PLC0415 (Unix only, and only needed where /proc is not)

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
