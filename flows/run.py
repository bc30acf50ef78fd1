"""The life of a run folder: opened, locked while a run works in it, then finished, failed or removed."""

import fcntl
import os
import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from flows.config import CleanParameters, data_set_name
from tasks.errors import InputError, LabelsweepError
from tasks.storage import discard_run, finish_run, open_run, write_json, write_text

FAILURE = "failure.json"
State = Literal["finished", "failed", "running", "unfinished"]


def new_run_id(parameters: CleanParameters) -> str:
    """Return `<data set>-<UTC time>-<4 hex>`: sorts by data set and time, and two runs of one second differ.

    >>> new_run_id(CleanParameters(source="My cats.csv")).startswith("my-cats-20")
    True
    """
    name = data_set_name(parameters.name or parameters.source).lower()
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:40].strip("-") or "data"
    return f"{slug}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@contextmanager
def run_folder(parameters: CleanParameters) -> Iterator[Path]:
    """Yield the folder of a new run, or of the unfinished one that `resume` names; decide what becomes of it.

    A run whose input was wrong leaves nothing behind; one that failed later keeps its files beside the reason;
    an interrupted one keeps them without, and can be gone on with.

    Raises:
        InputError: The folder cannot be written, or the run to go on with is not there or not unfinished.
    """
    folder = (
        _reopen(parameters.out, parameters.resume)
        if parameters.resume
        else open_run(parameters.out, new_run_id(parameters))
    )
    with _locked(folder):
        try:
            write_text(
                "# Replays this run: labelsweep clean --config with this file.\n" + parameters.replayable(),
                folder / "config.yaml",
            )
            (folder / FAILURE).unlink(missing_ok=True)
            yield folder
        except InputError as error:
            if parameters.resume:
                _record_failure(folder, error)
            else:
                discard_run(folder)
            raise
        except KeyboardInterrupt as error:
            error.add_note(
                f"go on with: labelsweep clean --config {shlex.quote(str(folder / 'config.yaml'))}"
            )
            raise
        except Exception as error:
            _record_failure(folder, error)
            raise
        finish_run(folder)


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
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "another process is at work on this run", where=str(folder), fix="wait until it ends"
            ) from error
        yield
    finally:
        os.close(descriptor)


def _record_failure(folder: Path, error: Exception) -> None:
    line = str(error) if isinstance(error, LabelsweepError) else f"{type(error).__name__}: {error}"
    code = error.exit_code if isinstance(error, LabelsweepError) else 1
    write_json({"error": line, "exit_code": code}, folder / FAILURE)


def state_of(folder: Path) -> State:
    """Say how a run stands: the manifest is written last, so a folder that has one is finished."""
    if (folder / "manifest.json").is_file():
        return "finished"
    try:
        with _locked(folder):
            return "failed" if (folder / FAILURE).is_file() else "unfinished"
    except InputError:
        return "running"
