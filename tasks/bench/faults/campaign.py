"""Do real harm to real programs at random moments, start them again, and count what was lost.

A trial begins a sweep, a review or an application of decisions and strikes at a random moment: in a sweep after a number of
finished steps that is drawn evenly, and a part of a second (drawn from the length of a run, most moments would hit its
start-up); in a review after a number of decisions. It notes how the struck program ended, looks at what is left, and starts
the same again, undisturbed, to its end. What strikes goes round.

- `bench faults`: SIGKILL for the command with its process group, a worker's run, the worker alone, both at once. In every other
  round the first repetition is killed too.
- `bench faults troubles`: SIGKILL, SIGTERM, a disk that fills up, a clock that jumps, the same command a
  second time, a removed file, a corrupted one (in a review, a page of the database of decisions). Where a file of a finished
  run or the database was damaged, the first repetition may refuse with one line; the file is then put back, as from a backup.

Lost is: after a kill, a file under its final name that is not whole, or a second run folder beside the one to resume; a file
that differs in a byte from those of undisturbed commands (compared is every file that two undisturbed commands agree on); an
acknowledged decision that is not in the log exactly once; a repetition that does not come through; and from the struck program
a traceback, an internal error, more than one line, or no end at all.

With --tally FILE a campaign can be done in parts: each resumes where the one before it stopped.
"""

import itertools
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from tasks.bench.command import Seed
from tasks.bench.faults.bench import Bench, prepare
from tasks.bench.faults.programs import prefect_server
from tasks.bench.faults.trial import run_trial
from tasks.bench.faults.trials import Stage, Trial, Way, count_strikes, find_wrong, table
from tasks.bench.tally import Tally
from tasks.errors import InputError

KILLS: tuple[Way, ...] = ("kill", "run", "worker", "both")
TROUBLES: tuple[Way, ...] = (
    "kill", "terminate", "full", "clock", "twice", "removed", "corrupted",
)  # fmt: skip
# Of five trials three strike the sweep, which is by far the longest; the others review and apply.
STAGES_OF_A_ROUND: tuple[Stage, ...] = ("sweep", "review", "sweep", "apply", "sweep")
TROUBLES_ROWS = 600
# Exit code of a program that Ctrl-C ended, by the convention of shells: 128 + SIGINT.
STOPPED = 130


Kept = Annotated[Path | None, typer.Option(metavar="FILE", help="keep every trial there, and resume from it")]
Seconds = Annotated[float | None, typer.Option(metavar="N", help="begin no trial after so many seconds")]


def run_kills(
    *,
    kills: Annotated[int, typer.Option(metavar="N", help="kills in all")] = 100,
    seed: Seed = 0,
    rows: Annotated[int, typer.Option(metavar="N", help="rows of the data set")] = 600,
    tally: Kept = None,
    seconds: Seconds = None,
) -> None:
    """Kill real runs, here and on a worker, at random moments, and count what was lost."""
    kept = Tally(tally, {"campaign": "kills", "rows": rows, "seed": seed})
    trials = [Trial.model_validate(row) for row in kept.rows]

    def strike(bench: Bench, number: int) -> Trial:
        strikes = min(1 + number // len(KILLS) % 2, kills - count_strikes(trials))
        return run_trial(bench, number, KILLS[number % len(KILLS)], "sweep", strikes, seed)

    missing = itertools.takewhile(lambda _: count_strikes(trials) < kills, itertools.count(len(trials)))
    _run(kept, trials, missing, strike, rows, seconds, served=True)


def run_troubles(
    *,
    trials: Annotated[int, typer.Option(metavar="N", help="trials in all")] = 200,
    seed: Seed = 0,
    tally: Kept = None,
    seconds: Seconds = None,
    part: Annotated[
        str,
        typer.Option(metavar="I/N", help="the I-th of N parts, so that several processes share a campaign"),
    ] = "1/1",
) -> None:
    """Do more harm than kills to sweeps, reviews and applications at random moments, and count what was lost."""
    place, slash, parts = part.partition("/")
    if not (slash and place.isdecimal() and parts.isdecimal() and 1 <= int(place) <= int(parts)):
        raise InputError(f"no part '{part}'", where="--part", fix="write it as 1/2")
    kept = Tally(tally, {"campaign": "troubles", "rows": TROUBLES_ROWS, "seed": seed})
    made = [Trial.model_validate(row) for row in kept.rows]
    done = {trial.number for trial in made}
    missing = [number for number in range(int(place) - 1, trials, int(parts)) if number not in done]
    random.Random(seed).shuffle(missing)  # noqa: S311 (so that a part of the campaign has some of everything)

    def strike(bench: Bench, number: int) -> Trial:
        stage = STAGES_OF_A_ROUND[number % len(STAGES_OF_A_ROUND)]
        way = TROUBLES[number // len(STAGES_OF_A_ROUND) % len(TROUBLES)]
        return run_trial(bench, number, way, stage, 1, seed)

    _run(kept, made, iter(missing), strike, TROUBLES_ROWS, seconds, served=False)


def _run(
    kept: Tally,
    trials: list[Trial],
    missing: Iterator[int],
    strike: Callable[[Bench, int], Trial],
    rows: int,
    seconds: float | None,
    *,
    served: bool,
) -> None:
    """Run the missing trials for so many seconds, print the table of all, and leave with its exit code."""
    stopped, took = False, None
    if (first := next(missing, None)) is not None:
        stopped = True
        stop_in_order()
        with suppress(KeyboardInterrupt), _prepared(rows, served=served) as bench:
            took, deadline = bench.seconds, time.monotonic() + (seconds or float("inf"))
            for number in itertools.chain([first], missing):
                if time.monotonic() > deadline:
                    break
                trials.append(strike(bench, number))
                kept.add(trials[-1].model_dump(mode="json"))
                sys.stderr.write(f"{_say(trials[-1])}\n")
            stopped = False
    sys.stdout.write(table(trials, rows, took))
    sys.exit(1 if any(map(find_wrong, trials)) else STOPPED if stopped else 0)


def _say(trial: Trial) -> str:
    wrong = "; ".join(find_wrong(trial)) or "nothing lost"
    return f"{trial.number} {trial.way} in {trial.stage}: {trial.done} → {trial.ended}; {wrong}"


@contextmanager
def _prepared(rows: int, *, served: bool) -> Iterator[Bench]:
    """Start a server, make the data set, and run undisturbed."""
    with (
        tempfile.TemporaryDirectory(prefix="labelsweep-faults-") as name,
        prefect_server(Path(name)) as environment,
        prepare(Path(name), rows, environment, served=served) as bench,
    ):
        yield bench


def stop_in_order() -> None:
    """Let Ctrl-C and SIGTERM end the campaign with everything cleared up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (a handler's signature)
    """End the campaign in order; who asks twice does not interrupt the clearing up."""
    for once in (signal.SIGINT, signal.SIGTERM):
        signal.signal(once, signal.SIG_IGN)
    raise KeyboardInterrupt
