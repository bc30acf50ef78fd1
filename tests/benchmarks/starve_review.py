"""Take memory from real review servers, while they start and while people decide, then give it back; count what was lost.

`python tests/benchmarks/starve_review.py --trials 40 --seed 0`: every trial leaves a server 0 to 64 MB more address space than it
has, sends decisions and sixteen requests at once, lifts the limit, and wants every page and every decision answered.
"""

import argparse
import http.client
import os
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tasks.bench.troubles_review import Answer, address_of, answers_for, decide
from tasks.bench.troubles_ways import Program, pause
from tasks.report.summary import versions
from tasks.review.log import read_log
from tasks.synthesize import synthesize

PATHS = (
    "/review",
    "/grid",
    "/insights",
    "/api/order",
    "/api/progress",
    "/item/3",
    "/static/review.js",
    "/review?state=all",
)
MEGABYTE = 2**20


@dataclass
class Trial:
    """What one server did without memory, and after it."""

    during: str
    megabytes: int
    end: str = ""
    said: str = ""
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def get(host: str, path: str, statuses: Counter[str]) -> None:
    """Ask for a page; count what came."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("GET", path)
        statuses[str(connection.getresponse().status)] += 1
    except (OSError, http.client.HTTPException) as error:
        statuses[type(error).__name__] += 1
    finally:
        connection.close()


def limit(server: Program, more: int) -> None:
    """Leave the server so many bytes more than it has; take the limit away where it is negative."""
    with suppress(OSError, StopIteration):
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        size = int(next(line for line in status.splitlines() if line.startswith("VmSize")).split()[1]) * 1024
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (-1 if more < 0 else size + more, -1))


def starve(server: Program, trial: Trial, answers: list[Answer], rng: random.Random) -> set[str]:
    """Take memory from a server, ask it for everything, give the memory back and ask again; return what it acknowledged."""
    if trial.during == "start":
        pause(server, rng.random() * 2.5)
        limit(server, trial.megabytes * MEGABYTE)
    host, acknowledged = address_of(server), set[str]()
    if not host:
        if not server.ended():
            trial.wrong.append("neither served nor ended")
        return acknowledged
    if trial.during == "work":
        acknowledged |= decide(host, answers[: rng.randrange(len(answers))])
        limit(server, trial.megabytes * MEGABYTE)
    asking = [threading.Thread(target=get, args=(host, path, trial.statuses)) for path in PATHS * 2]
    for thread in asking:
        thread.start()
    acknowledged |= decide(host, answers)
    for thread in asking:
        thread.join()
    limit(server, -1)
    again: Counter[str] = Counter()
    for path in PATHS:
        get(host, path, again)
    acknowledged |= decide(host, answers)
    if again != Counter({"200": len(PATHS)}) or len(acknowledged) < len(answers):
        trial.wrong.append(f"with memory again: {dict(again)}, {len(acknowledged)} decisions")
    return acknowledged


def run_trial(swept: Path, folder: Path, answers: list[Answer], rng: random.Random) -> Trial:
    """Starve one server."""
    trial = Trial(rng.choice(("start", "work", "work")), rng.randrange(64))
    out = Path(shutil.copytree(swept, folder / "out", symlinks=True))
    run = (out / "runs" / "latest").resolve().name
    fixed = ["--reviewer", "Ada", "--port", "0", "--controls", "0"]
    server = Program(
        ["review", run, "--out", str(out), *fixed], {**os.environ, "OMP_NUM_THREADS": "1"}, folder / "log"
    )
    acknowledged: set[str] = set()
    try:
        acknowledged = starve(server, trial, answers, rng)
        if not server.ended():
            server.process.terminate()
        trial.end, trial.said = server.end(), server.said()
    finally:
        server.kill()
    written = [row.action for row in read_log(out)] if (out / "decisions.sqlite").exists() else []
    trial.wrong += ["a decision was lost" for action in acknowledged if written.count(action) != 1]
    if trial.end not in ("survived", "refused", "killed"):
        trial.wrong.append(trial.end)
    elif len(trial.said.splitlines()) > 1:
        trial.wrong.append(f"more than one line: {trial.said.splitlines()[0][:80]}")
    shutil.rmtree(out)
    return trial


def main(arguments: Sequence[str]) -> None:
    """Sweep a small data set, starve servers of its review, print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = synthesize(folder / "blobs.parquet", rows=600, dimension=8, sigma=0.5, flips=0.05, seed=0)
        sweep = Program(
            ["clean", str(source), "--out", str(folder / "swept"), "--quiet"], os.environ, folder / "sweep"
        )
        if sweep.end() != "survived":
            raise SystemExit(sweep.said())
        answers = answers_for((folder / "swept" / "runs" / "latest").resolve(), 12)
        began = time.monotonic()
        for number in range(options.trials):
            trial = run_trial(folder / "swept", folder, answers, random.Random(f"{options.seed}-{number}"))  # noqa: S311
            trials.append(trial)
            sys.stderr.write(
                f"{number} {trial.during} {trial.megabytes} MB: {trial.end} {dict(trial.statuses)} {trial.wrong}\n"
            )
    sys.stdout.write(
        "| memory taken | trials | served on | ended with one line | anything else |\n|---|---:|---:|---:|---:|\n"
    )
    for during in ("start", "work"):
        some = [trial for trial in trials if trial.during == during]
        fine = [trial for trial in some if not trial.wrong]
        served = sum(bool(trial.statuses) for trial in fine)
        sys.stdout.write(
            f"| at {during} | {len(some)} | {served} | {len(fine) - served} | {len(some) - len(fine)} |\n"
        )
    answered = sum((trial.statuses for trial in trials), Counter())
    sys.stdout.write(f"\nAnswers without memory: {dict(answered.most_common())}.\n\n")
    for trial in trials:
        if trial.wrong:
            sys.stdout.write(f"- at {trial.during}, {trial.megabytes} MB left: {'; '.join(trial.wrong)}\n")
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    sys.stdout.write(f"\n{time.monotonic() - began:.0f} s; {os.cpu_count()} cores; {packages}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
