"""Texts become numbers, whatever they are."""

import sqlite3

import numpy as np
import pytest

from tasks.encode.cache import embedded
from tasks.encode.text import fit_text
from tasks.errors import LabelsweepError


def test_texts_of_which_no_two_share_a_word_are_encoded():
    texts = [f"{chr(0x4E00 + 7 * number)}{number}" for number in range(60)]
    encoder = fit_text(lambda: iter([texts]))
    encoded = encoder(texts)
    assert np.isfinite(encoded).all()
    assert len(np.unique(encoded.round(4), axis=0)) == len(texts)


def test_embeddings_that_were_damaged_on_disk_are_said_to_be(tmp_path):
    path = tmp_path / "m.sqlite"
    contents = [str(number).encode() for number in range(2_000)]
    embedded(path, contents, lambda places: np.ones((len(places), 8), np.float32))
    whole = bytearray(path.read_bytes())
    whole[4096:] = bytes(len(whole) - 4096)
    path.write_bytes(bytes(whole))
    with pytest.raises(
        LabelsweepError, match=r"m.sqlite: the embeddings kept here are damaged .*; remove the file"
    ):
        embedded(path, contents, lambda places: np.ones((len(places), 8), np.float32))


def test_embeddings_that_somebody_else_writes_are_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "m.sqlite"
    embedded(path, [b"a"], lambda places: np.ones((len(places), 8), np.float32))
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: connect(path, timeout=0))
    other = connect(path, isolation_level=None)
    other.execute("begin exclusive")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        embedded(path, [b"b"], lambda places: np.ones((len(places), 8), np.float32))
    other.close()
