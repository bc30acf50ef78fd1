"""Kill real runs at random moments and count what was lost.

A trial sweeps a small data set and kills with SIGKILL at a random moment: after a number of finished steps that is drawn evenly,
and a part of a second that is drawn evenly. (Drawn from the length of a run, most moments would hit its start-up.) What is killed
goes round: the command with its process group, a worker's run, the worker alone, both at once. The trial looks at what is left,
and then starts the same again until it is through (in every other round, the first repetition is killed too). Lost is: a file
under its final name that is not whole, a run that does not come through, scores or a queue that differ in a byte from the
undisturbed run's, a second run folder beside the one that was to be gone on with.

With --tally FILE a campaign can be done in parts: each goes on where the one before it stopped.
"""

import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from prefect.client.orchestration import SyncPrefectClient

from tasks.bench.faults.files import broken_files, finished_steps, run_folders
from tasks.bench.faults.kills_tally import (
    Kill,
    Plan,
    Trial,
    add_trial,
    count_kills,
    count_lost,
    read_tally,
    table,
)
from tasks.bench.faults.kills_ways import WAYS, Attempt, Command, Submitted, Way, Worker, group
from tasks.errors import LabelsweepError
from tasks.synthesize import synthesize

# A run that takes this much longer than an undisturbed one hangs.
PATIENCE = 20.0
COMPARED = ("scores.parquet", "queue.parquet", "queue.csv")
HEALTHY_SECONDS = 120.0

# Exit code of a program that Ctrl-C ended, by the convention of shells: 128 + SIGINT.
STOPPED = 130


@dataclass(frozen=True)
class Bench:
    """One data set, and the undisturbed run on it.

    Attributes:
        folder: Working folder.
        source: The data set.
        seconds: How long an undisturbed run takes.
        steps: How many steps it has.
        reference: Bytes of the files that are compared.
        environment: Variables of every process, which name the server.
        worker: A worker of the cpu pool.
    """

    folder: Path
    source: Path
    seconds: float
    steps: int
    reference: dict[str, bytes]
    environment: Mapping[str, str]
    worker: Worker


def run_kills(kills: int, seed: int, rows: int, tally: Path | None, seconds: float | None) -> None:
    """Run the campaign and print its table."""
    plan = Plan(rows=rows, seed=seed)
    trials = read_tally(tally, plan)
    took, stopped = 0.0, True
    stop_in_order()
    with suppress(KeyboardInterrupt), _bench(rows) as bench:
        took = bench.seconds
        deadline = time.monotonic() + seconds if seconds else float("inf")
        while count_kills(trials) < kills and time.monotonic() < deadline:
            trials.append(run_trial(bench, len(trials), kills - count_kills(trials), seed))
            add_trial(tally, trials[-1])
            lost = count_lost(trials).total()
            sys.stderr.write(f"{count_kills(trials)} of {kills} kills, {lost} lost\n")
        stopped = False
    if trials:
        sys.stdout.write(table(trials, took, rows))
    sys.exit(1 if count_lost(trials) else STOPPED if stopped else 0)


