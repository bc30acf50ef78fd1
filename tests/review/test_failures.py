"""A request that fails is answered, the terminal says why in one line, and the server goes on with nothing lost."""

import errno
import tempfile

import pytest
from review_server import Client, Served

from tasks.review.log import read_log


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "error: the disk is full"),
        (MemoryError(), "error: out of memory"),
        (KeyError("rank"), "internal error (KeyError: 'rank')"),
    ],
)
def test_a_request_that_fails_is_answered_and_said_in_one_line(
    page: Served, capsys, monkeypatch, tmp_path, error: Exception, says: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client, (item, *_) = Client(page.address, "Ada"), page.site.queue.items
    rows = type(page.site.review.ledger).add

    def fails(*_: object) -> None:
        raise error

    # After the row is on the disk and before it is taken in: the worst moment.
    monkeypatch.setattr(type(page.site.review.ledger), "add", lambda _, new: fails() if new else None)
    action = "a" * 32
    for _ in range(3):
        assert client.decide(item, "drop", action=action)[0] == 500
        code, headers, _ = client.request("GET", "/api/progress")
        assert (code, headers["content-security-policy"][:18]) == (500, "default-src 'none'")
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    monkeypatch.setattr(type(page.site.review.ledger), "add", rows)
    assert client.decide(item, "drop", action=action)[0] == 200
    assert [row.action for row in read_log(page.site.review.log.path.parent)] == [action]
    assert client.get("/api/progress")["todo"] == len(page.site.queue.items) - 1


def test_a_transaction_that_could_not_be_rolled_back_does_not_stand_in_the_way(page: Served) -> None:
    page.site.review.log._connection.execute("BEGIN IMMEDIATE")
    client, (item, *_) = Client(page.address, "Ada"), page.site.queue.items
    assert client.decide(item, "keep")[0] == 200
