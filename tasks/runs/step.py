"""A step of a run: its record is kept on disk, so that a resumed run does not do it again. In a flow run it is a Prefect task.

The record in `steps/NAME.json` holds what the step returned, a digest of its arguments, and digests of the files that it wrote.
It is written after those files. A step runs again where an argument is another, or a file was removed or damaged.
"""

import functools
import hashlib
import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, get_type_hints

from pydantic import BaseModel

from tasks.errors import LabelsweepError, StoreError
from tasks.memory import read_peak_memory, reset_peak_memory
from tasks.records import Record
from tasks.runs.checksums import add_check, are_intact, digest_written, read_records, read_stamps
from tasks.storage import hash_file, write_json

if TYPE_CHECKING:
    from prefect import Task

P = ParamSpec("P")
R = TypeVar("R", bound=Record)
Arguments = Mapping[str, Any]

# Arguments that never decide a step's result. Fields of a record that do not are its `indifferent` ones (`tasks.records`).
INDIFFERENT = frozenset({"folder"})

# Seconds before a step is tried again that failed for a fault of disk or network.
_RETRY_SECONDS = (2, 10)

_key: ContextVar[str] = ContextVar("step_key")


class Step(Generic[P, R]):
    """A step: a Prefect task where a flow run calls it, a plain function elsewhere.

    Prefect takes a second to import and a server that takes five to start; a run that nobody follows there needs neither.

    Args:
        fn: The function that does the step, or returns what an earlier try did.
        may_retry: Whether it is tried again after a fault of disk or network.
    """

    def __init__(self, fn: Callable[P, R], *, may_retry: bool) -> None:
        functools.update_wrapper(self, fn)
        self.name = str(fn.__name__)
        self.fn = fn
        self._may_retry = may_retry

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the step."""
        if is_in_flow_run():
            return self.task(*args, **kwargs)
        for seconds in _RETRY_SECONDS if self._may_retry else ():
            try:
                return self.fn(*args, **kwargs)
            except (StoreError, OSError) as error:
                if not is_transient(error):
                    raise
            time.sleep(seconds)
        return self.fn(*args, **kwargs)

    @functools.cached_property
    def task(self) -> "Task[P, R]":
        """The step as a Prefect task."""
        from prefect import task  # noqa: PLC0415 (a second to import, and not needed without a flow run)
        from prefect.cache_policies import NO_CACHE  # noqa: PLC0415

        retries: dict[str, Any] = {
            "retries": len(_RETRY_SECONDS),
            "retry_delay_seconds": list(_RETRY_SECONDS),
            "retry_condition_fn": lambda _task, _run, state: is_transient(state.data),
        }
        return task(name=self.name, cache_policy=NO_CACHE, **(retries if self._may_retry else {}))(self.fn)


def is_in_flow_run() -> bool:
    """Return whether a Prefect flow run is running here."""
    context = sys.modules.get("prefect.context")
    return context is not None and context.FlowRunContext.get() is not None


def step(
    *,
    round_of: Callable[[Arguments], int] | None = None,
    reads: Callable[[Arguments], dict[str, Any]] = lambda _: {},
    may_retry: bool = False,
) -> Callable[[Callable[P, R]], Step[P, R]]:
    """Make a step of a function that works in `folder`, one of its arguments, and returns a record.

    The result depends on all other arguments. A path to a file among them counts as the file's content.

    Args:
        round_of: Returns the round from the arguments, for a step that comes once a round; its record is `NAME-ROUND.json`.
        reads: Returns what else the result depends on, from the arguments.
        may_retry: Whether the step is tried again after a fault of disk or network.

    >>> @step()
    ... def report(folder: Path) -> Record:
    ...     return Record()
    >>> report.name
    'report'
    """

    def decorate(work: Callable[P, R]) -> Step[P, R]:
        signature, kind = inspect.signature(work), get_type_hints(work)["return"]
        name = str(work.__name__)

        @functools.wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            own = name if round_of is None else f"{name}-{round_of(given)}"
            inputs = {key: value for key, value in given.items() if key not in INDIFFERENT} | reads(given)
            return run_or_reuse(own, given["folder"], kind, inputs, lambda: work(*args, **kwargs))

        return Step(run, may_retry=may_retry)

    return decorate


def step_key() -> str:
    """Return the digest of all that the result of the step at work depends on, for parts of it that it keeps itself."""
    return _key.get()


def run_or_reuse(
    name: str, folder: Path, kind: type[R], inputs: Mapping[str, object], work: Callable[[], R]
) -> R:
    """Run `work` and keep its record in `folder/steps/NAME.json`; return the kept one if it was made from the same inputs.

    Args:
        kind: Type of the record that `work` returns.

    Raises:
        Exception: Whatever `work` raises; no record is kept then.
    """
    path, key = folder / "steps" / f"{name}.json", digest_inputs(inputs)
    others = read_records(folder)
    kept = others.pop(name, None)
    taken = {other["place"] for other in others.values()}
    # Its place among the steps; one whose record is lost has the first that is free, as the steps come in order.
    place = kept["place"] if kept else next(free for free in count() if free not in taken)
    later = [other for other in others.values() if other["place"] > place]
    if kept and kept["inputs"] == key and are_intact(folder, kept["files"], later):
        return kind.model_validate(kept["record"])
    before = read_stamps(folder)
    reset_peak_memory()
    started = time.perf_counter()
    token = _key.set(key)
    try:
        record = work()
    finally:
        _key.reset(token)
    entry = {
        "step": name,
        "place": place,
        "inputs": key,
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_mb": round(read_peak_memory() / 2**20, 1),
        "finished": time.time(),
        "files": digest_written(folder, before),
        "record": record.model_dump(mode="json"),
    }
    write_json(add_check(entry), path)
    return record


def is_transient(error: object) -> bool:
    """Return whether trying again can help: after a fault of disk or network, never after a user's error."""
    is_ours = isinstance(error, LabelsweepError)
    return isinstance(error, StoreError) or (isinstance(error, OSError) and not is_ours)


def digest_inputs(inputs: Mapping[str, object]) -> str:
    """Return a digest of everything that a result depends on: records, options, contents of files."""

    def plain(value: object) -> object:
        if isinstance(value, Path) and value.is_file():
            return hash_file(value)
        if not isinstance(value, BaseModel):
            return str(value)
        unread = value.indifferent if isinstance(value, Record) else frozenset()
        return value.model_dump(mode="json", exclude=set(unread))

    text = json.dumps({key: plain(value) for key, value in inputs.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