def stop_in_order() -> None:
    """Let Ctrl-C and SIGTERM end the campaign with everything cleared up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (a handler's signature)
    """End the campaign in order; who asks twice does not interrupt the clearing up."""
    for once in (signal.SIGINT, signal.SIGTERM):
        signal.signal(once, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _bench(rows: int) -> Iterator[Bench]:
    """Make the data set, start a server and a worker, and run undisturbed."""
    with tempfile.TemporaryDirectory(prefix="labelsweep-faults-") as name:
        folder = Path(name)
        with prefect_server(folder) as environment:
            worker = Worker(environment, folder / "worker.log")
            try:
                yield prepare(folder, rows, environment, worker)
            finally:
                worker.stop()


@contextmanager
def prefect_server(folder: Path) -> Iterator[dict[str, str]]:
    """Start a Prefect server for all runs, which saves each its own; yield the environment that names it.

    Args:
        folder: Where it keeps its database and log.

    Raises:
        LabelsweepError: It does not come up.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
    environment = kept | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    }
    serve = ["server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with group([sys.executable, "-m", "prefect", *serve], environment, folder / "server.log"):
        deadline = time.monotonic() + HEALTHY_SECONDS
        while True:
            with suppress(OSError):
                urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310 (our own address)
                break
            if time.monotonic() > deadline:
                raise LabelsweepError(f"the server is not healthy after {HEALTHY_SECONDS:g} s", where=url)
            time.sleep(0.25)
        yield environment


def prepare(folder: Path, rows: int, environment: Mapping[str, str], worker: Worker) -> Bench:
    """Set the server up, make the data set and run on it undisturbed.

    Args:
        folder: Working folder.
        rows: Rows of the data set.
        environment: Variables of every process, which name the server.
        worker: A worker of the cpu pool.

    Raises:
        LabelsweepError: The server could not be set up, or the undisturbed run failed.
    """
    log = folder / "setup.log"
    with group([sys.executable, "-m", "flows.setup"], environment, log) as process:
        if process.wait(timeout=600):
            raise LabelsweepError("the server could not be set up", where=log.read_text()[-300:])
    source = synthesize(folder / "blobs.parquet", rows=rows, dimension=8, sigma=0.5, flips=0.05, seed=0)
    out = folder / "reference"
    began = time.monotonic()
    clean = [sys.executable, "-m", "flows.cli", "clean", str(source), "--out", str(out), "--quiet"]
    with group(clean, environment, log) as process:
        if code := process.wait(timeout=600):
            raise LabelsweepError(
                f"the undisturbed run ended with exit code {code}", where=log.read_text()[-300:]
            )
    seconds = time.monotonic() - began
    reference = {name: (out / "runs" / "latest" / name).read_bytes() for name in COMPARED}
    return Bench(folder, source, seconds, finished_steps(out), reference, environment, worker)


def run_trial(bench: Bench, number: int, most: int, seed: int) -> Trial:
    """Sweep, kill at random moments, sweep to the end and compare.

    Args:
        bench: The data set and the undisturbed run on it.
        number: Number of the trial, which with the seed decides way and moments.
        most: Kills that are wanted still.
        seed: Seed of the campaign.
    """
    generator = random.Random(f"{seed}-{number}")  # noqa: S311 (no secret)
    way = WAYS[number % len(WAYS)]
    twice = number // len(WAYS) % 2
    moments = [(generator.randrange(bench.steps), round(generator.random(), 3)) for _ in range(1 + twice)]
    out = bench.folder / f"trial-{number}"
    lost: Counter[str] = Counter()
    with _attempts(bench, way, out) as attempt:
        kills = [kill_once(bench, attempt(), out, steps, part, lost) for steps, part in moments[:most]]
        come_through(bench, attempt(), out, lost)
    shutil.rmtree(out, ignore_errors=True)
    done = tuple(kill for kill in kills if kill is not None)
    return Trial(number=number, way=way, kills=done, too_late=len(kills) - len(done), lost=dict(lost))


class _Attempts:
    """Starts the same run again and again."""

    def __init__(self, bench: Bench, way: Way, out: Path) -> None:
        self._bench, self._way, self._out = bench, way, out
        self._client = SyncPrefectClient(api=bench.environment["PREFECT_API_URL"])
        self.made: list[Attempt] = []

    def __call__(self) -> Attempt:
        bench = self._bench
        if self._way == "command":
            self.made.append(Command(bench.source, self._out, bench.environment))
        else:
            self.made.append(Submitted(self._way, bench.worker, self._client, bench.source, self._out))
        return self.made[-1]


@contextmanager
def _attempts(bench: Bench, way: Way, out: Path) -> Iterator[_Attempts]:
    """Yield what starts the run again and again; end what is left of them at the end."""
    attempts = _Attempts(bench, way, out)
    try:
        yield attempts
    finally:
        for attempt in attempts.made:
            attempt.clear()


def kill_once(
    bench: Bench, attempt: Attempt, out: Path, steps: int, part: float, lost: Counter[str]
) -> Kill | None:
    """Kill after `steps` finished steps and `part` of a second, and look at what is left; None if it was too late.

    Before the first step the part is one of the start-up, which is the longest stretch of a run.
    """
    before = finished_steps(out)
    while not attempt.ended() and finished_steps(out) < max(steps, before):
        time.sleep(0.02)
    _pause(attempt, part * (bench.seconds / 2 if steps <= before else 1.0))
    if attempt.ended():
        return None
    attempt.kill()
    kept = finished_steps(out)
    for path in broken_files(out):
        lost[f"broken file: {path.name}"] += 1
    return Kill(after_steps=steps, part=part, kept=kept)


def _pause(attempt: Attempt, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not attempt.ended() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))


def come_through(bench: Bench, attempt: Attempt, out: Path, lost: Counter[str]) -> None:
    """Wait for the end of a run that nobody disturbs and compare what it ends with."""
    if wrong := attempt.outcome(PATIENCE * max(bench.seconds, 10.0)):
        lost[wrong] += 1
        return
    for name in COMPARED:
        if (out / "runs" / "latest" / name).read_bytes() != bench.reference[name]:
            lost[f"{name} differs"] += 1
    if len(run_folders(out)) > 1:
        lost["a run folder beside the one to go on with"] += 1
