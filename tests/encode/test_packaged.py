"""The encoders of the extras: used unasked beside what the data give, never where they are switched off, slow or damaged."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.encode import packaged
from tasks.encode.encoded import read_features
from tasks.encode.packaged import PACKAGED
from tasks.encode.step import encode
from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.options import AuditOptions
from tasks.records import Source

CATS = ("cat", "kitten", "tomcat", "tabby", "feline", "pussycat")
MONEY = ("shares", "bonds", "interest rates", "the stock market", "currencies", "inflation")
VERBS = (
    "surprised us",
    "was the topic",
    "came up again",
    "made me think",
    "is all they discuss",
    "took over",
)


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch):
    monkeypatch.delenv("LABELSWEEP_ENCODER")


@pytest.fixture
def texts(tmp_path):
    rows = [
        (f"{noun} {verb}", label)
        for nouns, label in ((CATS, "pets"), (MONEY, "money"))
        for noun in nouns
        for verb in VERBS
    ]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"t": [text for text, _ in rows], "label": [label for _, label in rows]}), path)
    return ingest(Source(uri=str(path), text="t"), tmp_path / "run")


@pytest.fixture
def fake(monkeypatch):
    """Return what makes the encoder of some contents another function, without a package."""

    def install(payload, model, **changes):
        here = dataclasses.replace(PACKAGED[payload], make=lambda *_: model, **changes)
        monkeypatch.setattr(type(here), "path", Path("/nowhere/model"))
        monkeypatch.setattr(type(here), "check", lambda _: None)
        monkeypatch.setitem(PACKAGED, payload, here)

    return install


def test_the_sentence_encoder_stands_beside_the_directions_and_is_chosen(texts, tmp_path):
    found = encode(texts, tmp_path / "run", AuditOptions(device="cpu"))
    assert found.features.embedded == 384
    assert found.encoder.startswith("all-MiniLM-L6-v2")
    assert any(member.name.startswith("embedding") for member in found.members)


def test_with_none_nothing_changes(texts, tmp_path):
    found = read_features(texts, AuditOptions(encoder="none"), tmp_path)
    assert (found.embedded, found.encoder) == (0, "")


def test_without_the_extra_one_line_says_how_to_get_it(texts, tmp_path, monkeypatch):
    monkeypatch.setattr(packaged.Packaged, "path", None)
    found = read_features(texts, AuditOptions(), tmp_path)
    assert found.embedded == 0
    assert "pip install 'labelsweep[text]'" in found.encoder


def test_an_encoder_that_would_take_too_long_is_left_out_and_said(texts, tmp_path, fake):
    fake("text", lambda some: np.ones((len(some), 3), np.float32))
    found = read_features(texts, AuditOptions(encoder_minutes=0), tmp_path)
    assert found.embedded == 0
    assert "is left out: 72 texts at" in found.encoder
    assert "--encoder-minutes is 0" in found.encoder
    assert read_features(texts, AuditOptions(), tmp_path).embedded == 3
    # What is embedded already takes no time.
    assert read_features(texts, AuditOptions(encoder_minutes=0), tmp_path).embedded == 3


def test_weights_that_are_not_the_published_ones_are_refused(texts, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.setattr(packaged.Packaged, "path", tmp_path / "model")
    with pytest.raises(
        InputError, match=r"all-MiniLM-L6-v2 are not those that were published .*--encoder none"
    ):
        read_features(texts, AuditOptions(), tmp_path)


def test_networks_see_no_embedding(texts, tmp_path):
    assert read_features(texts, AuditOptions(model="mlp"), tmp_path).embedded == 0


def pictures(folder, colours):
    """Return a data set of drawn images: light ones and dark ones."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(40):
        file = io.BytesIO()
        shape = (8, 8, 3) if colours else (8, 8)
        light = np.uint8(rng.integers(0, 100, shape) + 100 * (number % 2))
        Image.fromarray(light).save(file, "PNG")
        files.append(file.getvalue())
    path = folder / "i.parquet"
    pq.write_table(pa.table({"i": files, "label": ["dark", "light"] * 20}), path)
    return ingest(Source(uri=str(path), image="i"), folder / "run")


def test_an_image_encoder_stands_beside_pixels_and_edges(tmp_path, fake):
    light = lambda files: np.float32([[np.asarray(Image.open(io.BytesIO(f))).mean(), 1] for f in files])  # noqa: E731
    fake("image", light)
    dataset = pictures(tmp_path, colours=True)
    found = encode(dataset, tmp_path / "run", AuditOptions(device="cpu"))
    assert (found.features.width, found.features.embedded) == (194, 2)
    assert any(member.name.startswith("embedding") for member in found.members)


def test_gray_images_are_no_photographs(tmp_path, fake):
    fake("image", lambda files: np.ones((len(files), 2), np.float32))
    assert read_features(pictures(tmp_path, colours=False), AuditOptions(), tmp_path).embedded == 0
