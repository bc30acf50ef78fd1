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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from tasks.bench.command import count_of
from tasks.bench.helpers import import_test_module
from tasks.bench.tables import describe_setup, format_table
from tasks.synthesize import synthesize

PATIENCE_SECONDS = 3_000
SMALL = {"rounds": 1, "feature_map": "raw", "folds": 3}
REMOTE = {"gpu_deployment": "fit/gpu", "gpu_timeout": PATIENCE_SECONDS}
ERRORS = r"database is locked|QueuePool limit|TimeoutError|deadlock detected"


@contextmanager
def run_stack_on_postgres(**variables: str) -> Iterator[Any]:
    """Yield the stack that `make serve` starts, on a real Postgres, as the tests have it."""
    stacks, servers = (import_test_module("stack", name) for name in ("local_stack", "postgres_server"))
    with tempfile.TemporaryDirectory(prefix="labelsweep-stack-") as name, servers.postgres(None) as database:
        own = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
        own["LABELSWEEP_REPORTS_PORT"] = str(servers.free_port())
        stack = stacks.Stack(Path(name), servers.free_port(), own | variables)
        stack.start()
        try:
            yield stack
        finally:
            stack.stop()


def run_stack(*, runs: Annotated[int, count_of("runs")] = 20) -> None:
    """Submit many runs at once to the stack on a real Postgres, and count the ends."""
    with run_stack_on_postgres() as stack:
        out, blobs = stack.folder / "out", stack.folder / "blobs.parquet"
        synthesize(blobs, rows=400, dimension=4, sigma=0.4, flips=0.05, seed=0)
        common = {"source": str(blobs), "out": str(out), **SMALL, **REMOTE}
        began = time.monotonic()
        sent = [stack.submit("clean-labels/on-demand", name=f"load {n}", **common) for n in range(runs)]
        submitted = time.monotonic() - began
        ended = [stack.ended(run.id, PATIENCE_SECONDS) for run in sent]
        whole = time.monotonic() - began
        fits = Counter(
            child.state.name if child else "none" for child in (stack.child(run.id) for run in sent)
        )
        seconds = [run.total_run_time.total_seconds() for run in ended]
        errors = re.findall(ERRORS, stack.log)
        figures = {
            "runs by state": dict(Counter(run.state.name for run in ended)),
            "fits on the gpu worker by state": dict(fits),
            "run folders with a manifest": len(list(out.glob("runs/load-*/manifest.json"))),
            "from the first submission to the last end": f"{whole:.0f} s",
            "one run, median (longest)": f"{statistics.median(seconds):.0f} s ({max(seconds):.0f} s)",
            "lock, pool and time-out errors in the log": dict(Counter(errors)) or "none",
        }
    workers = "a cpu worker (2 runs at a time) and a gpu worker (1)"
    sys.stdout.write(f"{runs} runs submitted in {submitted:.1f} s to the stack on Postgres, {workers}.\n\n")
    table = format_table(["what", "figure"], figures.items(), words=2)
    sys.stdout.write(f"{table}\n{describe_setup('prefect', 'labelsweep')}\n")
