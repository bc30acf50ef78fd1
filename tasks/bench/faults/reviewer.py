"""A reviewer who decides over HTTP, while something may be done to the review server, or in the spreadsheet."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from tasks.bench.faults.programs import PATIENCE, Program, wait_until
from tasks.review.queue import load_queue

DECISIONS = ("suggestion", "keep", "drop", "unsure")
REVIEW_OPTIONS = ("--reviewer", "Ada", "--port", "0", "--controls", "0")
# A decision that the reviewer wants in the log, known by its action.
Answer = Mapping[str, Any]


def make_answers(run: Path, count: int) -> list[Answer]:
    """Return decisions on the first samples of a queue, the same every time."""
    return [
        {
            "position": item.position,
            "check": item.check,
            "decision": DECISIONS[item.position % len(DECISIONS)],
            "action": f"{item.position:032x}",
        }
        for item in load_queue(run).items[:count]
    ]


def fill_spreadsheet(run: Path, filled: Path, count: int) -> Path:
    """Write a queue's spreadsheet with decisions on its first samples."""
    queue = pd.read_csv(run / "queue.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    some = len(queue.head(count))
    queue.loc[: some - 1, "decision"] = [DECISIONS[1:][row % len(DECISIONS[1:])] for row in range(some)]
    queue.to_csv(filled, index=False)
    return filled


def wait_for_address(server: Program) -> str:
    """Wait for a server to say where it is; empty where it ended first."""
    wait_until(lambda: server.has_ended() or server.out.read_bytes().endswith(b"\n"), PATIENCE)
    return server.out.read_text(errors="replace").partition("//")[2].strip().strip("/")


def send_decisions(host: str, answers: Sequence[Answer]) -> set[str]:
    """Send decisions one after the other until one is not acknowledged; return the actions that were."""
    acknowledged: set[str] = set()
    # A server that was killed answers nothing: what it acknowledged until then is what counts.
    with (
        suppress(httpx.HTTPError),
        httpx.Client(base_url=f"http://{host}", timeout=60, trust_env=False) as client,
    ):
        client.get("/name")
        token = next((value for name, value in client.cookies.items() if "csrf" in name), "")
        for answer in answers:
            sent = client.post("/api/decide", json=answer, headers={"x-csrf-token": token})
            if sent.status_code != httpx.codes.OK:
                break
            acknowledged.add(answer["action"])
    return acknowledged
