"""A killed training goes on with the first fold that was not finished, and ends with the same bytes."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from networks import digits_task

from tasks.heads.design import make_design
from tasks.heads.samples import Samples
from tasks.models.mlp import Model
from tasks.networks.train import TrainingTask
from tasks.options import AuditOptions

OPTIONS = AuditOptions(model="mlp", folds=3, device="cpu")


def trained_bytes(task: TrainingTask, folder: Path, number: int = 1) -> dict[str, str]:
    """Train three folds and return the digest of each file."""
    design = make_design(task.labels.numpy(), "crossfit", 3, seed=0)
    n = len(task.labels)
    model = Model(Samples(task.features, task.labels, None, 10, np.arange(n), shape=(8, 8)), design, OPTIONS)
    learned = model.learn_folds(torch.ones(n, dtype=torch.bool), number, folder)
    assert [one.features.width for one in learned] == [64] * 3
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_a_killed_training_goes_on_from_the_last_finished_fold(tmp_path: Path) -> None:
    task = digits_task(n=150)
    whole = trained_bytes(task, tmp_path)
    assert len(whole) == 6
    finished = tmp_path / "network-0.safetensors"
    written = finished.stat().st_mtime_ns
    for name in ("network-1.safetensors", "network-2.safetensors", "features-1.f32", "features-2.f32"):
        (tmp_path / name).unlink()
    assert trained_bytes(task, tmp_path) == whole
    assert finished.stat().st_mtime_ns == written


def test_features_that_are_gone_and_networks_that_were_damaged_are_made_again(tmp_path: Path) -> None:
    task = digits_task(n=150)
    whole = trained_bytes(task, tmp_path)
    (tmp_path / "features-1.f32").unlink()
    assert trained_bytes(task, tmp_path) == whole
    damaged = tmp_path / "network-1.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-3] ^= 1  # one bit of the last weight
    damaged.write_bytes(content)
    assert trained_bytes(task, tmp_path) == whole  # it is trained anew


def test_a_network_of_other_labels_is_not_taken_for_this_one(tmp_path: Path) -> None:
    task = digits_task(n=150)
    whole = trained_bytes(task, tmp_path)
    labels = task.labels.clone()
    labels[:20] = labels[:20].flip(0)
    other = trained_bytes(replace(task, labels=labels), tmp_path)
    assert all(other[name] != whole[name] for name in whole)
    assert trained_bytes(task, tmp_path) == whole
