"""One trial of a campaign of faults: strike a program, start the same again, and compare."""

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.bench.faults.bench import STARTS, Bench, apply, list_differences, review
from tasks.bench.faults.files import broken_files, finished_steps, run_folders
from tasks.bench.faults.programs import PATIENCE, Program, Running, Submitted
from tasks.bench.faults.reviewer import address_of, decide
from tasks.bench.faults.trials import ALLOWED, Stage, Trial, Way
from tasks.bench.faults.ways import STRIKES, corrupt_log, mount, unmount, with_clock
from tasks.errors import LabelsweepError
from tasks.review.log import read_log

SERVED = ("run", "worker", "both")
KILLED = ("kill", *SERVED)
# What is compared of a worker's run: its other files name another place than the command's.
COMPARED = ("scores.parquet", "queue.parquet", "queue.csv")
# A run that takes this many times as long as an undisturbed one hangs.
TIMES_AS_LONG = 20.0
ROOMY = 64 * 2**20


@dataclass
class _Seen:
    """What a trial has seen so far."""

    done: str = ""
    ended: str = ""
    said: str = ""
    kept: list[int] = field(default_factory=list)
    late: int = 0
    lost: list[str] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)


class _Attempts:
    """Starts the same program again and again, in the results folder of one trial."""

    def __init__(self, bench: Bench, way: Way, stage: Stage, out: Path, environment: dict[str, str]) -> None:
        self.bench, self.way, self.stage = bench, way, stage
        self.out, self.environment = out, environment
        self.made: list[Running] = []
        self.patience = max(PATIENCE, TIMES_AS_LONG * bench.seconds)

    def start(self) -> Running:
        """Start it, here or on the worker."""
        bench = self.bench
        self.made.append(
            Submitted(self.way, bench.worker, self.environment, bench.source, self.out)
            if self.way in SERVED
            else STARTS[self.stage](bench, self.out, self.environment)
        )
        return self.made[-1]


def run_trial(bench: Bench, number: int, way: Way, stage: Stage, strikes: int, seed: int) -> Trial:
    """Strike one program, or several one after the other, and start it again.

    Args:
        bench: The data set and what undisturbed commands make of it.
        number: Number of the trial, which with the seed decides the moments.
        way: What is done.
        stage: What is struck.
        strikes: How often.
        seed: Seed of the campaign.
    """
    rng = random.Random(f"{seed}-{number}")  # noqa: S311 (no secret)
    seen = _Seen()
    with _attempts(bench, way, stage, number) as attempts:
        out = attempts.out
        if stage == "apply":
            seen.acknowledged |= _review_undisturbed(attempts)
        backup = out.with_name(out.name + "-backup")
        shutil.copytree(out, backup, symlinks=True)
        for _ in range(strikes):
            _strike_once(attempts, rng, seen)
        if way == "full":
            mount(out, ROOMY)
        seen.lost += _repeat(attempts, seen.acknowledged, backup)
    found = {name: getattr(seen, name) for name in ("done", "ended", "said", "late")}
    return Trial(number=number, way=way, stage=stage, kept=tuple(seen.kept), lost=tuple(seen.lost), **found)


@contextmanager
def _attempts(bench: Bench, way: Way, stage: Stage, number: int) -> Iterator[_Attempts]:
    """Yield what starts the program, in a folder that is empty for a sweep and has a finished run otherwise.

    A disk to be filled is one of its own. Every fourth sweep of a command starts a Prefect server of its own.
    """
    out = bench.folder / f"trial-{number}"
    out.mkdir()
    environment = dict(bench.environment)
    if stage == "sweep" and way not in KILLED and number % 4 == 0:
        del environment["PREFECT_API_URL"]
    if way == "clock":
        environment = with_clock(environment, out)
    attempts = _Attempts(bench, way, stage, out, environment)
    try:
        if way == "full":
            mount(out, ROOMY)
        if stage != "sweep":
            shutil.copytree(bench.reference, out, symlinks=True, dirs_exist_ok=True)
        yield attempts
    finally:
        for attempt in attempts.made:
            attempt.clear()
        unmount(out)
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(out.with_name(out.name + "-backup"), ignore_errors=True)
        for path in bench.folder.glob(f"{out.name}-*.log.*"):
            path.unlink()


def _review_undisturbed(attempts: _Attempts) -> set[str]:
    """Have everything decided."""
    bench = attempts.bench
    server = review(bench, attempts.out, bench.environment)
    try:
        return decide(address_of(server), list(bench.answers))
    finally:
        server.process.terminate()
        server.end()


def _strike_once(attempts: _Attempts, rng: random.Random, seen: _Seen) -> None:
    """Start the program, strike at a random moment, and look at what is left."""
    out, program = attempts.out, attempts.start()
    host = _await_moment(attempts, program, rng, seen)
    too_late = program.ended()
    if isinstance(program, Program):
        _strike(attempts, program, rng, seen, host)
    else:
        program.kill()
        seen.done, seen.ended = "SIGKILL", "killed"
    if too_late:
        seen.late += 1
        seen.done += " (after its end)"
        return
    seen.kept.append(finished_steps(out))
    if attempts.way in KILLED:
        seen.lost += [f"broken file: {path.name}" for path in broken_files(out)]


