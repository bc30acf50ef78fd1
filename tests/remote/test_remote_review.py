"""Review and apply with the results on an object store: from any machine, nothing lost when the connection drops."""

import csv
import io
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "review"))

from review_server import Client, Process
from run_folder import wine_run

from flows.cli import run as labelsweep
from flows.commands.config_file import build_parameters
from flows.results import Results
from tasks.addresses import work_folder
from tasks.review.log import Decision, DecisionLog, log_path, read_log
from tasks.review.queue import load_queue
from tasks.runs import remote
from tasks.storage import finish_run

OUT = "s3://labels/team"


@pytest.fixture(scope="module")
def wine(tmp_path_factory) -> Path:
    folder = wine_run(tmp_path_factory.mktemp("swept"))
    finish_run(folder)
    return folder


@pytest.fixture
def published(s3, wine) -> Path:
    (wine / remote.PUBLISHED).unlink(missing_ok=True)
    remote.publish_run(wine, OUT)
    return wine


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Callable[[str], Path]:
    """Return a function that goes to a machine: it has a working folder of its own."""

    def go(name: str) -> Path:
        monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path / name))
        return work_folder(OUT)

    return go


def decided(run: Path, reviewer: str, sample: int = 0) -> Decision:
    item = load_queue(run).items[sample]
    return Decision(
        sample_id=item.sample_id,
        content_hash=item.key.content_hash,
        given_label=item.given,
        suggested_label=item.suggested,
        decision="relabel",
        new_label=item.suggested,
        reviewer=reviewer,
        run=run.name,
    )


def edited(run: Path, file: Path) -> Path:
    """Take every suggestion in a spreadsheet."""
    rows = pq.read_table(run / "queue.parquet", columns=["sample_id", "suggested_label"]).to_pylist()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["sample_id", "decision", "new_label"])
    writer.writerows((row["sample_id"], "", row["suggested_label"]) for row in rows)
    file.write_text(text.getvalue())
    return file


def test_decisions_of_one_machine_are_applied_on_another_and_the_version_is_on_the_store(
    published, machine, objects, tmp_path, capsys
):
    machine("laptop")
    sheet = edited(published, tmp_path / "edited.csv")
    assert labelsweep(["import", str(sheet), "--out", OUT]) == 0
    assert "newest run: wine-run" in capsys.readouterr().err
    assert [name for name in objects() if name.startswith("team/decisions/")]
    elsewhere = machine("server")
    assert labelsweep(["apply", "--yes", "--no-gain", "--out", OUT]) == 0
    assert f"published: {OUT}/datasets/wine/v0001\n" in capsys.readouterr().out
    there = objects()
    for version in ("v0000", "v0001"):
        for name in ("dataset.parquet", "changes.parquet", "version.json"):
            kept = elsewhere / "datasets" / "wine" / version / name
            assert there[f"team/datasets/wine/{version}/{name}"] == kept.read_bytes()
    machine("laptop")
    assert labelsweep(["apply", "--yes", "--no-gain", "--out", OUT]) == 0
    assert "already holds these decisions" in capsys.readouterr().out
    assert labelsweep(["diff", "0", "1", "--out", OUT]) == 0
    changed = pq.read_table(io.BytesIO(there["team/datasets/wine/v0001/changes.parquet"])).num_rows
    assert len(capsys.readouterr().out.splitlines()) == changed > 0
    version = build_parameters({"source": f"{OUT}/datasets/wine/latest"}, str)
    assert (version.source, version.name) == (f"{OUT}/datasets/wine/v0001/dataset.parquet", "wine")
    assert (version.label, version.id) == ("label", "sample_id")


def test_logs_of_two_machines_become_one_and_what_was_taken_back_stays_so(published, machine):
    first, second = machine("one"), machine("two")
    one, two = DecisionLog(log_path(first)), DecisionLog(log_path(second))
    one.append([decided(published, "Ada")], action="ada")
    one.undo("Ada", published.name, action="ada-back")
    two.append([decided(published, "Bo", 1)], action="bo")
    for _ in range(2):
        for name in ("one", "two"):
            machine(name)
            results = Results(OUT)
            results.fetch_decisions()
            results.publish_decisions()
    rows = [[(row.action, row.reviewer, row.decision) for row in read_log(out)] for out in (first, second)]
    assert sorted(rows[0]) == sorted(rows[1])
    assert len(rows[0]) == 3
    (taken_back,) = [row for row in read_log(second) if row.decision == "undo"]
    assert next(row.action for row in read_log(second) if row.seq == taken_back.undoes) == "ada"


def test_connection_that_drops_while_a_run_is_fetched_leaves_no_run_and_the_same_again_fetches_it(
    published, machine, s3, monkeypatch, capsys
):
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    out = machine("laptop")
    s3.allowed = 40_000
    assert labelsweep(["export", "--to", "label-studio", "--out", OUT, "-o", str(out / "ls")]) == 2
    assert "the same command then fetches what is missing" in capsys.readouterr().err
    assert s3.cuts > 0
    assert not list(out.glob("runs/*"))
    s3.allowed = None
    assert labelsweep(["export", "--to", "label-studio", "--out", OUT, "-o", str(out / "ls")]) == 0
    run = out / "runs" / published.name
    assert (run / "scores.parquet").read_bytes() == (published / "scores.parquet").read_bytes()


def test_decision_that_cannot_be_published_is_kept_and_goes_with_the_next_command(
    published, machine, s3, monkeypatch, objects, tmp_path, capsys
):
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    out = machine("laptop")
    Results(OUT).run()
    sheet = edited(published, tmp_path / "edited.csv")
    s3.allowed = 2_000
    assert labelsweep(["import", str(sheet), "--run", published.name, "--out", OUT]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert s3.cuts > 0
    kept = len(read_log(out))
    assert kept > 0
    s3.allowed = None
    assert labelsweep(["apply", "--yes", "--no-gain", "--out", OUT]) == 0
    (name,) = [name for name in objects() if name.startswith("team/decisions/")]
    assert pq.read_table(io.BytesIO(objects()[name])).num_rows == kept


def test_review_page_serves_a_run_from_the_store_and_publishes_what_was_decided(published, machine, objects):
    out = machine("laptop")
    page = Process(OUT, "--reviewer", "Ada", "--controls", "0")
    try:
        client = Client(page.address, "Ada")
        item = load_queue(published).items[0]
        assert client.decide(item, "keep")[0] == 200
    finally:
        page.process.send_signal(signal.SIGINT)
        page.process.wait(timeout=30)
    assert [row.decision for row in read_log(out)] == ["keep"]
    (name,) = [name for name in objects() if name.startswith("team/decisions/")]
    assert pq.read_table(io.BytesIO(objects()[name])).column("decision").to_pylist() == ["keep"]


def test_run_that_is_not_on_the_store_is_one_line(published, machine, capsys):
    machine("laptop")
    assert labelsweep(["review", "no-such-run", "--out", OUT]) == 2
    assert "no run 'no-such-run'" in capsys.readouterr().err
    assert labelsweep(["apply", "--out", "s3://labels/empty"]) == 2
    assert "labelsweep clean SOURCE --out s3://labels/empty" in capsys.readouterr().err
