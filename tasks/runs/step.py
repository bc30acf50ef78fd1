"""A step of a run: a Prefect task whose record is kept on disk, so that a resumed run does not do it again.

The record in `steps/NAME.json` holds what the step returned, a digest of its arguments, and digests of the files that it wrote.
It is written after those files. A step runs again where an argument is another, or a file was removed or damaged.
"""

import functools
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from tasks.errors import LabelsweepError, StoreError
from tasks.memory import peak_memory, reset_peak_memory
from tasks.records import Record
from tasks.runs.checksums import are_intact, digests_since, read_records, stamps, with_check
from tasks.storage import sha256_file, write_json

P = ParamSpec("P")
R = TypeVar("R", bound=Record)
Arguments = Mapping[str, Any]

# Arguments that never decide a step's result. Fields of a record that do not are its `indifferent` ones (`tasks.records`).
INDIFFERENT = frozenset({"folder"})

_key: ContextVar[str] = ContextVar("step_key")


def step(
    *,
    round_of: Callable[[Arguments], int] | None = None,
    reads: Callable[[Arguments], dict[str, Any]] = lambda _: {},
    may_retry: bool = False,
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a Prefect task of a function that works in `folder`, one of its arguments, and returns a record.

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

    def decorate(work: Callable[P, R]) -> Task[P, R]:
        signature, kind = inspect.signature(work), get_type_hints(work)["return"]
        name = str(work.__name__)

        @functools.wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            own = name if round_of is None else f"{name}-{round_of(given)}"
            inputs = {key: value for key, value in given.items() if key not in INDIFFERENT} | reads(given)
            record: R = run_once(own, given["folder"], kind, inputs, lambda: work(*args, **kwargs))
            return record

        retries: dict[str, Any] = {
            "retries": 2,
            "retry_delay_seconds": [2, 10],
            "retry_condition_fn": may_pass,
        }
        return task(name=name, cache_policy=NO_CACHE, **(retries if may_retry else {}))(run)

    return decorate


def step_key() -> str:
    """Return the digest of all that the result of the step at work depends on, for parts of it that it keeps itself."""
    return _key.get()


def run_once(
    name: str, folder: Path, kind: type[R], inputs: Mapping[str, object], work: Callable[[], R]
) -> R:
    """Run `work` and keep its record in `folder/steps/NAME.json`; return the kept one if it was made from the same inputs.

    Args:
        name: Step name, unique within the run.
        folder: The run folder.
        kind: Type of the record that `work` returns.
        inputs: Everything that the result depends on.
        work: The step itself.

    Raises:
        Exception: Whatever `work` raises; no record is kept then.
    """
    path, key = folder / "steps" / f"{name}.json", digest_of(inputs)
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
    """Return a digest of everything that a result depends on: records, options, contents of files."""

    def plain(value: object) -> object:
        if isinstance(value, Path) and value.is_file():
            return sha256_file(value)
        if not isinstance(value, BaseModel):
            return str(value)
        unread = value.indifferent if isinstance(value, Record) else frozenset()
        return value.model_dump(mode="json", exclude=set(unread))

    text = json.dumps({key: plain(value) for key, value in inputs.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
