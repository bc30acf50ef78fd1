"""Kill real runs at random moments and count what was lost.

A trial starts `labelsweep clean` on a small data set and ends its whole process group with SIGKILL at a random moment: after
a number of finished steps that is drawn evenly, and a part of a second that is drawn evenly. (Drawn from the length of a run,
most moments would hit its start-up.) It looks at what the killed run left, and then repeats the very same command until it is
through (the first repetition of every other trial is killed again). Lost is: a file under its final name that is not whole, a
command that does not come through, scores or a queue that differ in a byte from the undisturbed run's, a second run folder
beside the one that was to be gone on with.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.report.summary import versions
from tasks.storage import read_json
from tasks.synthesize import synthesize

# A run that takes this much longer than an undisturbed one hangs.
PATIENCE = 20.0
COMPARED = ("scores.parquet", "queue.parquet", "queue.csv")


@dataclass
class Counted:
    """What the campaign saw."""

    kills: int = 0
    too_late: int = 0
    kept_steps: Counter[int] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Bench:
    """One data set, and the undisturbed run on it.

    Attributes:
        folder: Working folder.
        source: The data set.
        seconds: How long an undisturbed run takes.
        steps: How many steps it has.
        reference: Bytes of the files that are compared.
        environment: Variables of every process.
    """

    folder: Path
    source: Path
    seconds: float
    steps: int
    reference: dict[str, bytes]
    environment: dict[str, str]


def main(arguments: Sequence[str]) -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(prog="labelsweep bench faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="runs to kill (default: 100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the moments")
    parser.add_argument("--rows", type=int, default=1_500, metavar="N", help="rows of the data set")
    options = parser.parse_args(list(arguments))
    with (
        tempfile.TemporaryDirectory(prefix="labelsweep-faults-") as folder,
        prefect_server(Path(folder)) as variables,
    ):
        bench = prepare(Path(folder), options.rows, variables)
        counted = campaign(bench, options.kills, random.Random(options.seed))  # noqa: S311 (no secret)
    sys.stdout.write(table(counted, bench.seconds, options.rows))
    sys.exit(1 if counted.lost else 0)


@contextmanager
def prefect_server(folder: Path) -> Iterator[dict[str, str]]:
    """Start a Prefect server for all runs, which saves each its own; yield the environment that names it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    variables = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    variables |= {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
        try:
            for _ in range(240):
                with suppress(OSError):
                    urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310 (our own address)
                    break
                time.sleep(0.5)
            yield {**variables, "PREFECT_API_URL": url}
        finally:
            server.terminate()
            server.wait(timeout=30)


def prepare(folder: Path, rows: int, variables: dict[str, str]) -> Bench:
    """Make the data set and run on it undisturbed."""
    source = synthesize(folder / "blobs.parquet", rows=rows, dimension=8, sigma=0.5, flips=0.05, seed=0)
    out = folder / "reference"
    began = time.monotonic()
    code = start(Bench(folder, source, 0.0, 0, {}, variables), out).wait(timeout=600)
    seconds = time.monotonic() - began
    if code:
        raise SystemExit(f"the undisturbed run ended with exit code {code}")
    latest = out / "runs" / "latest"
    reference = {name: (latest / name).read_bytes() for name in COMPARED}
    return Bench(folder, source, seconds, finished_steps(out), reference, variables)


def start(bench: Bench, out: Path) -> "subprocess.Popen[bytes]":
    """Start the command, in a process group of its own."""
    command = [sys.executable, "-m", "flows.cli", "clean", str(bench.source), "--out", str(out), "--quiet"]
    return subprocess.Popen(  # noqa: S603 (this program, by this interpreter)
        command,
        env=bench.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def campaign(bench: Bench, kills: int, generator: random.Random) -> Counted:
    """Kill as many runs as were asked for; told to stop (SIGINT, SIGTERM), return what was seen until then."""
    counted = Counted()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _kill_and_come_through(bench, kills, generator, counted)
    return counted


def _kill_and_come_through(bench: Bench, kills: int, generator: random.Random, counted: Counted) -> None:
    trial = 0
    while counted.kills < kills:
        out = bench.folder / f"trial-{trial}"
        moments = [(generator.randrange(bench.steps), generator.random()) for _ in range(1 + trial % 2)]
        for steps, part in moments[: kills - counted.kills]:
            kill_once(bench, out, steps, part, counted)
        come_through(bench, out, counted)
        shutil.rmtree(out, ignore_errors=True)
        trial += 1
        sys.stderr.write(f"\r{counted.kills} of {kills} killed, {counted.lost.total()} lost ")
    sys.stderr.write("\n")


def kill_once(bench: Bench, out: Path, steps: int, part: float, counted: Counted) -> None:
    """Start a run, kill it after `steps` finished steps and `part` of a second, and look at what it left.

    Before the first step the part is one of the start-up, which is the longest stretch of a run.
    """
    process = start(bench, out)
    before = finished_steps(out)
    while process.poll() is None and finished_steps(out) < max(steps, before):
        time.sleep(0.01)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=part * (bench.seconds / 2 if steps <= before else 1.0))
    if process.poll() is not None:
        counted.too_late += 1
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    counted.kills += 1
    counted.kept_steps[finished_steps(out)] += 1
    for path in broken_files(out):
        counted.lost[f"broken file: {path.name}"] += 1


def finished_steps(out: Path) -> int:
    """Return how many steps the runs under `out` have finished."""
    return sum(1 for path in out.glob("runs/*/steps/*.json") if "latest" not in path.parts)


def broken_files(out: Path) -> list[Path]:
    """Return the files under their final names that are not whole."""
    return [path for path in out.glob("runs/**/*") if path.is_file() and _final(path) and not whole(path)]


def _final(path: Path) -> bool:
    return not path.name.endswith((".partial", ".lock")) and "latest" not in path.parts


def whole(path: Path) -> bool:
    """Return whether a file can be read to its end."""
    try:
        if path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".json":
            read_json(path)
        elif path.suffix == ".safetensors":
            from safetensors import safe_open  # noqa: PLC0415 (brings torch)

            with safe_open(path, framework="pt") as file:
                return all(file.get_tensor(name) is not None for name in file.keys())  # noqa: SIM118 (not a dict)
        elif path.suffix == ".html":
            return path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    except (OSError, ValueError, pa.ArrowException, json.JSONDecodeError):
        return False
    return path.stat().st_size > 0


def come_through(bench: Bench, out: Path, counted: Counted) -> None:
    """Repeat the command undisturbed and compare what it ends with."""
    try:
        code = start(bench, out).wait(timeout=PATIENCE * max(bench.seconds, 10.0))
    except subprocess.TimeoutExpired:
        counted.lost["a run that hangs"] += 1
        return
    if code:
        counted.lost[f"a command that ended with exit code {code}"] += 1
        return
    for name in COMPARED:
        if (out / "runs" / "latest" / name).read_bytes() != bench.reference[name]:
            counted.lost[f"{name} differs"] += 1
    folders = [path for path in (out / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
    if len(folders) > 1:
        counted.lost["a run folder beside the one to go on with"] += 1


def table(counted: Counted, seconds: float, rows: int) -> str:
    """Return the result as Markdown."""
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    lost = "\n".join(f"| {what} | {count} |" for what, count in counted.lost.items()) or "| nothing | 0 |"
    kept = "\n".join(f"| {steps} | {count} |" for steps, count in sorted(counted.kept_steps.items()))
    return (
        f"{counted.kills} runs of `labelsweep clean` on {rows:,} rows killed (SIGKILL to the whole process group), each at a\n"
        f"random moment (an undisturbed run took {seconds:.1f} s); {counted.too_late} more were through before their moment "
        "came.\n\n"
        f"| lost | count |\n|---|---|\n{lost}\n\n"
        f"| steps that were finished when the run was killed | runs |\n|---|---|\n{kept}\n\n{os.cpu_count()} cores; {packages}\n"
    )
