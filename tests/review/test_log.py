import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.review.exchange.export import export_decisions
from tasks.review.ledger import Key, Ledger
from tasks.review.log import Decision, DecisionLog, log_path, read_log

CAT = Decision(sample_id="a", content_hash="h", given_label="cat", decision="keep", reviewer="Ada", run="r")


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return DecisionLog(log_path(tmp_path))


@pytest.mark.parametrize("statement", ["UPDATE decisions SET decision = 'drop'", "DELETE FROM decisions"])
def test_no_row_is_ever_changed_or_deleted(log: DecisionLog, statement: str) -> None:
    log.append([CAT])
    other = sqlite3.connect(log.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)
    assert [row.decision for row in log.list_since()] == ["keep"]


def test_every_commit_is_synchronised_to_disk(log: DecisionLog) -> None:
    assert log._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert log._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_an_action_that_is_sent_again_is_written_once(log: DecisionLog) -> None:
    drafts = [CAT, replace(CAT, sample_id="b", content_hash="i")]
    first = log.append(drafts, action="12345678")
    assert log.append(drafts, action="12345678") == first == log.list_since()


def test_undo_is_a_row_and_takes_back_one_whole_action(log: DecisionLog) -> None:
    log.append([CAT], action="one")
    log.append([replace(CAT, decision="drop"), replace(CAT, sample_id="b", content_hash="i")], action="many")
    undone = log.undo("Ada", "r")
    assert [(row.decision, row.undoes) for row in undone] == [("undo", 2), ("undo", 3)]
    assert [row.seq for row in log.list_since()] == [1, 2, 3, 4, 5]
    assert Ledger(log.list_since()).find_standing(Key("h", "cat"))["Ada"].seq == 1


def test_undo_goes_back_step_by_step_and_then_says_nothing_is_left(log: DecisionLog) -> None:
    log.append([CAT], action="one")
    log.append([replace(CAT, decision="unsure")], action="two")
    assert [log.undo("Ada", "r")[0].undoes, log.undo("Ada", "r")[0].undoes, log.undo("Ada", "r")] == [
        2,
        1,
        [],
    ]


def test_undo_leaves_other_reviewers_runs_and_imports_alone(log: DecisionLog) -> None:
    log.append([replace(CAT, reviewer="Bo"), replace(CAT, sample_id="b", reviewer="Bo", run="older")])
    log.append([replace(CAT, sample_id="c", origin="csv")])
    assert log.undo("Ada", "r") == []


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"decision": "maybe"}, "unknown decision 'maybe'; use one of: keep"),
        ({"decision": "relabel"}, "without a new label"),
        ({"reviewer": "  "}, "needs a name"),
        ({"comment": "x" * 5000}, "5000 characters"),
        ({"role": "boss"}, "no valid decision .*role"),
    ],
)
def test_a_row_that_is_no_decision_is_refused_with_all_others(
    log: DecisionLog, broken: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        log.append([replace(CAT, sample_id="b"), replace(CAT, **broken)])
    assert log.list_since() == []


def test_relabel_to_the_given_label_is_a_keep(log: DecisionLog) -> None:
    row = log.append([replace(CAT, decision="relabel", new_label="cat")])[0]
    assert (row.decision, row.new_label) == ("keep", None)


def test_two_processes_that_write_at_once_lose_nothing(log: DecisionLog) -> None:
    code = (
        "import sys; from pathlib import Path; from tasks.review.log import *\n"
        "log = DecisionLog(Path(sys.argv[1]))\n"
        "for i in range(60): log.append([Decision(sample_id=f's{i}', content_hash='h', given_label='cat', "
        "decision='keep', reviewer=sys.argv[2])])"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(log.path), name]) for name in ("Ada", "Bo", "Cy")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    rows = log.list_since()
    assert [row.seq for row in rows] == list(range(1, 181))
    assert {(row.reviewer, row.sample_id) for row in rows} == {
        (n, f"s{i}") for n in ("Ada", "Bo", "Cy") for i in range(60)
    }


def test_a_file_that_is_no_log_is_one_clear_line(tmp_path: Path) -> None:
    log_path(tmp_path).write_text("not a database, but long enough to look like one: " * 20)
    with pytest.raises(InputError, match=r"decisions\.sqlite: cannot be used as the decision log"):
        read_log(tmp_path)


@pytest.mark.parametrize("page", [0, 1, 2, -1])
def test_a_damaged_page_is_one_clear_line_before_anything_is_written(log: DecisionLog, page: int) -> None:
    log.append([replace(CAT, sample_id=f"{i:03d}", comment="why " * 50) for i in range(100)])
    log.close()
    content = bytearray(log.path.read_bytes())
    start = page % (len(content) // 4096) * 4096
    content[start : start + 4096] = bytes([170]) * 4096
    log.path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"decisions\.sqlite: cannot be used as the decision log: it is damaged.*backup"
    ):
        DecisionLog(log.path)


def test_a_full_disk_is_one_clear_line_and_the_log_goes_on_afterwards(log: DecisionLog) -> None:
    log.append([CAT])
    pages = log._connection.execute("PRAGMA page_count").fetchone()[0]
    log._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite says the same as on a full disk
    many = [replace(CAT, sample_id=f"{i:03d}", comment="why " * 50) for i in range(200)]
    with pytest.raises(InputError, match=r"nothing was written.*full.*free some space"):
        log.append(many)
    log._connection.execute("PRAGMA max_page_count = 1000000")
    assert len(log.append(many)) == 200
    assert len(log.list_since(0)) == 201


def test_a_log_of_a_newer_version_is_refused(log: DecisionLog) -> None:
    log._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="newer labelsweep"):
        DecisionLog(log.path)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_the_export_holds_every_row_and_says_which_stand(
    log: DecisionLog, tmp_path: Path, ending: str
) -> None:
    log.append([CAT], action="one")
    log.append([replace(CAT, decision="relabel", new_label="=1+1", comment='a "quoted", line')])
    log.undo("Ada", "r")
    file = tmp_path / f"decisions.{ending}"
    assert export_decisions(tmp_path, file).rows == 3
    frame = pq.read_table(file).to_pandas() if ending == "parquet" else pd.read_csv(file)
    assert list(frame["decision"]) == ["keep", "relabel", "undo"]
    assert list(frame["standing"]) == [True, False, False]
    assert frame["comment"][1] == 'a "quoted", line'
    assert frame["new_label"][1] == ("=1+1" if ending == "parquet" else "'=1+1")
