"""What a campaign of faults works on: a data set, and what undisturbed commands make of it."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks.bench.faults.files import finished_steps
from tasks.bench.faults.programs import Program, Worker, start_group
from tasks.bench.faults.reviewer import Answer, address_of, answers_for, decide
from tasks.bench.faults.trials import Stage
from tasks.errors import LabelsweepError
from tasks.storage import sha256_file
from tasks.synthesize import synthesize

ANSWERS = 12
Digests = Mapping[str, str]


@dataclass(frozen=True)
class Bench:
    """The data set, and what undisturbed commands make of it.

    Attributes:
        folder: Working folder.
        source: The data set.
        environment: Variables of every program, which name the server.
        worker: A worker of the cpu pool.
        seconds: What an undisturbed sweep takes.
        steps: How many steps it has.
        reference: Results of an undisturbed sweep.
        swept: Name and digest of each file that two undisturbed sweeps agree on.
        applied: The same of the version that the decisions make; empty where nobody reviews.
        answers: What the reviewer decides.
    """

    folder: Path
    source: Path
    environment: dict[str, str]
    worker: Worker
    seconds: float = 0.0
    steps: int = 0
    reference: Path = Path()
    swept: Digests = field(default_factory=dict)
    applied: Digests = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()


@contextmanager
def prepare(folder: Path, rows: int, environment: Mapping[str, str], *, served: bool) -> Iterator[Bench]:
    """Make the data set and run everything undisturbed, twice.

    Args:
        folder: Working folder.
        rows: Rows of the data set.
        environment: Variables that name the server.
        served: Whether runs are submitted to a worker, and nobody reviews them.

    Raises:
        LabelsweepError: The server could not be set up, or an undisturbed command failed.
    """
    variables = {**environment, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    source = synthesize(folder / "blobs.parquet", rows=rows, dimension=8, sigma=0.5, flips=0.05, seed=0)
    bench = Bench(folder, source, variables, Worker(variables, folder / "worker.log"))
    if served:
        log = folder / "setup.log"
        if start_group([sys.executable, "-m", "flows.platform.setup"], variables, log, log).wait(timeout=600):
            raise LabelsweepError("the server could not be set up", where=log.read_text()[-300:])
    began = time.monotonic()
    one = _work_through(bench, folder / "reference", reviewed=not served)
    other = _work_through(bench, folder / "again", reviewed=not served)
    swept, applied = (
        {name: digest for name, digest in first.items() if second.get(name) == digest}
        for first, second in zip(one[:2], other[:2], strict=True)
    )
    sys.stderr.write(
        f"compared: {', '.join([*swept, *applied])}; ready after {time.monotonic() - began:.0f} s\n"
    )
    reference = folder / "reference-unreviewed"
    try:
        yield replace(
            bench,
            seconds=one[3],
            steps=finished_steps(reference),
            reference=reference,
            swept=swept,
            applied=applied,
            answers=one[2],
        )
    finally:
        bench.worker.stop()


def _work_through(
    bench: Bench, out: Path, *, reviewed: bool
) -> tuple[Digests, Digests, tuple[Answer, ...], float]:
    """Sweep and, if asked, review and apply; return the digests of both, the answers, and the seconds of the sweep."""
    began = time.monotonic()
    _must(sweep(bench, out, bench.environment))
    seconds = time.monotonic() - began
    shutil.copytree(out, out.with_name(f"{out.name}-unreviewed"), symlinks=True)
    swept = digest_files(out / "runs" / "latest")
    if not reviewed:
        return swept, {}, (), seconds
    answers = tuple(answers_for((out / "runs" / "latest").resolve(), ANSWERS))
    server = review(bench, out, bench.environment)
    if len(decide(address_of(server), list(answers))) != ANSWERS:
        raise LabelsweepError("an undisturbed review failed", where=server.said())
    server.kill()
    _must(apply(bench, out, bench.environment))
    return swept, digest_files(out / "datasets"), answers, seconds


def _must(program: Program) -> None:
    if program.end() != "survived":
        raise LabelsweepError("an undisturbed command failed", where=program.said()[-300:])


def digest_files(folder: Path) -> dict[str, str]:
    """Return the digests of the files under a folder, by name."""
    root = folder.resolve()
    return {
        str(path.relative_to(root)): sha256_file(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and "latest" not in path.parts
    }


def list_differences(expected: Digests, folder: Path) -> list[str]:
    """Return what is wrong with the files under a folder."""
    found = digest_files(folder)
    return [f"{name} differs" for name, digest in expected.items() if found.get(name) != digest]


def sweep(bench: Bench, out: Path, environment: dict[str, str]) -> Program:
    """Start a sweep of the data set."""
    return Program(
        ["clean", str(bench.source), "--out", str(out), "--quiet"], environment, _log(out, "sweep")
    )


def review(bench: Bench, out: Path, environment: dict[str, str]) -> Program:
    """Start a review server on the finished run."""
    del bench
    run = (out / "runs" / "latest").resolve().name
    fixed = ["--reviewer", "Ada", "--port", "0", "--controls", "0"]
    return Program(["review", run, "--out", str(out), *fixed], environment, _log(out, "review"))


def apply(bench: Bench, out: Path, environment: dict[str, str]) -> Program:
    """Start to apply the decisions."""
    del bench
    run = (out / "runs" / "latest").resolve().name
    return Program(["apply", run, "--out", str(out), "--yes"], environment, _log(out, "apply"))


def _log(out: Path, name: str) -> Path:
    return out.with_name(f"{out.name}-{name}-{time.monotonic_ns()}.log")


STARTS: dict[Stage, Callable[[Bench, Path, dict[str, str]], Program]] = {
    "sweep": sweep,
    "review": review,
    "apply": apply,
}
