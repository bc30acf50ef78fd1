"""The command `prune`: old runs go, decisions and versions stay."""

import re
import sys
from datetime import timedelta
from typing import Annotated

import typer

from flows.commands.common import OutWithoutRun, note
from tasks.errors import InputError

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def prune(
    *,
    keep: Annotated[
        int, typer.Option(metavar="N", min=1, help="finished runs of each data set that stay")
    ] = 10,
    older: Annotated[
        str, typer.Option(metavar="90d", help="only runs older than this: hours (h), days (d) or weeks (w)")
    ] = "90d",
    out: OutWithoutRun = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="remove without asking")] = False,
) -> None:
    """Remove old runs, with their queues and reports; decisions and versions of data sets always stay."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.runs.prune import list_old_runs, measure_folder, remove_run  # noqa: PLC0415
    from tasks.show.text import pluralise  # noqa: PLC0415

    results = Results(out)
    if results.address:
        fix = "set a rule of the store for what lies under runs/"
        raise InputError("runs on an object store are not removed", where=results.address, fix=fix)
    runs = list_old_runs(results.out, keep, _parse_age(older))
    if not runs:
        note(f"no run under {results.out} is older than {older} and beyond the newest {keep} of its data set")
        return
    sizes = {run.run_id: measure_folder(results.out, run) for run in runs}
    for run in runs:
        sys.stdout.write(f"{run.run_id}  {run.date:%Y-%m-%d}  {sizes[run.run_id] / 1e6:,.1f} MB\n")
    total = f"{pluralise(len(runs), 'run')}, {sum(sizes.values()) / 1e6:,.1f} MB"
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Remove {total}?", default=False, err=True)):
        note("nothing was removed; --yes removes them")
        return
    busy = [run.run_id for run in runs if not remove_run(results.out, run)]
    note(f"removed: {total}" + (f", but for {', '.join(busy)}, which somebody works in" if busy else ""))


def _parse_age(text: str) -> timedelta:
    """Return a length of time.

    >>> _parse_age("90d").days
    90
    """
    found = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if found is None:
        raise InputError(
            f"'{text}' is not a length of time", where="--older", fix="write it as 90d, 12h or 8w"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
