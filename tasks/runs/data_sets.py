"""Which runs are of one data set, and which of them is the newest: what `latest` and `review` mean."""

import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.errors import InputError, list_names
from tasks.runs.request import read_data_set_key
from tasks.storage import name_latest

# Beside `runs`: for each data set what names its newest finished run.
LATEST = "latest"
_RUN_ID = re.compile(r"(.+)-(\d{8}-\d{6})-[0-9a-f]{4}")
_TIME = "%Y%m%d-%H%M%S"


def find_short_name(run_id: str) -> str:
    """Return the short name of the data set that a run's id begins with.

    >>> find_short_name("pets-20260102-030405-beef")
    'pets'
    """
    found = _RUN_ID.fullmatch(run_id)
    return found[1] if found else run_id


def read_date(run_id: str) -> datetime | None:
    """Return when a run began, as its id says; a copy of its folder has other times.

    >>> read_date("cats-20260102-030405-beef")
    datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    """
    found = _RUN_ID.fullmatch(run_id)
    return datetime.strptime(found[2], _TIME).replace(tzinfo=UTC) if found else None


def name_new_run(out: Path, name: str) -> str:
    """Return an id for a new run of a data set: ids sort by name and time.

    The time is later than that of every run before, even where the clock was set back since: the newest run is the last one.
    """
    began = datetime.now(UTC).replace(microsecond=0)
    found = (_RUN_ID.fullmatch(path.name) for path in (out / "runs").glob(f"{name}-*"))
    before = max((run[2] for run in found if run and run[1] == name), default="")
    with suppress(ValueError):  # a folder that somebody named like a run
        began = max(began, datetime.strptime(before, _TIME).replace(tzinfo=UTC) + timedelta(seconds=1))
    return f"{name}-{began:{_TIME}}-{secrets.token_hex(2)}"


def find_newest_runs(out: Path) -> dict[str, str]:
    """Return the id of the newest finished run of each data set under `out`, by the data set's key."""
    found: dict[str, str] = {}
    for manifest in sorted((out / "runs").glob("*/manifest.json"), key=lambda path: path.parent.name):
        if not manifest.parent.is_symlink():
            found[read_data_set_key(manifest.parent)] = manifest.parent.name
    return found


def name_newest(folder: Path, data_set: str) -> None:
    """Let `latest/DATA_SET` beside `runs` name the run in `folder`."""
    link = folder.parents[1] / LATEST / data_set
    link.parent.mkdir(exist_ok=True)
    name_latest(folder, link)


def choose_run(newest: Mapping[str, str], name: str | None, where: str) -> str | None:
    """Return the newest run of the data set that is meant, None where there is no such data set.

    A data set goes by its key or by its short name; a corrected version has the short name of what it corrects.

    Args:
        newest: The newest run of each data set, by key.
        name: What the user named; None is the only data set there is.

    Raises:
        InputError: Several data sets could be meant.

    >>> newest = {"pets-1e9935": "pets-20260102-030405-beef", "cats": "cats-20260102-030405-cafe"}
    >>> choose_run(newest, "pets", "data")
    'pets-20260102-030405-beef'
    >>> choose_run(newest, None, "data")
    Traceback (most recent call last):
    tasks.errors.InputError: data: there are several data sets: 'cats', 'pets'; name one of them, or a run of `labelsweep runs`
    """
    if name is not None and name in newest:
        return newest[name]
    named = {key: run for key, run in newest.items() if name in (None, find_short_name(run))}
    if len(names := sorted({find_short_name(run) for run in named.values()})) > 1:
        fix = "name one of them, or a run of `labelsweep runs`"
        raise InputError(f"there are several data sets: {list_names(names)}", where=where, fix=fix)
    if len(keys := sorted(key for key in named if key != name and key not in names)) > 1:
        fix = f"name one of {list_names(keys)}, and give each a name of its own with --name"
        raise InputError(f"there are several data sets that are called '{names[0]}'", where=where, fix=fix)
    return max(named.values(), default=None)
