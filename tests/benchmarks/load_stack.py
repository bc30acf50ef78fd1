"""Submit many runs at once to the stack, as `make serve` starts it, on a real Postgres with its two workers, and count the ends.

    python tests/benchmarks/load_stack.py [--runs 20]

Each run is of a data set of its own and sends its fit to the gpu worker, which takes one at a time. Printed: how the runs ended,
how long they took, and what the server's log says of errors.
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stack"))

from local_stack import FINAL, Stack
from postgres_server import binaries, free_port, postgres

from tasks.report.summary import versions
from tasks.synthesize import synthesize

PATIENCE_SECONDS = 3_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, metavar="N")
    count = parser.parse_args().runs
    programs = binaries()
    if programs is None:
        raise SystemExit("no Postgres on this machine: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="labelsweep-load-") as name, postgres(programs) as database:
        folder = Path(name)
        stack = Stack(folder, free_port(), {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database})
        source = synthesize(folder / "blobs.parquet", rows=400, dimension=4, sigma=0.4, flips=0.05, seed=0)
        stack.start()
        try:
            sys.stdout.write(campaign(stack, source, count))
        finally:
            stack.stop()


def campaign(stack: Stack, source: Path, count: int) -> str:
    small = {
        "rounds": 1,
        "feature_map": "raw",
        "folds": 3,
        "gpu_deployment": "fit/gpu",
        "gpu_timeout": PATIENCE_SECONDS,
    }
    began = time.monotonic()
    runs = [
        stack.submit(
            "clean-labels/on-demand",
            source=str(source),
            name=f"load {n}",
            out=str(stack.folder / "out"),
            **small,
        )
        for n in range(count)
    ]
    submitted = time.monotonic() - began
    stack.wait(lambda: all(stack.state(run.id) in FINAL for run in runs), PATIENCE_SECONDS)
    whole = time.monotonic() - began
    ended = [stack.run(run.id) for run in runs]
    children = [stack.child(run.id) for run in runs]
    seconds = [run.total_run_time.total_seconds() for run in ended]
    complete = len(list((stack.folder / "out" / "runs").glob("load-*/manifest.json")))
    errors = Counter(
        re.findall(r"database is locked|QueuePool limit|TimeoutError|deadlock detected", stack.log)
    )
    packages = ", ".join(
        f"{name} {number}"
        for name, number in versions().items()
        if name in ("python", "prefect", "labelsweep")
    )
    lines = [
        f"{count} runs submitted in {submitted:.1f} s to the stack on Postgres, a cpu worker (2 runs at a time) and a gpu worker (1).",
        "",
        "| what | figure |",
        "|---|---|",
        f"| runs by state | {dict(Counter(run.state.name for run in ended))} |",
        f"| fits on the gpu worker by state | {dict(Counter(child.state.name if child else 'none' for child in children))} |",
        f"| run folders with a manifest | {complete} |",
        f"| from the first submission to the last end | {whole:.0f} s |",
        f"| one run, median (longest) | {statistics.median(seconds):.0f} s ({max(seconds):.0f} s) |",
        f"| lock, pool and time-out errors in the log | {dict(errors) or 'none'} |",
        "",
        f"{os.cpu_count()} cores; {packages}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
