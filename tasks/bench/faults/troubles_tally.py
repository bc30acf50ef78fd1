"""What a campaign of troubles saw, trial by trial, and its table."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from tasks.errors import InputError
from tasks.records import Record
from tasks.report.summary import versions

Kind = Literal["kill", "terminate", "full", "clock", "twice", "removed", "corrupted"]
Stage = Literal["sweep", "review", "apply"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STAGES: tuple[Stage, ...] = get_args(Stage)

_WORDS: dict[Kind, str] = {
    "kill": "SIGKILL",
    "terminate": "SIGTERM",
    "full": "disk full",
    "clock": "the clock jumps",
    "twice": "two at once on the same results",
    "removed": "a file is removed",
    "corrupted": "a file is corrupted",
}


class Struck(Record):
    """One trial: what was done to a program, how that program ended, and what was wrong after starting it again.

    Attributes:
        done: What was done, in words.
        ended: How the struck program ended: survived, refused (one line), killed, or what is wrong with its end.
        said: Its last line.
        lost: What was wrong in the end; empty where all is well.
    """

    number: int
    kind: Kind
    stage: Stage
    done: str
    ended: str
    said: str = ""
    lost: tuple[str, ...] = Field(default=())


# Ends that a program may have when something is done to it.
ALLOWED = ("survived", "refused", "killed")


def wrong_with(trial: Struck) -> tuple[str, ...]:
    """Return what a trial showed that must not be.

    >>> wrong_with(Struck(number=0, kind="kill", stage="sweep", done="", ended="a traceback"))
    ('a traceback',)
    """
    return (*((trial.ended,) if trial.ended not in ALLOWED else ()), *trial.lost)


def read_trials(path: Path | None) -> list[Struck]:
    """Return the trials of the earlier parts of a campaign.

    Raises:
        InputError: The file is none of such a campaign.
    """
    if path is None or not path.exists():
        return []
    try:
        return [Struck.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise InputError("no tally of troubles", where=str(path), fix="name another file") from error


def add_trial(path: Path | None, trial: Struck) -> None:
    """Add a trial to the file."""
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(trial.model_dump_json() + "\n")


def table(trials: Sequence[Struck]) -> str:
    """Return the result as Markdown."""
    lines = [
        _line(kind, stage, [trial for trial in trials if (trial.kind, trial.stage) == (kind, stage)])
        for kind in KINDS
        for stage in STAGES
    ]
    wrong = [
        f"| {trial.number} | {trial.done} | {'; '.join(wrong_with(trial))} |"
        for trial in trials
        if wrong_with(trial)
    ]
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        f"{len(trials)} trials, each at a random moment, each followed by the same again.\n\n"
        "| trouble | during | trials | survived | refused with one line | ended by it | anything else | nothing lost, "
        "same bytes after the repetition |\n|---|---|---:|---:|---:|---:|---:|---:|\n"
        + "\n".join(line for line in lines if line)
        + "\n\n| trial | what was done | what was wrong |\n|---:|---|---|\n"
        + ("\n".join(wrong) or "| | | nothing |")
        + f"\n\n{os.cpu_count()} cores; {packages}\n"
    )


def _line(kind: Kind, stage: Stage, trials: Sequence[Struck]) -> str:
    if not trials:
        return ""
    ends = [trial.ended for trial in trials]
    counts = [ends.count(end) for end in ALLOWED]
    cells = [
        _WORDS[kind],
        stage,
        len(trials),
        *counts,
        len(trials) - sum(counts),
        sum(not t.lost for t in trials),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"
