"""A reviewer who decides over HTTP while something is done to the review server."""

import http.client
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.bench.faults.programs import PATIENCE, Program

DECISIONS = ("suggestion", "keep", "drop", "unsure")


@dataclass(frozen=True)
class Answer:
    """One decision that the reviewer wants in the log, known by its action."""

    action: str
    body: Mapping[str, Any]


def answers_for(run: Path, count: int) -> list[Answer]:
    """Return decisions on the first samples of a queue, the same every time."""
    from tasks.review.deck import load_deck  # noqa: PLC0415 (brings pandas)

    return [
        Answer(
            f"{item.position:032x}",
            {
                "position": item.position,
                "check": item.check,
                "decision": DECISIONS[item.position % len(DECISIONS)],
                "action": f"{item.position:032x}",
            },
        )
        for item in load_deck(run).items[:count]
    ]


def address_of(server: Program) -> str:
    """Wait for a server to say where it is; empty where it ended first."""
    deadline = time.monotonic() + PATIENCE
    while not server.ended() and time.monotonic() < deadline:
        text = server.out.read_text(errors="replace")
        if text.endswith("\n"):
            return text.split("//")[1].strip().strip("/")
        time.sleep(0.02)
    return ""


def decide(host: str, answers: list[Answer]) -> set[str]:
    """Send decisions one after the other until one is not acknowledged; return the actions that were."""
    acknowledged: set[str] = set()
    # A server that was killed answers nothing: what it acknowledged until then is what counts.
    with suppress(OSError, http.client.HTTPException):
        cookies = _cookies(host)
        for answer in answers:
            if _post(host, cookies, answer.body) != http.client.OK:
                break
            acknowledged.add(answer.action)
    return acknowledged


def _cookies(host: str) -> dict[str, str]:
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("GET", "/name")
        answer = connection.getresponse()
        answer.read()
        pairs = [line.partition(";")[0].partition("=") for line in answer.headers.get_all("set-cookie") or []]
        return {name: value for name, _, value in pairs}
    finally:
        connection.close()


def _post(host: str, cookies: Mapping[str, str], body: Mapping[str, Any]) -> int:
    token = next((value for name, value in cookies.items() if "csrf" in name), "")
    headers = {
        "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "content-type": "application/json",
        "x-csrf-token": token,
    }
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("POST", "/api/decide", json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
