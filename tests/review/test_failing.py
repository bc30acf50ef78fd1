"""A server that runs out of memory, or fails otherwise, answers, says it in one line, and goes on with nothing lost."""

import logging
import threading

import pytest
from review_server import Client, Served

from tasks.review import failing
from tasks.review.failing import Voice
from tasks.review.log import read_log


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (MemoryError(), 503, "error: out of memory"),
        (RuntimeError("can't start new thread"), 503, "error: out of memory"),
        (ImportError("lib.so: failed to map segment from shared object"), 503, "error: out of memory"),
        (SystemError("<function f> returned NULL without setting an exception"), 503, "error: out of memory"),
        (KeyError("rank"), 500, "internal error (KeyError: 'rank')"),
    ],
)
def test_a_request_that_fails_is_answered_and_said_in_one_line(
    page: Served, capsys, monkeypatch, tmp_path, error: Exception, status: int, says: str
) -> None:
    monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path / "work"))
    client, (item, *_) = Client(page.address, "Ada"), page.room.deck.items
    rows = type(page.room.desk.ledger).add

    def fails(*_: object) -> None:
        raise error

    # After the row is on the disk and before it is taken in: the worst moment.
    monkeypatch.setattr(type(page.room.desk.ledger), "add", lambda _, new: fails() if new else None)
    action = "a" * 32
    for _ in range(3):
        assert client.decide(item, "drop", action=action)[0] == status
        code, headers, _ = client.request("GET", "/api/progress")
        assert (code, headers["content-security-policy"][:18]) == (status, "default-src 'none'")
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    monkeypatch.setattr(type(page.room.desk.ledger), "add", rows)
    assert client.decide(item, "drop", action=action)[0] == 200
    assert [row.action for row in read_log(page.room.desk.log.path.parent)] == [action]
    assert client.get("/api/progress")["todo"] == len(page.room.deck.items) - 1


def test_a_request_whose_thread_never_answers_is_answered(page: Served, capsys, monkeypatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(failing, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(page.room.desk, "refresh", lambda: ended.wait(30))
    try:
        assert Client(page.address, "Ada").request("GET", "/api/progress")[0] == 503
    finally:
        ended.set()
    assert "out of memory" in capsys.readouterr().err


def test_a_transaction_that_could_not_be_rolled_back_does_not_stand_in_the_way(page: Served) -> None:
    page.room.desk.log._connection.execute("BEGIN IMMEDIATE")
    client, (item, *_) = Client(page.address, "Ada"), page.room.deck.items
    assert client.decide(item, "keep")[0] == 200


def test_threads_and_the_event_loop_write_no_traceback(capsys, monkeypatch) -> None:
    monkeypatch.setattr(failing, "_AGAIN_S", 0.0)

    def fails() -> None:
        raise MemoryError

    with Voice().everywhere():
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()
        try:
            fails()
        except MemoryError:
            logging.getLogger("asyncio").exception("Fatal read error on socket transport\nprotocol: <>")
        logging.getLogger("asyncio").warning("Invalid HTTP request\x1b received.")
    assert [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()] == [
        "labelsweep: error: out of memory",
        "labelsweep: error: out of memory",
        "labelsweep: Invalid HTTP request␛ received.",
    ]
