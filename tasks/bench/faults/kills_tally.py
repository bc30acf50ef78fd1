"""What a fault campaign saw, trial by trial, in a file that a later part of the campaign goes on with; and its table."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from tasks.bench.faults.kills_ways import WAYS, Way
from tasks.errors import InputError
from tasks.records import Record
from tasks.report.summary import versions

_WORDS = {
    "command": "`labelsweep clean`, its whole process group",
    "run": "a worker's run, its process",
    "worker": "the worker alone",
    "both": "the worker together with its run",
}


class Kill(Record):
    """One kill: how many steps were to be finished first, what part of a second after them, and how many were."""

    after_steps: int
    part: float
    kept: int


class Trial(Record):
    """One data set swept and killed, then swept to the end."""

    number: int
    way: Way
    kills: tuple[Kill, ...]
    too_late: int = 0
    lost: dict[str, int] = Field(default_factory=dict)


class Plan(Record):
    """What must be the same in all parts of a campaign."""

    rows: int
    seed: int


def read_tally(path: Path | None, plan: Plan) -> list[Trial]:
    """Return the trials of the earlier parts of a campaign; begin the file where there is none.

    Raises:
        InputError: The file is of another campaign, or none.
    """
    if path is None:
        return []
    if not path.exists():
        path.write_text(plan.model_dump_json() + "\n", encoding="utf-8")
        return []
    first, *rest = path.read_text(encoding="utf-8").splitlines() or [""]
    try:
        kept = Plan.model_validate_json(first)
        trials = [Trial.model_validate_json(line) for line in rest]
    except ValueError as error:
        raise InputError("no tally of a campaign", where=str(path), fix="name another file") from error
    if kept != plan:
        raise InputError(
            f"a campaign with --rows {kept.rows} --seed {kept.seed}", where=str(path), fix="name another file"
        )
    return trials


def add_trial(path: Path | None, trial: Trial) -> None:
    """Add a trial to the file."""
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(trial.model_dump_json() + "\n")


def count_kills(trials: Sequence[Trial]) -> int:
    """Return how many kills the trials have."""
    return sum(len(trial.kills) for trial in trials)


def count_lost(trials: Sequence[Trial]) -> Counter[str]:
    """Return what was lost, with counts.

    >>> one = Trial(number=0, way="run", kills=(), lost={"a run that hangs": 1})
    >>> count_lost([one, one])
    Counter({'a run that hangs': 2})
    """
    total: Counter[str] = Counter()
    for trial in trials:
        total.update(trial.lost)
    return total


def table(trials: Sequence[Trial], seconds: float, rows: int) -> str:
    """Return the result as Markdown."""
    lost = count_lost(trials)
    late = sum(trial.too_late for trial in trials)
    kept = Counter(kill.kept for trial in trials for kill in trial.kills)
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    ways = "\n".join(_line(way, [trial for trial in trials if trial.way == way]) for way in WAYS)
    what = "\n".join(f"| {name} | {count} |" for name, count in lost.items()) or "| nothing | 0 |"
    steps = "\n".join(f"| {number} | {count} |" for number, count in sorted(kept.items()))
    return (
        f"{count_kills(trials)} kills (SIGKILL), each at a random moment of a sweep of {rows:,} rows (an undisturbed run took "
        f"{seconds:.1f} s);\n{late} more came after the end. {len(trials)} sweeps, each repeated to its end and compared.\n\n"
        f"| killed | kills | sweeps | ended with the same bytes |\n|---|---|---|---|\n{ways}\n\n"
        f"| lost | count |\n|---|---|\n{what}\n\n"
        f"| steps that were finished at the kill | kills |\n|---|---|\n{steps}\n\n{os.cpu_count()} cores; {packages}\n"
    )


def _line(way: Way, trials: Sequence[Trial]) -> str:
    whole = sum(not trial.lost for trial in trials)
    return f"| {_WORDS[way]} | {count_kills(trials)} | {len(trials)} | {whole} |"
