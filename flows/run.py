"""The life of a run folder: opened, locked while a run works in it, then finished, failed or removed."""

import fcntl
import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from flows.config import CleanParameters
from flows.identity import (
    FAILURE,
    REQUEST,
    Request,
    data_set_key,
    data_set_slug,
    make_request,
    may_be_tried_again,
    same_request,
    times_failed,
)
from flows.signals import failing_after_ctrl_c_is_interrupted, was_terminated
from tasks.errors import InputError, LabelsweepError, StoreError
from tasks.runs.checksums import check_complete
from tasks.runs.lock import hold, try_lock
from tasks.storage import discard_run, finish_run, open_run, write_json, write_text

State = Literal["finished", "failed", "running", "unfinished"]

# Whoever looks how a run stands holds its lock for an instant, which a run that begins waits for.
_GLANCE_SECONDS, _POLL_SECONDS = 1.0, 0.05


def new_run_id(parameters: CleanParameters) -> str:
    """Return `<data set>-<UTC time>-<4 hex>`: sorts by data set and time, and two runs of one second differ.

    >>> new_run_id(CleanParameters(source="My cats.csv")).startswith("my-cats-20")
    True
    """
    return f"{data_set_slug(parameters)}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class Unchanged(Exception):  # noqa: N818 (not an error)
    """The data say what they said in an earlier run, so that this one need not go on.

    Attributes:
        folder: Folder of the earlier run.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder


@contextmanager
def claimed(parameters: CleanParameters, waiting: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Keep every other run of the same data set out.

    Args:
        parameters: What was asked for; `wait` says how long another run may take to end.
        waiting: Told when there is another one.

    Raises:
        InputError: The folder of the results cannot be written, or another run of the data set is at work.
    """
    runs = open_run(parameters.out, "")
    key = data_set_key(parameters)
    taken = f"another process is at work on data set '{key}'"
    try:
        with hold(runs / f".{key}.lock", taken, wait_seconds=parameters.wait, waiting=waiting):
            yield
    finally:
        discard_run(runs / ".none")  # what is empty of results and runs goes away


@contextmanager
def run_folder(parameters: CleanParameters) -> Iterator[Path]:
    """Yield the folder of a run; decide what becomes of it.

    It is the folder of the unfinished run with the same parameters on the same source, if there is one, or the one that
    `resume` names, or a new one. A run whose input was wrong, or that turned out to change nothing, leaves nothing behind; one
    that failed later keeps its files beside the reason; an interrupted one keeps them without.

    Raises:
        InputError: The folder cannot be written, or the run to go on with is not there, not unfinished or at work.
    """
    request = make_request(parameters)
    resumed = (
        _reopen(parameters.out, parameters.resume) if parameters.resume else unfinished(parameters, request)
    )
    folder = resumed or open_run(parameters.out, new_run_id(parameters))
    with _locked(folder):
        try:
            write_text(
                "# Replays this run: labelsweep clean --config with this file.\n" + parameters.replayable(),
                folder / "config.yaml",
            )
            write_json(request.model_dump(mode="json"), folder / REQUEST)
            with failing_after_ctrl_c_is_interrupted():
                yield folder
            check_complete(folder, "config.yaml", REQUEST)
        except BaseException as error:
            _close(folder, error, is_new=resumed is None)
            raise
        (folder / FAILURE).unlink(missing_ok=True)
        finish_run(folder)


def _close(folder: Path, error: BaseException, *, is_new: bool) -> None:
    """Decide what becomes of the folder of a run that did not finish.

    Args:
        folder: The run folder.
        error: What ended the run.
        is_new: Whether this try made the folder.

    Raises:
        LabelsweepError: Somebody removed a file of the run while it was at work.
    """
    if isinstance(error, Unchanged) or (isinstance(error, InputError) and is_new):
        discard_run(folder)
    elif isinstance(error, KeyboardInterrupt):
        error.add_note(f"go on with: labelsweep clean --config {shlex.quote(str(folder / 'config.yaml'))}")
    elif isinstance(error, InputError | FileNotFoundError) or (
        # A run that got a SIGTERM is unfinished, and whatever failed then is no fault of its own.
        isinstance(error, Exception) and not was_terminated()
    ):
        _record_failure(folder, error)
    gone = _gone_from(folder, error) if isinstance(error, FileNotFoundError) else None
    if gone is not None:
        raise LabelsweepError(
            "is gone: it was removed while the run was at work",
            where=gone,
            fix="the same command makes it again and goes on",
        ) from error


def _gone_from(folder: Path, error: FileNotFoundError) -> str | None:
    """Return the file of the run that an error misses, None where it is none of the run's.

    Args:
        folder: The run folder.
        error: Python's own error has the file's name, that of a library in Rust or C++ only a message with it.
    """
    place = str(error.filename or error).find(str(folder))
    return None if place < 0 else str(error.filename or error)[place:]


def unfinished(parameters: CleanParameters, request: Request) -> Path | None:
    """Return the newest run that was asked for the same and did not come to its end, None if there is none.

    A run that failed for no fault of the data or the options counts too, until it has failed too often.
    """
    slug = data_set_slug(parameters)
    folders = [path.parent for path in (parameters.out / "runs").glob(f"{slug}-*/{REQUEST}")]
    for folder in sorted(folders, key=lambda folder: folder.name, reverse=True):
        if not (folder / "manifest.json").exists() and same_request(folder, request):
            state = state_of(folder)
            if state == "unfinished" or (state == "failed" and may_be_tried_again(folder)):
                return folder
    return None


def _reopen(out: Path, run_id: str) -> Path:
    """Return the folder of an unfinished run."""
    folder = out / "runs" / run_id
    if Path(run_id).name != run_id or not (folder / "config.yaml").is_file():
        raise InputError(f"no run '{run_id}'", where=str(out / "runs"), fix="`labelsweep runs` lists them")
    if state_of(folder) == "finished":
        raise InputError(
            "is finished", where=str(folder), fix="replay it with --config " + str(folder / "config.yaml")
        )
    return open_run(out, run_id)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second process out of the folder; the lock ends with this process, however it ends."""
    deadline = time.monotonic() + _GLANCE_SECONDS
    with _opened(folder) as descriptor:
        while not try_lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise InputError(
                    "another process is at work on this run", where=str(folder), fix="wait until it ends"
                )
            time.sleep(_POLL_SECONDS)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _record_failure(folder: Path, error: Exception) -> None:
    line = str(error) if isinstance(error, LabelsweepError) else f"{type(error).__name__}: {error}"
    may_pass = isinstance(error, StoreError) or getattr(error, "exit_code", 1) == 1
    entry = {"error": line, "may_pass": may_pass, "times": times_failed(folder) + 1}
    write_json(entry, folder / FAILURE)


def state_of(folder: Path) -> State:
    """Say how a run stands: the manifest is written last, so a folder that has one is finished."""
    if (folder / "manifest.json").is_file():
        return "finished"
    # Shared, so that two who look do not take each other for a run.
    with _opened(folder) as descriptor:
        if not try_lock(descriptor, fcntl.LOCK_SH):
            return "running"
        return "failed" if (folder / FAILURE).is_file() else "unfinished"
