"""Do real harm to real programs at random moments, start them again, and count what was lost.

A trial begins a sweep, a review or an application of decisions and strikes at a random moment: in a sweep after a number of
finished steps that is drawn evenly, and a part of a second (drawn from the length of a run, most moments would hit its
start-up); in a review after a number of decisions. It notes how the struck program ended, looks at what is left, and starts
the same again, undisturbed, to its end. What strikes goes round.

- `bench faults`: SIGKILL for the command with its process group, a worker's run, the worker alone, both at once. In every other
  round the first repetition is killed too.
- `bench faults troubles`: SIGKILL, SIGTERM, a disk that fills up, a clock that jumps, the same command a second time, a removed
  file, a corrupted one (in a review, a page of the database of decisions), an object store that stops to answer. Where a file
  of a finished run or the database was damaged, the first repetition may refuse with one line; the file is then put back, as
  from a backup.

Lost is: after a kill, a file under its final name that is not whole, or a second run folder beside the one to resume; a file
that differs in a byte from those of undisturbed commands (compared is every file that two undisturbed commands agree on); an
acknowledged decision that is not in the log exactly once; a repetition that does not come through; and from the struck program
a traceback, an internal error, more than one line, or no end at all.

With --tally FILE a campaign can be done in parts: each resumes where the one before it stopped.
"""

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from itertools import count
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from tasks.bench.command import Seed, count_of
from tasks.bench.faults.harm import PLACES, use_folder
from tasks.bench.faults.programs import run_prefect_server
from tasks.bench.faults.reference import Reference, make_reference
from tasks.bench.faults.trial import ON_WORKER, Trial
from tasks.bench.tables import format_frame, format_table
from tasks.bench.tally import Row, run_campaign
from tasks.errors import InputError
from tasks.report.summary import read_package_versions

WORDS = {
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
# Of five trials three strike the sweep, which is by far the longest; the others review and apply.
STAGES = ("sweep", "review", "sweep", "apply", "sweep")
ENDS = {"survived": "survived", "refused": "refused with one line", "killed": "ended by it"}
OTHER_END = "anything else"
# What is struck in which way, at what, how often.
Plan = tuple[str, str, int]

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
    cases = {f"kill {n}, {rows} rows, seed {seed}": plan for n, plan in enumerate(plan_kills(kills))}
    run_trials(cases, rows, tally, seconds, part)


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
    # Eight troubles and five stages have no common factor: each trouble meets each stage.
    cases: dict[str, Plan] = {
        f"trouble {n}, {rows} rows, seed {seed}": (TROUBLES[n % len(TROUBLES)], STAGES[n % len(STAGES)], 1)
        for n in range(trials)
    }
    run_trials(cases, rows, tally, seconds, part)


def plan_kills(kills: int) -> Iterator[Plan]:
    """Yield sweeps to kill, once or, in every other round, twice, until there are so many kills."""
    for number in count():
        strikes = min(1 + number // len(KILLS) % 2, kills)
        if strikes < 1:
            return
        yield KILLS[number % len(KILLS)], "sweep", strikes
        kills -= strikes


def run_trials(cases: Mapping[str, Plan], rows: int, tally: Path | None, seconds: float, part: str) -> None:
    """Run the trials that are not kept, print the table of all, and leave with exit code 1 where something was lost."""
    if not (found := re.fullmatch(r"0*([1-9]\d*)/(\d+)", part)) or int(found[1]) > int(found[2]):
        raise InputError(f"no part '{part}'", where="--part", fix="write it as 1/2")
    own = {name: cases[name] for name in list(cases)[int(found[1]) - 1 :: int(found[2])]}
    with_worker = any(way in ON_WORKER for way, *_ in cases.values())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is cleared up
    with ExitStack() as exits:

        @cache
        def prepare() -> Reference:
            folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="labelsweep-faults-")))
            environment = exits.enter_context(run_prefect_server(folder))
            return exits.enter_context(make_reference(folder, rows, environment, with_worker=with_worker))

        def measure(name: str) -> Row:
            way, stage, strikes = cases[name]
            reference = prepare()
            with PLACES.get(way, use_folder)(reference.folder / re.sub(r"\W+", "-", name)) as place:
                seen = Trial(reference, place, way, stage, name).run(strikes)
            return {"undisturbed": reference.seconds, **seen}

        known = run_campaign(
            {name: name for name in own}, lambda name, _: [measure(name)], tally, seconds=seconds
        )
    sys.stdout.write(make_fault_table(known, rows))
    sys.exit(1 if any(row["wrong"] for row in known) else 0)


def make_fault_table(trials: Sequence[Row], rows: int) -> str:
    """Return the result as Markdown."""
    names = ["case", "way", "stage", "done", "ended", "kept", "late", "lost", "wrong", "undisturbed"]
    frame = pd.DataFrame(trials, columns=names)
    frame["trouble"] = pd.Categorical(frame["way"].map(WORDS), list(WORDS.values()))
    frame["during"] = pd.Categorical(frame["stage"], ["sweep", "review", "apply"])
    frame["strikes"] = frame["kept"].map(len)
    frame["end"] = frame["ended"].map(ENDS).fillna(OTHER_END)
    by = frame.groupby(["trouble", "during"], observed=True)
    table = by.agg(trials=("case", "size"), strikes=("strikes", "sum"))
    ends = by["end"].value_counts().unstack().reindex(columns=[*ENDS.values(), OTHER_END])
    table = table.join(ends.fillna(0).astype(int))
    table["nothing lost, same bytes after the repetition"] = by["lost"].agg(
        lambda some: (some.map(len) == 0).sum()
    )
    steps = frame.loc[frame["stage"] == "sweep", "kept"].explode().value_counts().sort_index()
    wrong = [(row["case"], row["done"], "; ".join(row["wrong"])) for row in trials if row["wrong"]]
    about = (
        f"{len(frame):,} trials, {frame['strikes'].sum():,} strikes, each at a random moment of work on {rows:,} rows "
        f"(an undisturbed run took {frame['undisturbed'].median():.1f} s); {frame['late'].sum():,} more came after the "
        "end. Each trial was followed by the same again, to its end, and compared.\n"
    )
    versions = ", ".join(f"{name} {number}" for name, number in read_package_versions().items())
    parts = [
        about,
        format_frame(table),
        format_table(["trial", "what was done", "what was wrong"], wrong or [("", "", "nothing")], words=3),
        format_table(["steps that were finished at the strike", "strikes"], steps.items()),
        f"{os.cpu_count()} cores; {versions}\n",
    ]
    return "\n".join(parts)
