"""Old runs are removed: whole run folders, and nothing else. Decisions and versions of data sets are beside them and stay."""

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.runs.data_sets import find_short_name
from tasks.runs.history import PastRun, list_past_runs
from tasks.runs.lock import lock_folder
from tasks.runs.request import read_asked
from tasks.storage import list_published

# No run is older, and no date lies before the year 1.
_LONGEST = timedelta(days=365_000)


def list_old_runs(out: Path, keep: int, older: timedelta) -> list[PastRun]:
    """Return the runs that are not needed, oldest first: beyond the newest finished ones of their data set, and too old.

    Args:
        keep: How many finished runs of each data set stay, at least one: the next sweep continues from the newest.
        older: Runs that are younger stay, too.
    """
    before, seen, found = datetime.now(UTC) - min(older, _LONGEST), Counter[str](), []
    for run in list_past_runs(out):  # newest first
        asked = read_asked(out / "runs" / run.run_id)
        data_set = asked.data_set if asked else find_short_name(run.run_id)
        is_kept = seen[data_set] < max(keep, 1)
        seen[data_set] += run.state == "finished"
        if not is_kept and run.state != "running" and run.date < before:
            found.append(run)
    return found[::-1]


def measure_folder(out: Path, run: PastRun) -> int:
    """Return the bytes of a run's files."""
    return sum(path.stat().st_size for path in list_published(out / "runs" / run.run_id))


def remove_run(out: Path, run: PastRun) -> bool:
    """Remove the folder of a run; return whether that was done: not while somebody works in it."""
    folder = out / "runs" / run.run_id
    with lock_folder(folder, 0) as is_ours:
        if is_ours:
            # Whoever is interrupted here leaves no half of a run under its name.
            shutil.rmtree(folder.rename(folder.with_name(f".{folder.name}.removed")))
    return is_ours
