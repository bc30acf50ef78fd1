"""The review server under kills and under the load of many reviewers."""

import secrets
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Annotated

import pandas as pd

from tasks.bench.command import Seed, count_of
from tasks.bench.helpers import import_test_module
from tasks.bench.tables import describe_setup, format_table
from tasks.bench.tally import Row
from tasks.review.log import log_path, read_log
from tasks.review.queue import Item, load_queue

AGAIN_EVERY = 10
ANSWERS = ("keep", "suggestion", "drop", "unsure")


def run_review_kills(*, kills: Annotated[int, count_of("kills in all")] = 100, seed: Seed = 0) -> None:
    """Kill the review server while a reviewer works, and count lost decisions; exit code 1 where there are any."""
    killing, runs = import_test_module("review", "killing"), import_test_module("review", "run_folder")
    with tempfile.TemporaryDirectory(prefix="labelsweep-kills-") as folder:
        toll = killing.kill_while_reviewing(Path(folder), runs.digits_run(Path(folder)), kills, seed)
    rows = {
        "kills (SIGKILL, 0 to 0.8 s after the first answer)": toll.kills,
        "acknowledged actions (decisions and undos)": toll.acknowledged,
        "of them lost": toll.lost,
        "rows written twice by sending an action again": toll.doubled,
        "actions under way at a kill": toll.unanswered,
        "of them written nevertheless": toll.of_those_written,
        "failed integrity checks of the database": toll.corrupt,
    }
    table = format_table(["review server killed while a reviewer works", ""], rows.items())
    sys.stdout.write(f"{table}\nSQLite {sqlite3.sqlite_version}, {describe_setup()}\n")
    sys.exit(1 if toll.lost or toll.doubled or toll.corrupt else 0)


def run_load(
    *,
    reviewers: Annotated[int, count_of("reviewers at once")] = 200,
    decisions: Annotated[int, count_of("decisions in all")] = 20_000,
) -> None:
    """Many reviewers at once: is every decision in the log exactly once, and how long do they wait?"""
    servers, runs = import_test_module("review", "review_server"), import_test_module("review", "run_folder")
    each = decisions // reviewers
    with tempfile.TemporaryDirectory(prefix="labelsweep-load-") as folder:
        out = Path(folder)
        run = runs.digits_run(out)
        runs.stretched(run, reviewers * each)
        items, begin = load_queue(run).items, Barrier(reviewers + 1)
        server = servers.Process(out, run.name, "--port", "0", "--controls", "0")
        try:
            with ThreadPoolExecutor(reviewers) as pool:
                people = [
                    pool.submit(_review, server.address, n, items[n * each : (n + 1) * each], begin)
                    for n in range(reviewers)
                ]
                begin.wait()
                started = time.perf_counter()
                sent = pd.DataFrame([request for person in people for request in person.result()])
            whole = time.perf_counter() - started
        finally:
            server.kill()
        written = Counter(row.action for row in read_log(out))
        with sqlite3.connect(log_path(out)) as log:
            (integrity,) = log.execute("PRAGMA integrity_check").fetchone()
    is_taken = sent["status"] == 200
    counts = [written[action] for action in sent.loc[is_taken, "action"].unique()]
    waits = [f"{1000 * value:,.0f} ms" for value in sent["seconds"].quantile([0.5, 0.95, 1.0])]
    figures = {
        "decisions acknowledged": len(counts),
        "of them in the log exactly once": counts.count(1),
        "of them lost": counts.count(0),
        "of them written twice": sum(count > 1 for count in counts),
        "rows of the log": sum(written.values()),
        "requests sent twice": int(sent["again"].sum()),
        "requests refused, by status": dict(Counter(sent.loc[~is_taken, "status"])) or "none",
        "integrity check of the database": integrity,
        "seconds in all": f"{whole:.0f}",
        "requests a second": f"{len(sent) / whole:.0f}",
        "wait for an answer, median / 95 % / longest": " / ".join(waits),
    }
    sys.stdout.write(
        f"{reviewers} reviewers at once on one review server, each decision written and synchronised before its answer.\n\n"
        f"{format_table(['', ''], figures.items())}\nSQLite {sqlite3.sqlite_version}, {describe_setup()}\n"
    )


def _review(address: str, number: int, items: Sequence[Item], begin: Barrier) -> list[Row]:
    """Decide samples one after the other without a pause; send every tenth twice, as after an answer that was lost."""
    client = import_test_module("review", "review_server").Client(address, f"Reviewer+{number}")
    begin.wait()
    sent, seen = list[Row](), 0
    for place, item in enumerate(items):
        action = secrets.token_hex(16)
        for again in range(2 if place % AGAIN_EVERY == 0 else 1):
            started = time.perf_counter()
            status, body = client.decide(item, ANSWERS[place % len(ANSWERS)], action=action, since=seen)
            seconds = time.perf_counter() - started
            sent.append({"action": action, "again": again, "status": status, "seconds": seconds})
            seen = body["seq"] if status == 200 else seen
    return sent
