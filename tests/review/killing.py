"""Kill the real review server at random moments while a reviewer works, and count what was lost."""

import http.client
import random
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from review_server import Client, Process

from tasks.review.log import UNDO, log_path, read_log
from tasks.review.queue import load_queue

# On a machine that is busy with other things, the first answer takes its time.
_PATIENCE_S = 120


@dataclass
class Toll:
    """What happened over some kills.

    `lost`: acknowledged actions that are not in the log. `doubled`: actions with more than one row. `unanswered`: actions that
    were under way at a kill; `of_those_written`: how many of them are in the log nevertheless, which is allowed.
    """

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    unanswered: int = 0
    of_those_written: int = 0
    corrupt: int = 0


def kill_while_reviewing(out: Path, run: Path, kills: int, seed: int) -> Toll:
    """Serve, decide without pause, kill -9 at a random moment after the first answer; again and again on the same log.

    A reviewer whose action was not answered sends it again to the next server, as the page does.
    """
    rng, toll = random.Random(seed), Toll()  # noqa: S311 (no secret)
    items = load_queue(run).items
    acknowledged: set[str] = set()
    unanswered: dict[str, dict[str, object]] = {}
    for _ in range(kills):
        server = Process(out, run.name, "--reviewer", "Ada", "--port", "0", "--controls", "0")
        at_work = threading.Event()
        reviewer = threading.Thread(
            target=_work, args=(server.address, items, acknowledged, unanswered, rng.random(), at_work)
        )
        reviewer.start()
        try:
            answered = at_work.wait(_PATIENCE_S)
            time.sleep(rng.random() * 0.8)
        finally:
            server.kill()
        if not answered:
            raise AssertionError(f"the server answered nothing for {_PATIENCE_S} s")
        reviewer.join(30)
        toll.kills += 1
        written = {row.action for row in read_log(out)}
        toll.lost += len(acknowledged - written)
        toll.of_those_written += len(unanswered.keys() & written)
        toll.unanswered += len(unanswered)
        with sqlite3.connect(log_path(out)) as database:
            toll.corrupt += database.execute("PRAGMA integrity_check").fetchone()[0] != "ok"
    rows = read_log(out)
    toll.acknowledged = len(acknowledged)
    toll.doubled = len(rows) - len({(row.action, row.sample_id) for row in rows})
    taken_back = [row.undoes for row in rows if row.decision == UNDO]
    toll.doubled += len(taken_back) - len(set(taken_back))
    return toll


def _work(
    address: str,
    items: tuple,
    acknowledged: set[str],
    unanswered: dict[str, dict[str, object]],
    seed: float,
    at_work: threading.Event,
) -> None:
    """Decide until the server is gone; note what was acknowledged and what was under way."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    try:
        client = Client(address)
        for action, body in list(unanswered.items()):
            _send(client, action, body, acknowledged, unanswered)
        while True:
            item, action = rng.choice(items), secrets.token_hex(16)
            body: dict[str, object] = {"action": action}
            if rng.random() > 0.15:
                decision = rng.choice(["keep", "suggestion", "drop", "unsure"])
                body |= {"position": item.position, "check": item.check, "decision": decision}
            _send(client, action, body, acknowledged, unanswered)
            at_work.set()
    except TimeoutError:
        raise  # nobody was killed yet: the server hangs
    except (OSError, http.client.HTTPException):
        return


def _send(
    client: Client,
    action: str,
    body: dict[str, object],
    acknowledged: set[str],
    unanswered: dict[str, dict[str, object]],
) -> None:
    unanswered[action] = body
    path = "/api/decide" if "decision" in body else "/api/undo"
    status, answer = client.post(path, body)
    if status != 200:
        raise AssertionError((status, answer))
    del unanswered[action]
    if answer["rows"]:
        acknowledged.add(action)
