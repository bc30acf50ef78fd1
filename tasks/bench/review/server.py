"""The review server under kills and under the load of many reviewers."""

import secrets
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np

from tasks.bench.command import Seed, count_of
from tasks.bench.helpers import import_test_module
from tasks.bench.tables import describe_setup, format_table
from tasks.review.log import log_path, read_log
from tasks.review.queue import ReviewQueue, load_queue

AGAIN_EVERY = 10
ANSWERS = ("keep", "suggestion", "drop", "unsure")


def run_review_kills(*, kills: Annotated[int, count_of("kills in all")] = 100, seed: Seed = 0) -> None:
    """Kill the review server while a reviewer works, and count lost decisions; exit code 1 where there are any."""
    killing, runs = import_test_module("review", "killing"), import_test_module("review", "run_folder")
    with tempfile.TemporaryDirectory(prefix="labelsweep-kills-") as folder:
        out = Path(folder)
        toll = killing.kill_while_reviewing(out, runs.digits_run(out), kills, seed)
    rows = [
        ("kills (SIGKILL, 0 to 0.8 s after the first answer)", toll.kills),
        ("acknowledged actions (decisions and undos)", toll.acknowledged),
        ("of them lost", toll.lost),
        ("rows written twice by sending an action again", toll.doubled),
        ("actions under way at a kill", toll.unanswered),
        ("of them written nevertheless", toll.of_those_written),
        ("failed integrity checks of the database", toll.corrupt),
    ]
    table = format_table(["review server killed while a reviewer works", ""], rows)
    sys.stdout.write(f"{table}\nSQLite {sqlite3.sqlite_version}, {describe_setup()}\n")
    sys.exit(1 if toll.lost or toll.doubled or toll.corrupt else 0)


class LoadReviewer(threading.Thread):
    """Decides samples of its own, one after the other without a pause, and keeps what was acknowledged.

    Each reviewer has a connection and a name. Every tenth request is sent twice, as after an answer that was lost.
    """

    def __init__(
        self, number: int, address: str, queue: ReviewQueue, decisions: int, begin: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self._name, self._address, self._begin = f"Reviewer+{number}", address, begin
        self._items = queue.items[number * decisions : (number + 1) * decisions]
        self.acknowledged: list[str] = []
        self.refused: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.again = 0

    def run(self) -> None:
        """Decide one sample after the other."""
        client = import_test_module("review", "review_server").Client(self._address, self._name)
        self._begin.wait()
        seen = 0
        for number, item in enumerate(self._items):
            action = secrets.token_hex(16)
            for again in range(2 if number % AGAIN_EVERY == 0 else 1):
                started = time.perf_counter()
                answer = ANSWERS[number % len(ANSWERS)]
                status, body = client.decide(item, answer, action=action, since=seen)
                self.seconds.append(time.perf_counter() - started)
                self.again += again
                if status == 200:
                    self.acknowledged.append(action)
                    seen = body["seq"]
                else:
                    self.refused[status] += 1


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
        queue = load_queue(run)
        server = servers.Process(out, run.name, "--port", "0", "--controls", "0")
        try:
            begin = threading.Event()
            people = [LoadReviewer(n, server.address, queue, each, begin) for n in range(reviewers)]
            for person in people:
                person.start()
            time.sleep(5)  # everybody has told the page a name
            started = time.perf_counter()
            begin.set()
            for person in people:
                person.join()
            whole = time.perf_counter() - started
        finally:
            server.kill()
        written = Counter(row.action for row in read_log(out))
        with sqlite3.connect(log_path(out)) as log:
            (integrity,) = log.execute("PRAGMA integrity_check").fetchone()
    sys.stdout.write(_load_table(people, written, integrity, whole))


def _load_table(people: list[LoadReviewer], written: Counter[str], integrity: str, whole: float) -> str:
    """Return what was sent, what was written, and how long it took."""
    acknowledged = {action for person in people for action in person.acknowledged}
    times = 1000 * np.array([second for person in people for second in person.seconds])
    waits = (f"{value:,.0f} ms" for value in (np.median(times), np.quantile(times, 0.95), times.max()))
    figures = {
        "decisions acknowledged": len(acknowledged),
        "of them in the log exactly once": sum(written[action] == 1 for action in acknowledged),
        "of them lost": sum(action not in written for action in acknowledged),
        "of them written twice": sum(written[action] > 1 for action in acknowledged),
        "rows of the log": sum(written.values()),
        "requests sent twice": sum(person.again for person in people),
        "requests refused, by status": dict(sum((p.refused for p in people), Counter[int]())) or "none",
        "integrity check of the database": integrity,
        "seconds in all": f"{whole:.0f}",
        "requests a second": f"{len(times) / whole:.0f}",
        "wait for an answer, median / 95 % / longest": " / ".join(waits),
    }
    return (
        f"{len(people)} reviewers at once on one review server, each decision written and synchronised before its answer.\n\n"
        f"{format_table(['', ''], figures.items())}\nSQLite {sqlite3.sqlite_version}, {describe_setup()}\n"
    )
