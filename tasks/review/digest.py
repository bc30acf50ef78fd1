"""What happened to each data set since a day: new flags, decisions, noise, reviewers."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tasks.records import Record
from tasks.review.exchange.incoming import parse_time
from tasks.review.ledger import Ledger, make_key
from tasks.review.log import read_log
from tasks.runs.data_sets import find_short_name
from tasks.runs.history import PastRun, list_past_runs
from tasks.runs.request import read_asked
from tasks.show.text import pluralise
from tasks.storage import read_json
from tasks.terminal import write_one_line


class Week(Record):
    """One data set since a day.

    Args:
        source: What was swept.
        nights: Finished sweeps that found something changed.
        flagged: Samples that their queues show for the first time.
        decided: Samples that people decided, undone decisions and planted controls not counted.
        reviewers: How many each of them decided.
        noise: Estimated share of wrong labels after each of the nights, oldest first; None where nobody can tell.
    """

    source: str
    nights: int
    flagged: int
    decided: int
    reviewers: dict[str, int]
    noise: list[float | None]


def make_digest(out: Path, since: datetime) -> list[Week]:
    """Return what happened to each data set of a results folder, by name.

    Args:
        since: From when on, in UTC.
    """
    runs = [run for run in list_past_runs(out) if run.state == "finished"]
    standing = (row for row in Ledger(read_log(out)).rows() if not row.control)
    counted = [row for row in standing if (made := parse_time(row.time)) and made >= since]
    found = []
    asked = {run.run_id: read_asked(out / "runs" / run.run_id) for run in runs}
    keys = {run.run_id: one.data_set if (one := asked[run.run_id]) else run.source for run in runs}
    for key in dict.fromkeys(keys.values()):
        own = [run for run in runs if keys[run.run_id] == key]
        ids = {run.run_id for run in own}
        answers = {(row.reviewer, make_key(row)) for row in counted if row.run in ids}
        reviewers = Counter(reviewer for reviewer, _ in answers)
        folders = [out / "runs" / run.run_id for run in reversed(own) if run.date >= since]
        nights = [read_json(folder / "summary.json")["queue"] for folder in folders]
        if nights or reviewers:
            found.append(
                Week(
                    source=_name_data_set(own),
                    nights=len(nights),
                    flagged=sum(queue["queued"] for queue in nights),
                    decided=len({key for _, key in answers}),
                    reviewers=dict(reviewers.most_common()),
                    noise=[queue["estimated_noise_rate"] for queue in nights],
                )
            )
    return sorted(found, key=lambda week: week.source.rsplit("/", 1)[-1])


def _name_data_set(runs: Sequence[PastRun]) -> str:
    """Return what all runs swept; of files that change their names, such as dated ones, the short name."""
    sources = {run.source for run in runs}
    return sources.pop() if len(sources) == 1 else find_short_name(runs[0].run_id)


def format_digest(weeks: Sequence[Week]) -> str:
    """Return a digest as plain lines.

    >>> format_digest([Week(source="pets.csv", nights=2, flagged=9, decided=5, reviewers={"Ada": 5}, noise=[0.08, 0.061])])
    'pets.csv: 9 new flags in 2 sweeps, 5 decided (Ada 5), noise 8.0% → 6.1%'
    """
    return "\n".join(map(_write_line, weeks)) or "no sweep and no decision"


def _write_line(week: Week) -> str:
    who = ", ".join(f"{write_one_line(name)} {count:,}" for name, count in week.reviewers.items())
    known = [f"{rate:.1%}" for rate in week.noise if rate is not None]
    trend = " → ".join(dict.fromkeys([known[0], known[-1]])) if known else "unknown"
    return (
        f"{re.sub(r'^.*/', '', write_one_line(week.source))}: {pluralise(week.flagged, 'new flag')} "
        f"in {pluralise(week.nights, 'sweep')}, "
        f"{week.decided:,} decided{f' ({who})' if who else ''}, noise {trend}"
    )
