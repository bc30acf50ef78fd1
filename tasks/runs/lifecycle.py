"""The life of a run folder: opened, locked while a run works in it, then finished, failed or removed."""

import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from tasks.errors import InputError, LabelsweepError, StoreError
from tasks.json_objects import read_object
from tasks.runs.checksums import check_complete
from tasks.runs.data_sets import name_new_run, name_newest
from tasks.runs.lock import hold_lock, lock_folder
from tasks.runs.request import REQUEST, Request
from tasks.storage import finish_run, write_json, write_text

State = Literal["finished", "failed", "running", "unfinished"]

_FAILURE = "failure.json"
# A run that fails at the same place again and again is not resumed for ever: then a new one starts.
_MOST_FAILURES = 3
# Whoever looks how a run stands holds its lock for an instant, which a run that begins waits for.
_GLANCE_SECONDS = 1.0


class Unchanged(Exception):  # noqa: N818 (not an error)
    """The data say what they said in the earlier run in `folder`, so that this one need not continue."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder


@contextmanager
def claim_data_set(
    out: Path, key: str, wait_seconds: float = 0.0, waiting: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Keep every other run of the same data set out.

    Args:
        wait_seconds: How long another run may take to end.
        waiting: Called once when there is another one.

    Raises:
        InputError: The folder of the results cannot be written, or another run of the data set is running.
    """
    lock, taken = open_run(out, "") / f".{key}.lock", f"another process is at work on data set '{key}'"
    try:
        with hold_lock(lock, taken, wait_seconds=wait_seconds, waiting=waiting):
            yield
    finally:
        discard_run(lock.with_name(".none"))  # removes folders that are empty


@contextmanager
def run_folder(request: Request, was_stopped: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """Yield the folder of a run; decide what becomes of it.

    It is the folder of the unfinished run that was asked for the same, if there is one, or the one that `resume` names, or a
    new one. A run whose input was wrong, or that turned out to change nothing, leaves nothing behind; one that failed later
    keeps its files beside the reason; an interrupted one keeps them without.

    Args:
        was_stopped: Whether the process was told to stop: then an error is not a fault of the run.

    Raises:
        InputError: The folder cannot be written, or the run to resume is missing, finished or at work.
    """
    resumed = _reopen_run(request.out, request.resume) if request.resume else _find_unfinished(request)
    folder = resumed or open_run(request.out, name_new_run(request.out, request.name))
    with lock_folder(folder, _GLANCE_SECONDS) as is_ours:
        if not is_ours:
            what, fix = "another process is working on this run", "wait until it ends"
            raise InputError(what, where=str(folder), fix=fix)
        try:
            replay = "# Replays this run: labelsweep clean --config with this file.\n"
            write_text(replay + request.config, folder / "config.yaml")
            write_json(request.asked.model_dump(mode="json"), folder / REQUEST)
            yield folder
            check_complete(folder, "config.yaml", REQUEST)
        except BaseException as error:
            _close(folder, error, is_new=resumed is None, was_stopped=was_stopped)
            raise
        (folder / _FAILURE).unlink(missing_ok=True)
        finish_run(folder)
        name_newest(folder, request.asked.data_set)


def read_state(folder: Path) -> State:
    """Say how a run stands: the manifest is written last, so a folder that has one is finished."""
    if (folder / "manifest.json").is_file():
        return "finished"
    # Shared, so that two who look do not take each other for a run.
    with lock_folder(folder, 0, shared=True) as is_free:
        if not is_free:
            return "running"
        return "failed" if (folder / _FAILURE).is_file() else "unfinished"


def open_run(out: Path, run_id: str) -> Path:
    """Create and return `out/runs/run_id`.

    Raises:
        InputError: The output folder cannot be written.
    """
    folder = out / "runs" / run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        what, fix = f"cannot write there ({error.strerror})", "choose a writable folder with --out"
        raise InputError(what, where=str(out), fix=fix) from error
    return folder


def discard_run(folder: Path) -> None:
    """Remove a run that never became one, and the parents it made if they are empty."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        for parent in (folder.parent, folder.parent.parent):
            parent.rmdir()


def _find_unfinished(request: Request) -> Path | None:
    """Return the newest run that was asked for the same and did not finish, None if there is none.

    A run that failed for no fault of the data or the options counts too, until it has failed too often.
    """
    folders = [path.parent for path in (request.out / "runs").glob(f"{request.name}-*/{REQUEST}")]
    for folder in sorted(folders, key=lambda folder: folder.name, reverse=True):
        if not (folder / "manifest.json").exists() and request.is_of(folder):
            state = read_state(folder)
            if state == "unfinished" or (state == "failed" and _may_be_tried_again(folder)):
                return folder
    return None


def _reopen_run(out: Path, run_id: str) -> Path:
    folder = out / "runs" / run_id
    if Path(run_id).name != run_id or not (folder / "config.yaml").is_file():
        raise InputError(f"no run '{run_id}'", where=str(out / "runs"), fix="`labelsweep runs` lists them")
    if read_state(folder) == "finished":
        fix = f"replay it with --config {folder / 'config.yaml'}"
        raise InputError("is finished", where=str(folder), fix=fix)
    return open_run(out, run_id)


def _close(folder: Path, error: BaseException, *, is_new: bool, was_stopped: Callable[[], bool]) -> None:
    """Decide what becomes of the folder of a run that did not finish; `is_new` says that this try made it."""
    if isinstance(error, Unchanged) or (isinstance(error, InputError) and is_new):
        discard_run(folder)
    elif isinstance(error, KeyboardInterrupt):
        error.add_note(f"go on with: labelsweep clean --config {shlex.quote(str(folder / 'config.yaml'))}")
    elif isinstance(error, InputError | FileNotFoundError) or (
        isinstance(error, Exception) and not was_stopped()
    ):
        _record_failure(folder, error)
    # Python's own error has the file's name, that of a library in Rust or C++ only a message with it.
    named = str(error.filename or error) if isinstance(error, FileNotFoundError) else ""
    if (place := named.find(str(folder))) >= 0:
        what, fix = "was removed while the run was using it", "the same command makes it again and continues"
        raise LabelsweepError(what, where=named[place:], fix=fix) from error


def _record_failure(folder: Path, error: Exception) -> None:
    line = str(error) if isinstance(error, LabelsweepError) else f"{type(error).__name__}: {error}"
    # An error of the data or the options comes again.
    may_pass = isinstance(error, StoreError) or getattr(error, "exit_code", 1) == 1
    times = read_object(folder / _FAILURE).get("times", 0)
    write_json({"error": line, "may_pass": may_pass, "times": times + 1}, folder / _FAILURE)


def _may_be_tried_again(folder: Path) -> bool:
    failure = read_object(folder / _FAILURE)
    return failure.get("may_pass") is True and failure.get("times", 1) < _MOST_FAILURES
