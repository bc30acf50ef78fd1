"""Do real harm to real commands at random moments, start them again, and count what was lost.

A trial begins a sweep, a review or an application of decisions, strikes at a random moment (after a number of finished steps
that is drawn evenly, and a part of a second; in a review, after a number of decisions), notes how the struck program ended, and
then starts the same again, undisturbed, to its end. What strikes goes round: SIGKILL, SIGTERM, a disk that fills up, a clock
that jumps, the same command a second time, a removed file, a corrupted one (in a review, a page of the database of decisions).
Where a file of a finished run or the database was damaged, the first repetition may refuse with one line; the file is then put
back, as from a backup, before the next.

Lost is: a file that differs in a byte from those of undisturbed commands (compared is every file that two undisturbed commands
agree on), an acknowledged decision that is not in the log exactly once, a repetition that does not come through, and from the
struck program a traceback, an internal error, more than one line, or no end at all.
"""

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.bench.faults.files import finished_steps
from tasks.bench.faults.kills import prefect_server, stop_in_order
from tasks.bench.faults.reviewer import Answer, address_of, answers_for, decide
from tasks.bench.faults.strikes import (
    STRIKES,
    Program,
    corrupt_log,
    mount,
    pause,
    unmount,
    with_clock,
)
from tasks.bench.faults.troubles_tally import (
    KINDS,
    Kind,
    Stage,
    Struck,
    add_trial,
    read_trials,
    table,
    wrong_with,
)
from tasks.errors import LabelsweepError
from tasks.review.log import read_log
from tasks.storage import sha256_file
from tasks.synthesize import synthesize

# Of five trials three strike the sweep, which is by far the longest; the others review and apply.
_ROUND: tuple[Stage, ...] = ("sweep", "review", "sweep", "apply", "sweep")
_ANSWERS = 12
_ROOMY = 64 * 2**20


@dataclass(frozen=True)
class Bench:
    """The data set, and what undisturbed commands make of it.

    Attributes:
        folder: Working folder.
        source: The data set.
        environment: Variables of every program; every fourth sweep starts a Prefect server of its own instead.
        reference: Results of an undisturbed sweep, reviewed and applied.
        swept: Name and digest of each file that two undisturbed sweeps agree on.
        applied: The same of the version that the decisions make.
        answers: What the reviewer decides.
    """

    folder: Path
    source: Path
    environment: dict[str, str]
    reference: Path
    swept: dict[str, str]
    applied: dict[str, str]
    answers: list[Answer]


def run_troubles(most: int, seed: int, tally: Path | None, seconds: float | None, which: str) -> None:
    """Run the campaign and print its table."""
    part, parts = map(int, which.split("/"))
    trials = read_trials(tally)
    deadline = time.monotonic() + (seconds or float("inf"))
    done = {trial.number for trial in trials}
    missing = [number for number in range(part - 1, most, parts) if number not in done]
    random.Random(seed).shuffle(missing)  # noqa: S311 (so that a part of the campaign has some of everything)
    if missing:
        stop_in_order()
        with (
            suppress(KeyboardInterrupt),
            tempfile.TemporaryDirectory(prefix="labelsweep-troubles-") as name,
            prefect_server(Path(name)) as variables,
        ):
            bench = _prepare(Path(name), variables)
            for number in missing:
                if time.monotonic() > deadline:
                    break
                trials.append(run_trial(bench, number, seed))
                add_trial(tally, trials[-1])
                sys.stderr.write(f"{_told(trials[-1])}\n")
    sys.stdout.write(table(trials))
    sys.exit(1 if any(map(wrong_with, trials)) else 0)


def _told(trial: Struck) -> str:
    wrong = "; ".join(wrong_with(trial)) or "nothing lost"
    return f"{trial.number} {trial.kind} in {trial.stage}: {trial.done} → {trial.ended}; {wrong}"


