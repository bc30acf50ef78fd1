"""Where the page finds what it shows of a sample."""

import threading
from pathlib import Path

import pytest

from tasks.review.page import payload


def test_a_sample_is_there_as_soon_as_it_is_read_and_not_when_all_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released, in_time = threading.Event(), []

    def batches(*_):
        yield [{"sample_id": "a", "image": b"first"}]
        in_time.append(released.wait(60))
        yield [{"sample_id": "b", "image": b"last"}]

    monkeypatch.setattr(payload, "_read_batches", batches)
    monkeypatch.setattr(payload, "_PATIENCE_S", 600)
    store = payload.PayloadStore()
    store.fill_later(Path("dataset.parquet"), ["image"], ["a", "b"])
    assert store.get("a") == b"first"
    released.set()
    assert store.get("b") == b"last"
    assert store.get("of no sample") is None
    assert in_time == [True]
