"""Many reviewers at once on one review server: is every acknowledged decision in the log exactly once, and how long do they wait?

Each reviewer has a connection and a name of their own and decides samples of their own, one after the other and without a pause.
Every tenth request is sent twice, as after an answer that was lost.
"""

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
import typer

from tasks.bench.helpers import from_tests
from tasks.bench.tables import made_with, markdown
from tasks.review.deck import Deck, load_deck
from tasks.review.log import log_path, read_log

AGAIN_EVERY = 10
ANSWERS = ("keep", "suggestion", "drop", "unsure")


class Reviewer(threading.Thread):
    """Decides a stretch of the queue and keeps what was acknowledged."""

    def __init__(self, number: int, address: str, deck: Deck, decisions: int, begin: threading.Event) -> None:
        super().__init__(daemon=True)
        self.number, self._address, self._deck = number, address, deck
        self._decisions, self._begin = decisions, begin
        self.acknowledged: dict[str, str] = {}
        self.refused: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.again = 0

    def run(self) -> None:
        """Decide one sample after the other."""
        client = from_tests("review", "review_server").Client(
            self._address, f"Reviewer {self.number}".replace(" ", "+")
        )
        self._begin.wait()
        seen = 0
        for number in range(self._decisions):
            item = self._deck.items[self.number * self._decisions + number]
            action = secrets.token_hex(16)
            for again in range(2 if number % AGAIN_EVERY == 0 else 1):
                started = time.perf_counter()
                answer = ANSWERS[number % len(ANSWERS)]
                status, body = client.decide(item, answer, action=action, since=seen)
                self.seconds.append(time.perf_counter() - started)
                self.again += again
                if status == 200:
                    self.acknowledged[action] = item.sample_id
                    seen = body["seq"]
                else:
                    self.refused[status] += 1


def run_load(
    *,
    reviewers: Annotated[int, typer.Option(metavar="N", help="reviewers at once")] = 200,
    decisions: Annotated[int, typer.Option(metavar="N", help="decisions in all")] = 20_000,
) -> None:
    """Many reviewers at once: is every decision in the log exactly once, and how long do they wait?"""
    servers, runs = from_tests("review", "review_server"), from_tests("review", "run_folder")
    each = decisions // reviewers
    with tempfile.TemporaryDirectory(prefix="labelsweep-load-") as folder:
        out = Path(folder)
        run = runs.digits_run(out)
        runs.stretched(run, reviewers * each)
        deck = load_deck(run)
        server = servers.Process(out, run.name, "--port", "0", "--controls", "0")
        try:
            begin = threading.Event()
            people = [Reviewer(n, server.address, deck, each, begin) for n in range(reviewers)]
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
        rows = read_log(out)
        with sqlite3.connect(log_path(out)) as log:
            (integrity,) = log.execute("PRAGMA integrity_check").fetchone()
    sys.stdout.write(table(people, Counter(row.action for row in rows), integrity, whole))


def table(people: list[Reviewer], written: Counter[str], integrity: str, whole: float) -> str:
    """Return what was sent, what was written, and how long it took."""
    acknowledged = [action for person in people for action in person.acknowledged]
    times = 1000 * np.array([second for person in people for second in person.seconds])
    refused = sum((person.refused for person in people), Counter[int]())
    figures = {
        "decisions acknowledged": len(acknowledged),
        "of them in the log exactly once": sum(written[action] == 1 for action in acknowledged),
        "of them lost": sum(action not in written for action in acknowledged),
        "of them written twice": sum(written[action] > 1 for action in acknowledged),
        "rows of the log": sum(written.values()),
        "requests sent twice": sum(person.again for person in people),
        "requests refused, by status": dict(refused) or "none",
        "integrity check of the database": integrity,
        "seconds in all": f"{whole:.0f}",
        "requests a second": f"{len(times) / whole:.0f}",
        "wait for an answer, median / 95 % / longest": " / ".join(
            f"{value:,.0f} ms" for value in (np.median(times), np.quantile(times, 0.95), times.max())
        ),
    }
    return (
        f"{len(people)} reviewers at once on one review server, each decision written and synchronised before its answer.\n\n"
        f"{markdown(['', ''], list(figures.items()))}\nSQLite {sqlite3.sqlite_version}, {made_with()}\n"
    )