def _prepare(folder: Path, variables: dict[str, str]) -> Bench:
    """Make the data set and run everything undisturbed, twice."""
    environment = {**variables, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    source = synthesize(folder / "blobs.parquet", rows=600, dimension=8, sigma=0.5, flips=0.05, seed=0)
    bench = Bench(folder, source, environment, folder / "reference", {}, {}, [])
    agreed: list[tuple[dict[str, str], dict[str, str]]] = []
    for out in (folder / "reference", folder / "again"):
        _must(_sweep(bench, out, environment))
        shutil.copytree(out, folder / "unreviewed", symlinks=True, dirs_exist_ok=True) if not agreed else None
        swept = _digests(out / "runs" / "latest")
        answers = answers_for((out / "runs" / "latest").resolve(), _ANSWERS)
        server = _review(bench, out, environment)
        if len(decide(address_of(server), answers)) != _ANSWERS:
            raise LabelsweepError("an undisturbed review failed", where=server.said())
        server.kill()
        _must(_apply(bench, out, environment))
        agreed.append((swept, _digests(out / "datasets")))
    (swept, applied), (other, other_applied) = agreed
    same = {name: digest for name, digest in swept.items() if other.get(name) == digest}
    same_applied = {name: digest for name, digest in applied.items() if other_applied.get(name) == digest}
    sys.stderr.write(f"compared: {', '.join(same)}; {', '.join(same_applied)}\n")
    return Bench(folder, source, environment, folder / "unreviewed", same, same_applied, answers)


def _must(program: Program) -> None:
    if program.end() != "survived":
        raise LabelsweepError("an undisturbed command failed", where=program.said()[-300:])


def _digests(folder: Path) -> dict[str, str]:
    root = folder.resolve()
    return {
        str(path.relative_to(root)): sha256_file(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and "latest" not in path.parts
    }


def _sweep(bench: Bench, out: Path, environment: dict[str, str]) -> Program:
    return Program(
        ["clean", str(bench.source), "--out", str(out), "--quiet"], environment, _log(out, "sweep")
    )


def _review(bench: Bench, out: Path, environment: dict[str, str]) -> Program:
    del bench
    run = (out / "runs" / "latest").resolve().name
    fixed = ["--reviewer", "Ada", "--port", "0", "--controls", "0"]
    return Program(["review", run, "--out", str(out), *fixed], environment, _log(out, "review"))


def _apply(bench: Bench, out: Path, environment: dict[str, str]) -> Program:
    del bench
    run = (out / "runs" / "latest").resolve().name
    return Program(["apply", run, "--out", str(out), "--yes"], environment, _log(out, "apply"))


def _log(out: Path, name: str) -> Path:
    return out.with_name(f"{out.name}-{name}-{time.monotonic_ns()}.log")


_STARTS: dict[Stage, Callable[[Bench, Path, dict[str, str]], Program]] = {
    "sweep": _sweep,
    "review": _review,
    "apply": _apply,
}


def run_trial(bench: Bench, number: int, seed: int) -> Struck:
    """Strike one program and start it again.

    Args:
        bench: The data set and what undisturbed commands make of it.
        number: Number of the trial, which with the seed decides everything.
        seed: Seed of the campaign.
    """
    rng = random.Random(f"{seed}-{number}")  # noqa: S311 (no secret)
    stage = _ROUND[number % len(_ROUND)]
    kind = KINDS[number // len(_ROUND) % len(KINDS)]
    with _results(bench, kind, stage, number) as out:
        environment = dict(bench.environment)
        if stage == "sweep" and number % 4 == 0:
            del environment["PREFECT_API_URL"]
        if kind == "clock":
            environment = with_clock(environment, out)
        acknowledged: set[str] = set()
        if stage == "apply":
            acknowledged = _reviewed(bench, out)
        saved = _saved(out)
        program = _STARTS[stage](bench, out, environment)
        try:
            done, ended, said, more = _strike(bench, program, kind, stage, out, environment, rng)
        finally:
            program.kill()
        if kind == "full":
            mount(out, _ROOMY)
        lost = _repeat(bench, stage, out, environment, acknowledged | more, saved)
    return Struck(number=number, kind=kind, stage=stage, done=done, ended=ended, said=said, lost=tuple(lost))


@contextmanager
def _results(bench: Bench, kind: Kind, stage: Stage, number: int) -> Iterator[Path]:
    """Yield the results folder of a trial: empty for a sweep, with a finished run otherwise; on its own disk to be filled."""
    out = bench.folder / f"trial-{number}"
    out.mkdir()
    try:
        if kind == "full":
            mount(out, _ROOMY)
        if stage != "sweep":
            shutil.copytree(bench.reference, out, symlinks=True, dirs_exist_ok=True)
        yield out
    finally:
        unmount(out)
        shutil.rmtree(out, ignore_errors=True)
        for path in bench.folder.glob(f"{out.name}-*.log.*"):
            path.unlink()


def _reviewed(bench: Bench, out: Path) -> set[str]:
    """Have everything decided, undisturbed."""
    server = _review(bench, out, bench.environment)
    try:
        return decide(address_of(server), bench.answers)
    finally:
        server.process.terminate()
        server.end()


def _saved(out: Path) -> Path:
    """Keep a copy of the results as they are before the trouble: the backup."""
    backup = out.with_name(out.name + "-backup")
    shutil.rmtree(backup, ignore_errors=True)
    shutil.copytree(out, backup, symlinks=True)
    return backup


def _strike(
    bench: Bench,
    program: Program,
    kind: Kind,
    stage: Stage,
    out: Path,
    environment: dict[str, str],
    rng: random.Random,
) -> tuple[str, str, str, set[str]]:
    """Strike at a random moment; return what was done, how it ended, what it said, and the decisions acknowledged."""
    acknowledged: set[str] = set()
    host = ""
    if stage == "sweep":
        steps, part = rng.randrange(13), rng.random()
        while not program.ended() and finished_steps(out) < steps:
            time.sleep(0.01)
        pause(program, part * (4.0 if steps == 0 else 0.5))
    elif stage == "apply":
        pause(program, rng.random() * 5.0)
    elif rng.random() < 0.2:
        pause(program, rng.random() * 4.0)  # while the server starts
    else:
        host = address_of(program)
        acknowledged = decide(host, bench.answers[: rng.randrange(_ANSWERS)])
    too_late = program.ended()
    if kind == "twice":
        done, second = "the same again beside it", _STARTS[stage](bench, out, environment)
        if stage == "review":
            acknowledged |= decide(address_of(second), bench.answers)
            second.process.terminate()
        ended = second.end()
        if ended not in ("survived", "refused", "killed"):
            return done, f"second: {ended}", second.said()[-300:], acknowledged
    elif kind == "corrupted" and stage != "sweep" and rng.random() < 0.8:
        done = corrupt_log(program, out, rng)
    else:
        done = STRIKES[kind](program, out, rng)
    if stage == "review" and not program.ended():
        acknowledged |= decide(host or address_of(program), bench.answers)
        program.process.terminate()
    ended = program.end()
    said = program.said()[-300:].strip()
    return (f"{done} (after its end)" if too_late else done), ended, said, acknowledged


def _repeat(
    bench: Bench, stage: Stage, out: Path, environment: dict[str, str], acknowledged: set[str], backup: Path
) -> list[str]:
    """Do the same again to its end; return what is wrong with what it ends with."""
    if stage == "sweep":
        again = _sweep(bench, out, environment)
        end = again.end()
        if end != "survived":
            return [f"the repetition: {end}: {again.said()[-300:]}"]
        return _differences(bench.swept, out / "runs" / "latest")
    wrong = _second_half(bench, stage, out, environment, acknowledged)
    if wrong and wrong[0].startswith("refused"):
        _put_back(backup, out)
        wrong = _second_half(bench, "review", out, environment, set())
    return wrong


def _put_back(backup: Path, out: Path) -> None:
    """Put the results back as from a backup: what a person does who was told that a file is damaged."""
    for path in (*out.glob("decisions.sqlite*"), *out.glob("runs/*"), *out.glob("datasets")):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.copytree(backup, out, symlinks=True, dirs_exist_ok=True)


def _second_half(
    bench: Bench, stage: Stage, out: Path, environment: dict[str, str], acknowledged: set[str]
) -> list[str]:
    """Review, unless that was done before, and apply; check the log before anything is sent again, and the version afterwards."""
    if wrong := _wrong_with_log(out, acknowledged):
        return [wrong]
    if stage == "review" and (wrong := _review_again(bench, out, environment)):
        return [wrong]
    again = _apply(bench, out, environment)
    end = again.end()
    if end != "survived":
        return [f"{end}: {again.said()[-300:]}"]
    if len(read_log(out)) != len(bench.answers):
        return ["decisions doubled"]
    return _differences(bench.applied, out / "datasets")


def _wrong_with_log(out: Path, acknowledged: set[str]) -> str:
    try:
        actions = [row.action for row in read_log(out)]
    except LabelsweepError as error:
        return f"refused: {error}"
    missing, twice = len(acknowledged - set(actions)), len(actions) - len(set(actions))
    return f"{missing} acknowledged decisions lost, {twice} doubled" if missing or twice else ""


def _review_again(bench: Bench, out: Path, environment: dict[str, str]) -> str:
    """Send every decision again; return what is wrong."""
    server = _review(bench, out, environment)
    try:
        if not (host := address_of(server)):
            return f"{server.end()}: {server.said()[-300:]}"
        if len(decide(host, bench.answers)) != len(bench.answers):
            return f"refused: decisions, by the server: {server.said()[-300:]}"
    finally:
        server.kill()
    return ""


def _differences(expected: dict[str, str], folder: Path) -> list[str]:
    found = _digests(folder)
    return [f"{name} differs" for name, digest in expected.items() if found.get(name) != digest]
