"""Texts become numbers, whatever they are."""

import importlib.util
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from tasks.attribute import AuditOptions, audit
from tasks.encode.cache import embed_contents
from tasks.encode.text import fit_text
from tasks.errors import LabelsweepError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("count", [150, 300])
def test_of_a_few_hundred_texts_as_many_wrong_labels_are_found_as_by_the_simple_model(count):
    spec = importlib.util.spec_from_file_location("make_examples", ROOT / "data" / "make_examples.py")
    examples = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(examples)
    docs = examples.docstrings()
    docs = docs.assign(given=examples.with_errors(docs["true"].tolist())).sample(count, random_state=0)
    texts, wrong = docs["doc"].tolist(), (docs["given"] != docs["true"]).to_numpy()
    given = pd.factorize(docs["given"], sort=True)[0]
    simple = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    p = cross_val_predict(simple, texts, given, cv=folds, method="predict_proba")
    place = np.arange(count)
    own = p[place, given]
    p[place, given] = 0
    features = fit_text(lambda: iter([texts]))(texts)
    found = audit(features, given, AuditOptions(device="cpu"), shared=features.shape[1], texts=texts)
    # Of 300 texts some 40 are wrong: by the bootstrap the difference has a standard error of .035.
    simple_found = average_precision_score(wrong, p.max(1) - own)
    assert average_precision_score(wrong, -found.score) >= simple_found - 0.035


def test_words_of_chinese_texts_are_found_without_blanks():
    texts = [f"他们今天说{word}的{word}了" for word in ("球队", "银行", "基因", "冠军") for _ in range(20)]
    names = " ".join(fit_text(lambda: iter([texts])).names)
    assert "银 行" in names


def test_texts_of_which_no_two_share_a_word_are_encoded():
    texts = [f"{chr(0x4E00 + 7 * number)}{number}" for number in range(60)]
    encoder = fit_text(lambda: iter([texts]))
    encoded = encoder(texts)
    assert np.isfinite(encoded).all()
    assert len(np.unique(encoded.round(4), axis=0)) == len(texts)


def test_embeddings_that_were_damaged_on_disk_are_said_to_be(tmp_path):
    path = tmp_path / "m.sqlite"
    contents = [str(number).encode() for number in range(2_000)]
    embed_contents(path, contents, lambda places: np.ones((len(places), 8), np.float32))
    whole = bytearray(path.read_bytes())
    whole[4096:] = bytes(len(whole) - 4096)
    path.write_bytes(bytes(whole))
    with pytest.raises(
        LabelsweepError, match=r"m.sqlite: the embeddings kept here are damaged .*; remove the file"
    ):
        embed_contents(path, contents, lambda places: np.ones((len(places), 8), np.float32))


def test_embeddings_that_somebody_else_writes_are_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "m.sqlite"
    embed_contents(path, [b"a"], lambda places: np.ones((len(places), 8), np.float32))
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: connect(path, timeout=0))
    other = connect(path, isolation_level=None)
    other.execute("begin exclusive")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        embed_contents(path, [b"b"], lambda places: np.ones((len(places), 8), np.float32))
    other.close()
