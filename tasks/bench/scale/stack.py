"""Submit many runs at once to the stack, as `make serve` starts it, on a real Postgres with its two workers, and count the ends.

Each run is of a data set of its own and sends its fit to the gpu worker, which takes one at a time. Printed: how the runs ended,
how long they took, and what the server's log says of errors.
"""

import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from tasks.bench.command import count_of
from tasks.bench.helpers import import_test_module
from tasks.bench.tables import describe_setup, format_table
from tasks.errors import InputError
from tasks.synthesize import synthesize

PATIENCE_SECONDS = 3_000
SMALL = {"rounds": 1, "feature_map": "raw", "folds": 3}
REMOTE = {"gpu_deployment": "fit/gpu", "gpu_timeout": PATIENCE_SECONDS}
ERRORS = r"database is locked|QueuePool limit|TimeoutError|deadlock detected"


def run_stack(*, runs: Annotated[int, count_of("runs")] = 20) -> None:
    """Submit many runs at once to the stack on a real Postgres, and count the ends."""
    stacks, servers = (
        import_test_module("stack", "local_stack"),
        import_test_module("stack", "postgres_server"),
    )
    programs = servers.binaries()
    if programs is None:
        raise InputError("no Postgres on this machine", fix="apt-get install postgresql")
    with (
        tempfile.TemporaryDirectory(prefix="labelsweep-load-") as name,
        servers.postgres(programs) as database,
    ):
        variables = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
        stack = stacks.Stack(Path(name), servers.free_port(), variables)
        stack.start()
        try:
            sys.stdout.write(run_stack_campaign(stack, runs, stacks.FINAL))
        finally:
            stack.stop()


def run_stack_campaign(stack: Any, count: int, final: Any) -> str:  # noqa: ANN401 (of the tests)
    """Submit the runs, wait for their ends, and return the table."""
    out = stack.folder / "out"
    blobs = synthesize(stack.folder / "blobs.parquet", rows=400, dimension=4, sigma=0.4, flips=0.05, seed=0)
    common = {"source": str(blobs), "out": str(out), **SMALL, **REMOTE}
    began = time.monotonic()
    runs = [stack.submit("clean-labels/on-demand", name=f"load {n}", **common) for n in range(count)]
    submitted = time.monotonic() - began
    stack.wait(lambda: all(stack.state(run.id) in final for run in runs), PATIENCE_SECONDS)
    whole = time.monotonic() - began
    ended = [stack.run(run.id) for run in runs]
    fits = Counter(child.state.name if child else "none" for child in (stack.child(run.id) for run in runs))
    seconds = [run.total_run_time.total_seconds() for run in ended]
    figures = {
        "runs by state": dict(Counter(run.state.name for run in ended)),
        "fits on the gpu worker by state": dict(fits),
        "run folders with a manifest": len(list(out.glob("runs/load-*/manifest.json"))),
        "from the first submission to the last end": f"{whole:.0f} s",
        "one run, median (longest)": f"{statistics.median(seconds):.0f} s ({max(seconds):.0f} s)",
        "lock, pool and time-out errors in the log": dict(Counter(re.findall(ERRORS, stack.log))) or "none",
    }
    workers = "a cpu worker (2 runs at a time) and a gpu worker (1)"
    said = f"{count} runs submitted in {submitted:.1f} s to the stack on Postgres, {workers}."
    table = format_table(["what", "figure"], figures.items(), words=2)
    return f"{said}\n\n{table}\n{describe_setup('prefect', 'labelsweep')}\n"
