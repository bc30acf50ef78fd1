"""Which model is taken where none was named: decided once, by images and device, and kept by every step after it."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from tasks import models as choice
from tasks.apply.refit import judge_of
from tasks.attribute.audit import audit
from tasks.attribute.step import attribute
from tasks.controls.step import controls
from tasks.encode.step import encode
from tasks.fit.step import fit
from tasks.ingest import ingest
from tasks.options import AuditOptions
from tasks.queue.step import queue
from tasks.records import ModelChoice, Source

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("named", "content", "samples", "device", "taken"),
    [
        ("auto", "images", choice.CNN_IMAGES, GPU, "cnn"),
        ("auto", "images", choice.CNN_IMAGES - 1, GPU, "linear"),
        ("auto", "images", 10**6, CPU, "linear"),
        ("auto", "table", 10**6, GPU, "linear"),
        ("linear", "images", 10**6, GPU, "linear"),
        ("cnn", "images", 100, CPU, "cnn"),
    ],
)
def test_a_network_is_trained_for_many_images_on_a_gpu_or_where_it_is_named(
    named: str, content: str, samples: int, device: torch.device, taken: str
) -> None:
    image = content == "images"
    found = choice.choose_model(AuditOptions(model=named), image=image, samples=samples, device=device)
    assert found.model == taken
    assert bool(found.why) == (named == "auto" and image)


def test_every_step_keeps_to_the_model_that_the_first_one_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = load_digits(n_class=2, return_X_y=True)
    files = []
    for pixels in images[:60].reshape(-1, 8, 8):
        buffer = io.BytesIO()
        Image.fromarray(np.uint8(pixels * 15)).save(buffer, "PNG")
        files.append(buffer.getvalue())
    table = {"scan": files, "label": [str(label) for label in labels[:60]]}
    pq.write_table(pa.table(table), tmp_path / "scans.parquet")
    run = tmp_path / "run"
    dataset = ingest(Source(uri=str(tmp_path / "scans.parquet"), image="scan"), run)
    options = AuditOptions(folds=2, rounds=1, device="cpu")
    taken = ModelChoice(model="cnn", why="a test says so")
    monkeypatch.setattr("tasks.encode.step.choose_model", lambda *_, **__: taken)
    encoding = encode.fn(dataset, run, options)
    model = fit.fn(dataset, encoding, run, options)
    scores = attribute.fn(dataset, encoding, model, run, options)
    controls.fn(dataset, encoding, model, scores, run, options)
    queue.fn(dataset, encoding, model, scores, run, options)
    assert encoding.choice == taken
    assert (model.path / "network-0.safetensors").exists()
    assert [member.name for member in model.members] == ["cnn"]
    assert judge_of(run, dataset, options).model.options.model == "cnn"


def test_an_audit_of_images_in_memory_keeps_to_convex_heads_without_a_gpu() -> None:
    images, labels = load_digits(return_X_y=True)
    found = audit(images[:200].reshape(-1, 8, 8), labels[:200], AuditOptions(device="cpu", folds=2, rounds=1))
    assert found.members[0].feature_map.name != "cnn"
