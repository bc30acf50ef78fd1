"""Kill real runs at random moments and count what was lost.

A trial starts `labelsweep clean` on a small data set, ends its whole process group with SIGKILL at a moment drawn evenly from
the length of an undisturbed run, looks at what the killed run left, and then repeats the very same command until it is
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
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
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
        reference: Bytes of the files that are compared.
        environment: Variables of every process.
    """

    folder: Path
    source: Path
    seconds: float
    reference: dict[str, bytes]
    environment: dict[str, str]


def main(arguments: Sequence[str]) -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(prog="labelsweep bench faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="runs to kill (default: 100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the moments")
    parser.add_argument("--rows", type=int, default=1_500, metavar="N", help="rows of the data set")
    options = parser.parse_args(list(arguments))
    with tempfile.TemporaryDirectory(prefix="labelsweep-faults-") as folder:
        bench = prepare(Path(folder), options.rows)
        counted = campaign(bench, options.kills, random.Random(options.seed))  # noqa: S311 (no secret)
    sys.stdout.write(table(counted, bench.seconds, options.rows))
    sys.exit(1 if counted.lost else 0)


def prepare(folder: Path, rows: int) -> Bench:
    """Make the data set and run on it undisturbed."""
    source = synthesize(folder / "blobs.parquet", rows=rows, dimension=8, sigma=0.5, flips=0.05, seed=0)
    variables = {**os.environ, "PREFECT_HOME": str(folder / "prefect")}
    bench = Bench(folder, source, 0.0, {}, variables)
    start(bench, folder / "warm").wait(timeout=600)  # the database is made once
    began = time.monotonic()
    code = start(bench, folder / "reference").wait(timeout=600)
    seconds = time.monotonic() - began
    if code:
        raise SystemExit(f"the undisturbed run ended with exit code {code}")
    latest = folder / "reference" / "runs" / "latest"
    return Bench(
        folder, source, seconds, {name: (latest / name).read_bytes() for name in COMPARED}, variables
    )


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
    """Kill as many runs as were asked for."""
    counted = Counted()
    trial = 0
    while counted.kills < kills:
        out = bench.folder / f"trial-{trial}"
        moments = [generator.uniform(0.0, bench.seconds) for _ in range(1 + trial % 2)]
        for moment in moments[: kills - counted.kills]:
            kill_once(bench, out, moment, counted)
        come_through(bench, out, counted)
        shutil.rmtree(out, ignore_errors=True)
        trial += 1
        sys.stderr.write(f"\r{counted.kills} of {kills} killed, {counted.lost.total()} lost ")
    sys.stderr.write("\n")
    return counted


def kill_once(bench: Bench, out: Path, moment: float, counted: Counted) -> None:
    """Start a run, kill it at `moment` seconds, and look at what it left."""
    process = start(bench, out)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        counted.kills += 1
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for path in broken_files(out):
            counted.lost[f"broken file: {path.name}"] += 1
        counted.kept_steps[len(list(out.glob("runs/[!l.]*/steps/*.json")))] += 1
    else:
        counted.too_late += 1


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
        f"random moment of the {seconds:.1f} s that an undisturbed run took; {counted.too_late} more were through before "
        "their moment came.\n\n"
        f"| lost | count |\n|---|---|\n{lost}\n\n"
        f"| steps that were finished when the run was killed | runs |\n|---|---|\n{kept}\n\n{os.cpu_count()} cores; {packages}\n"
    )