def _await_moment(attempts: _Attempts, program: Running, rng: random.Random, seen: _Seen) -> str:
    """Wait for the moment to strike; return the address of a review server that has answered."""
    bench, out = attempts.bench, attempts.out
    if attempts.stage == "sweep":
        steps, part, before = rng.randrange(bench.steps), rng.random(), finished_steps(out)
        while not program.ended() and finished_steps(out) < max(steps, before):
            time.sleep(0.02)
        # Before the first step the part is one of the start-up, which is the longest stretch of a run.
        _pause(program, part * (bench.seconds / 2 if steps <= before else 1.0))
    elif attempts.stage == "apply":
        _pause(program, rng.random() * 5.0)
    elif rng.random() < 0.2:
        _pause(program, rng.random() * 4.0)  # while the server starts
    elif isinstance(program, Program):
        host = address_of(program)
        seen.acknowledged |= decide(host, list(bench.answers[: rng.randrange(len(bench.answers))]))
        return host
    return ""


def _pause(program: Running, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not program.ended() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.02))


def _strike(attempts: _Attempts, program: Program, rng: random.Random, seen: _Seen, host: str) -> None:
    """Do the harm, let a review go on, and note how the program ended."""
    way, stage, out = attempts.way, attempts.stage, attempts.out
    if way == "twice":
        seen.done = "the same again beside it"
        second = attempts.start()
        if stage == "review" and isinstance(second, Program):
            seen.acknowledged |= decide(address_of(second), list(attempts.bench.answers))
            second.process.terminate()
        if (ended := second.end(attempts.patience)) not in ALLOWED:
            seen.ended, seen.said = f"second: {ended}", second.said()[-300:]
            return
    elif way == "corrupted" and stage != "sweep" and rng.random() < 0.8:
        seen.done = corrupt_log(program, out, rng)
    else:
        seen.done = STRIKES[way](program, out, rng)
    if stage == "review" and not program.ended():
        seen.acknowledged |= decide(host or address_of(program), list(attempts.bench.answers))
        program.process.terminate()
    seen.ended, seen.said = program.end(attempts.patience), program.said()[-300:].strip()


def _repeat(attempts: _Attempts, acknowledged: set[str], backup: Path) -> list[str]:
    """Do the same again to its end; return what is wrong with what it ends with."""
    bench, out = attempts.bench, attempts.out
    if attempts.stage == "sweep":
        again = attempts.start()
        if (end := again.end(attempts.patience)) != "survived":
            return [f"the repetition: {end}: {again.said()[-300:]}"]
        expected = bench.swept
        if attempts.way in SERVED:
            expected = {name: digest for name, digest in bench.swept.items() if name in COMPARED}
        wrong = list_differences(expected, out / "runs" / "latest")
        beside = attempts.way in KILLED and len(run_folders(out)) > 1
        return [*wrong, "a run folder beside the one to resume"] if beside else wrong
    wrong = _finish(attempts, acknowledged, again=attempts.stage == "review")
    if wrong and wrong[0].startswith("refused"):
        _put_back(backup, out)
        wrong = _finish(attempts, set(), again=True)
    return wrong


def _put_back(backup: Path, out: Path) -> None:
    """Put the results back as from a backup: what a person does who was told that a file is damaged."""
    for path in (*out.glob("decisions.sqlite*"), *out.glob("runs/*"), *out.glob("datasets")):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.copytree(backup, out, symlinks=True, dirs_exist_ok=True)


def _finish(attempts: _Attempts, acknowledged: set[str], *, again: bool) -> list[str]:
    """Check the log, send every decision again if asked, apply, and check the version."""
    bench, out = attempts.bench, attempts.out
    if wrong := _find_wrong_with_log(out, acknowledged) or (_review_again(attempts) if again else ""):
        return [wrong]
    applied = apply(bench, out, attempts.environment)
    if (end := applied.end(attempts.patience)) != "survived":
        return [f"{end}: {applied.said()[-300:]}"]
    if len(read_log(out)) != len(bench.answers):
        return ["decisions doubled"]
    return list_differences(bench.applied, out / "datasets")


def _find_wrong_with_log(out: Path, acknowledged: set[str]) -> str:
    try:
        actions = [row.action for row in read_log(out)]
    except LabelsweepError as error:
        return f"refused: {error}"
    missing, twice = len(acknowledged - set(actions)), len(actions) - len(set(actions))
    return f"{missing} acknowledged decisions lost, {twice} doubled" if missing or twice else ""


def _review_again(attempts: _Attempts) -> str:
    """Send every decision again; return what is wrong."""
    server = review(attempts.bench, attempts.out, attempts.environment)
    try:
        if not (host := address_of(server)):
            return f"{server.end()}: {server.said()[-300:]}"
        if len(decide(host, list(attempts.bench.answers))) != len(attempts.bench.answers):
            return f"refused: decisions, by the server: {server.said()[-300:]}"
    finally:
        server.kill()
    return ""
