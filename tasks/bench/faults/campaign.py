"""Do real harm to real programs at random moments, start them again, and count what was lost.

A trial begins a sweep, a review or an application of decisions and strikes at a random moment: in a sweep after a number of
finished steps that is drawn evenly, and a part of a second (drawn from the length of a run, most moments would hit its
start-up); in a review after a number of decisions. It notes how the struck program ended, looks at what is left, and starts
the same again, undisturbed, to its end. What strikes goes round.

- `bench faults`: SIGKILL for the command with its process group, a worker's run, the worker alone, both at once. In every other
  round the first repetition is killed too.
- `bench faults troubles`: SIGKILL, SIGTERM, a disk that fills up, a clock that jumps, the same command a
  second time, a removed file, a corrupted one (in a review, a page of the database of decisions), an object store that
  stops to answer. Where a file of a finished
  run or the database was damaged, the first repetition may refuse with one line; the file is then put back, as from a backup.

Lost is: after a kill, a file under its final name that is not whole, or a second run folder beside the one to resume; a file
that differs in a byte from those of undisturbed commands (compared is every file that two undisturbed commands agree on); an
acknowledged decision that is not in the log exactly once; a repetition that does not come through; and from the struck program
a traceback, an internal error, more than one line, or no end at all.

With --tally FILE a campaign can be done in parts: each resumes where the one before it stopped.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, groupby
from pathlib import Path
from typing import Annotated

import typer

from tasks.bench.command import Seed, count_of
from tasks.bench.faults.programs import run_prefect_server
from tasks.bench.faults.reference import make_reference
from tasks.bench.faults.trial import ALLOWED, SERVED, Plan, Stage, Trial, Way, run_trial
from tasks.bench.tables import format_table
from tasks.bench.tally import ResultFile
from tasks.errors import InputError
from tasks.report.summary import read_package_versions

WORDS: dict[Way, str] = {
    "kill": "SIGKILL: the command, its whole process group",
    "run": "SIGKILL: a worker's run, its process",
    "worker": "SIGKILL: the worker alone",
    "both": "SIGKILL: the worker together with its run",
    "terminate": "SIGTERM",
    "full": "disk full",
    "clock": "the clock jumps",
    "twice": "two at once on the same results",
    "removed": "a file is removed",
    "corrupted": "a file is corrupted",
    "store": "the store of the results is lost",
}
KILLS = list(WORDS)[:4]
TROUBLES = ["kill", *list(WORDS)[4:]]
STAGES: tuple[Stage, ...] = ("sweep", "review", "apply")
# Of five trials three strike the sweep, which is by far the longest; the others review and apply.
STAGES_OF_A_ROUND: tuple[Stage, ...] = ("sweep", "review", "sweep", "apply", "sweep")

Rows = Annotated[int, count_of("rows of the data set")]
Kept = Annotated[Path | None, typer.Option(metavar="FILE", help="keep every trial there, and resume from it")]
Seconds = Annotated[float, count_of("begin no trial after so many seconds")]
Part = Annotated[
    str, typer.Option(metavar="I/N", help="the I-th of N parts, so that several processes share a campaign")
]


def run_kills(
    *,
    kills: Annotated[int, count_of("kills in all")] = 100,
    seed: Seed = 0,
    rows: Rows = 600,
    tally: Kept = None,
    seconds: Seconds = float("inf"),
    part: Part = "1/1",
) -> None:
    """Kill real runs, here and on a worker, at random moments, and count what was lost."""
    kept = ResultFile(tally, {"campaign": "kills", "rows": rows, "seed": seed})
    _run_campaign(list(_plan_kills(kills)), kept, seconds, part)


def run_troubles(
    *,
    trials: Annotated[int, count_of("trials in all")] = 200,
    seed: Seed = 0,
    rows: Rows = 600,
    tally: Kept = None,
    seconds: Seconds = float("inf"),
    part: Part = "1/1",
) -> None:
    """Do more harm than kills to sweeps, reviews and applications at random moments, and count what was lost."""
    kept = ResultFile(tally, {"campaign": "troubles", "rows": rows, "seed": seed})
    rounds, each = len(TROUBLES), len(STAGES_OF_A_ROUND)
    plans: list[Plan] = [
        (TROUBLES[number // each % rounds], STAGES_OF_A_ROUND[number % each], 1) for number in range(trials)
    ]
    _run_campaign(plans, kept, seconds, part)


def _plan_kills(kills: int) -> Iterator[Plan]:
    """Yield sweeps to kill, once or, in every other round, twice, until there are so many kills."""
    for number in count():
        strikes = min(1 + number // len(KILLS) % 2, kills)
        if strikes < 1:
            return
        yield KILLS[number % len(KILLS)], "sweep", strikes
        kills -= strikes


def _run_campaign(plans: Sequence[Plan], kept: ResultFile, seconds: float, part: str) -> None:
    """Run the trials that are not kept, print the table of all, and leave with exit code 1 where something was lost.

    Args:
        plans: What each trial strikes.
        seconds: No trial begins after these.
    """
    own, trials = _choose_part(part, len(plans)), [Trial.model_validate(row) for row in kept.rows]
    rows, seed = (kept.about[name] for name in ("rows", "seed"))
    missing = sorted({*own} - {trial.number for trial in trials})
    random.Random(seed).shuffle(missing)  # noqa: S311 (so that what is done first has some of everything)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is cleared up
    took = None
    try:
        if missing:
            with (
                tempfile.TemporaryDirectory(prefix="labelsweep-faults-") as name,
                run_prefect_server(Path(name)) as environment,
                make_reference(
                    Path(name), rows, environment, served=any(way in SERVED for way, *_ in plans)
                ) as reference,
            ):
                took, deadline = reference.seconds, time.monotonic() + seconds
                for number in missing:
                    if time.monotonic() > deadline:
                        break
                    trial = run_trial(reference, number, plans[number], seed)
                    trials.append(trial)
                    kept.add(trial.model_dump(mode="json"))
                    sys.stderr.write(_describe(trial))
    finally:
        sys.stdout.write(make_fault_table(trials, rows, took))
    sys.exit(1 if any(trial.wrong for trial in trials) else 0)


def _choose_part(part: str, trials: int) -> range:
    """Return the numbers of the trials in a part such as 1/2."""
    place, slash, parts = part.partition("/")
    if not (slash and place.isdecimal() and parts.isdecimal() and 1 <= int(place) <= int(parts)):
        raise InputError(f"no part '{part}'", where="--part", fix="write it as 1/2")
    return range(int(place) - 1, trials, int(parts))


def _describe(trial: Trial) -> str:
    wrong = "; ".join(trial.wrong) or "nothing lost"
    return f"{trial.number} {trial.way} in {trial.stage}: {trial.done} → {trial.ended}; {wrong}\n"


def count_strikes(trials: Sequence[Trial]) -> int:
    """Return how many strikes came in time."""
    return sum(len(trial.kept) for trial in trials)


def make_fault_table(trials: Sequence[Trial], rows: int, seconds: float | None = None) -> str:
    """Return the result as Markdown.

    Args:
        seconds: What an undisturbed sweep took, where one was run.
    """
    took = f" (an undisturbed run took {seconds:.1f} s)" if seconds else ""
    about = (
        f"{len(trials):,} trials, {count_strikes(trials):,} strikes, each at a random moment of work on {rows:,} rows{took}; "
        f"{sum(trial.late for trial in trials):,} more came after the end. "
        "Each trial was followed by the same again, to its end, and compared."
    )

    def place(trial: Trial) -> tuple[int, int]:
        return list(WORDS).index(trial.way), STAGES.index(trial.stage)

    lines = []
    for (way, stage), some in groupby(sorted(trials, key=place), key=lambda trial: (trial.way, trial.stage)):
        group = list(some)
        ends = Counter(trial.ended for trial in group)
        counts = [ends[end] for end in ALLOWED]
        whole = sum(not trial.lost for trial in group)
        cells = [len(group), count_strikes(group), *counts, len(group) - sum(counts), whole]
        lines.append([WORDS[way], stage, *cells])
    ends_in_words = ["survived", "refused with one line", "ended by it", "anything else"]
    heads = ["trouble", "during", "trials", "strikes", *ends_in_words]
    wrong = [(trial.number, trial.done, "; ".join(trial.wrong)) for trial in trials if trial.wrong]
    steps = Counter(kept for trial in trials if trial.stage == "sweep" for kept in trial.kept)
    parts = [
        about + "\n",
        format_table([*heads, "nothing lost, same bytes after the repetition"], lines, words=2),
        format_table(["trial", "what was done", "what was wrong"], wrong or [("", "", "nothing")], words=3),
        format_table(["steps that were finished at the strike", "strikes"], sorted(steps.items())),
        f"{os.cpu_count()} cores; {', '.join(f'{name} {number}' for name, number in read_package_versions().items())}\n",
    ]
    return "\n".join(parts)
