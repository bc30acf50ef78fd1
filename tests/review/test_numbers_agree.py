"""Page, insights, status, apply and export say the same of the same decisions, after every single one."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from review_server import Client, Served, served

from flows.cli import run
from flows.incremental import _count_judged
from tasks.apply.correct import plan_for
from tasks.review.data_set_status import count_unsettled
from tasks.review.exchange.export import export_decisions
from tasks.review.ledger import Ledger
from tasks.review.log import read_log
from tasks.review.status import Status, count_status
from tasks.storage import write_table


def table(client: Client) -> dict[str, list[int]]:
    """Return the decisions as the insights page lists them: of the queue, and of the samples with known answers."""
    rows = re.findall(
        r'<th scope="row">([^<]+)</th><td>(\d+)</td><td>(\d+)</td></tr>', client.page("/insights")
    )
    return {name: [int(count) for count in counts] for name, *counts in rows}


def check(site: Served, digits: Path, out: Path, client: Client) -> Status:
    """Hold every place that counts against every other one; return what the status says."""
    status, seen, shown = count_status(digits, out), table(client), client.get("/api/progress?since=0")
    queue = status.queue
    assert [seen["all"][0], seen["open"][0], seen["kept"][0]] == [queue.total, queue.todo, queue.keep]
    assert [seen["relabeled"][0], seen["dropped"][0], seen["unsure"][0]] == [
        queue.relabel,
        queue.drop,
        queue.unsure,
    ]
    assert seen["reviewers disagree"][0] == queue.disagree
    assert status.known == seen["all"][1] - seen["open"][1]
    assert shown["total"] == sum(seen["all"])
    assert shown["total"] - shown["todo"] == queue.answered + status.known
    assert shown["disagreements"] == sum(seen["reviewers disagree"])
    assert (
        site.site.review.count().overall is None or site.site.review.count().overall.decided == queue.judged
    )
    rows = read_log(out)
    assert _count_judged(digits, Ledger(rows))["reviewed"] == queue.judged
    plan = plan_for(digits, out)
    assert (
        sum(plan.outcomes.values()) + len([e for e in plan.left_out if "disagree" in e.why]) == queue.answered
    )
    assert plan.known == status.known
    exported = export_decisions(out, out / "decisions.csv")
    assert exported.rows == len(rows)
    assert exported.known <= exported.standing <= exported.rows
    return status


def test_every_place_that_counts_says_the_same_after_every_decision(
    digits: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(digits, out, control_share=0.2) as site:
        ada, bo = (Client(site.address, reviewer=name) for name in ("Ada", "Bo"))
        items = site.site.queue.items
        assert any(item.is_control for item in items[:14])
        verdicts = dict(
            zip(items[:14], ["suggestion", "keep", "suggestion", "drop", "unsure"] * 3, strict=False)
        )
        for item, verdict in verdicts.items():
            ada.decide(item, verdict)
        taken = [
            item for item, verdict in verdicts.items() if verdict == "suggestion" and not item.is_control
        ]
        check(site, digits, out, ada)
        bo.decide(taken[0], "keep")
        check(site, digits, out, ada)
        bo.decide(taken[1], "unsure")  # the majority is Ada's answer, but nobody has settled it
        control = next(item for item in items if item.is_control)
        bo.decide(control, "drop")
        status = check(site, digits, out, bo)
        assert status.queue.disagree == 2
        assert ada.post("/api/undo", {"action": "u" * 16})[0] == 200
        after = check(site, digits, out, ada)
        assert after.queue.answered + after.known == status.queue.answered + status.known - 1
        known = len([item for item in items if item.is_control])
        assert f"{len(items) - known} samples of the queue and {known} with known answers" in ada.page(
            "/review"
        )
    assert run(["status", str(digits), "--out", str(out)]) == 0
    words = capsys.readouterr().out
    assert f"{after.queue.total} samples; {after.queue.todo} open, {after.queue.answered} answered" in words
    assert "with known answers answered, not counted above" in words
    assert f"labelsweep review {digits.name}" in words.splitlines()[-1]


def test_what_was_decided_before_a_column_was_added_is_not_open(tmp_path: Path) -> None:
    path = write_table(
        pa.table({"content_hash": ["new", "other"], "given_label": ["cat", "cat"]}), tmp_path / "a"
    )
    assert count_unsettled(path, {("old", "cat")}, {"new": {"old"}}) == 1
