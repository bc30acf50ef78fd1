"""What a campaign of faults saw, trial by trial, and its table."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

from tasks.bench.tables import markdown
from tasks.records import Record
from tasks.report.summary import versions

Way = Literal["kill", "run", "worker", "both", "terminate", "full", "clock", "twice", "removed", "corrupted"]
Stage = Literal["sweep", "review", "apply"]
STAGES: tuple[Stage, ...] = get_args(Stage)
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
}
# Ends that a program may have when something is done to it.
ALLOWED = ("survived", "refused", "killed")
HANGS = "a program that hangs"


class Trial(Record):
    """A program that was struck and started again.

    Attributes:
        done: What was done, in words.
        ended: How the struck program ended: survived, refused (one line), killed, or what is wrong with its end.
        said: Its last line.
        kept: Finished steps at each strike that came before the end.
        late: Strikes that came after the end.
        lost: What was wrong in the end; empty where all is well.
    """

    number: int
    way: Way
    stage: Stage
    done: str
    ended: str
    said: str = ""
    kept: tuple[int, ...] = ()
    late: int = 0
    lost: tuple[str, ...] = ()


def find_wrong(trial: Trial) -> tuple[str, ...]:
    """Return what a trial showed that must not be.

    >>> find_wrong(Trial(number=0, way="kill", stage="sweep", done="", ended="a traceback"))
    ('a traceback',)
    """
    return (*((trial.ended,) if trial.ended not in ALLOWED else ()), *trial.lost)


def count_strikes(trials: Sequence[Trial]) -> int:
    """Return how many strikes came in time."""
    return sum(len(trial.kept) for trial in trials)


def table(trials: Sequence[Trial], rows: int, seconds: float | None = None) -> str:
    """Return the result as Markdown.

    Args:
        trials: All trials.
        rows: Rows of the data set.
        seconds: What an undisturbed sweep took, where one was run.
    """
    took = f" (an undisturbed run took {seconds:.1f} s)" if seconds else ""
    late = sum(trial.late for trial in trials)
    about = (
        f"{len(trials):,} trials, {count_strikes(trials):,} strikes, each at a random moment of work on {rows:,} rows{took}; "
        f"{late:,} more came after the end. Each trial was followed by the same again, to its end, and compared."
    )
    groups = [
        (way, stage, [trial for trial in trials if (trial.way, trial.stage) == (way, stage)])
        for way in WORDS
        for stage in STAGES
    ]
    ends = ["survived", "refused with one line", "ended by it", "anything else"]
    heads = ["trouble", "during", "trials", "strikes", *ends, "nothing lost, same bytes after the repetition"]
    wrong = [
        (trial.number, trial.done, "; ".join(find_wrong(trial))) for trial in trials if find_wrong(trial)
    ]
    steps = Counter(kept for trial in trials if trial.stage == "sweep" for kept in trial.kept)
    parts = [
        about,
        markdown(heads, [_cells(way, stage, some) for way, stage, some in groups if some], words=2),
        markdown(["trial", "what was done", "what was wrong"], wrong or [("", "", "nothing")], words=3),
        markdown(["steps that were finished at the strike", "strikes"], sorted(steps.items())),
        f"{os.cpu_count()} cores; {', '.join(f'{name} {number}' for name, number in versions().items())}\n",
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _cells(way: Way, stage: Stage, trials: Sequence[Trial]) -> list[object]:
    ends = [trial.ended for trial in trials]
    counts = [ends.count(end) for end in ALLOWED]
    whole = sum(not trial.lost for trial in trials)
    return [WORDS[way], stage, len(trials), count_strikes(trials), *counts, len(trials) - sum(counts), whole]
