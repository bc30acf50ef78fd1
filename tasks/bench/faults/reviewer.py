"""A reviewer who decides over HTTP, while something may be done to the review server, or in the spreadsheet."""

import csv
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tasks.bench.faults.programs import PATIENCE, Program, wait_until
from tasks.review.log import read_log
from tasks.review.queue import load_queue

DECISIONS = ("suggestion", "keep", "drop", "unsure")
# People decide on so many samples of a queue.
ANSWERS = 3
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
    lines = list(csv.DictReader((run / "queue.csv").open(newline="", encoding="utf-8-sig")))
    for position, line in enumerate(lines[:count]):
        line["decision"] = DECISIONS[1:][position % len(DECISIONS[1:])]
    with filled.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    return filled


def wait_for_address(server: Program) -> str:
    """Wait for a server to say where it is; empty where it ended first."""
    wait_until(lambda: server.ended() or server.out.read_text(errors="replace").endswith("\n"), PATIENCE)
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


class People:
    """People who decide on the first samples of queues, each queue once.

    Args:
        out: Folder of the results.
        start: Starts a command on these results.
    """

    def __init__(self, out: Path, start: Callable[..., Program]) -> None:
        self._out, self._start = out, start
        self.acknowledged: set[tuple[str, str]] = set()
        self.reviewed: set[str] = set()

    def decide(self, run: Path, *, on_page: bool) -> list[str]:
        """Decide on a queue, on the page or in the spreadsheet, unless that was done before; return what is wrong."""
        samples = [item.sample_id for item in load_queue(run).items[:ANSWERS]]
        if run.name in self.reviewed or not samples:
            return []
        self.reviewed.add(run.name)
        if on_page:
            answers = [{**answer, "action": uuid.uuid4().hex} for answer in make_answers(run, ANSWERS)]
            program = self._start("review", run.name, "--reviewer", "Ada", "--port", "0", "--controls", "0")
            is_done = len(send_decisions(wait_for_address(program), answers)) == len(answers)
            program.process.terminate()
            program.end()
        else:
            filled = fill_spreadsheet(run, self._out.with_name("filled.csv"), ANSWERS)
            program = self._start("import", str(filled), "--run", run.name, "--reviewer", "Bob")
            is_done = program.end() == "survived"
        if not is_done:
            return [f"decisions on {run.name} were refused: {program.said()[-300:]}"]
        self.acknowledged |= {(run.name, sample) for sample in samples}
        return []

    def find_wrong_with_log(self) -> list[str]:
        """Return what the log does not have once of the decisions that were acknowledged."""
        found = Counter((row.run, row.sample_id) for row in read_log(self._out))
        return [f"{count} times in the log: {key}" for key in self.acknowledged if (count := found[key]) != 1]
