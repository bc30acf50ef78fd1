"""Small images with planted errors, and what networks are trained on, shared by the tests of networks."""

from functools import lru_cache

import numpy as np
import torch
from sklearn.datasets import load_digits

from tasks.arrays import Array
from tasks.heads.features import MemoryFeatures
from tasks.heads.samples import Samples
from tasks.models import make_model
from tasks.networks.model import NetworkModel
from tasks.networks.train import TrainingTask
from tasks.options import AuditOptions


@lru_cache
def digits(n: int = 400, flips: float = 0.1) -> tuple[Array, Array, Array]:
    """Return (n, 8, 8) images, given labels and true labels."""
    images, truth = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    given = truth[:n].copy()
    wrong = generator.choice(n, round(flips * n), replace=False)
    given[wrong] = (given[wrong] + generator.integers(1, 10, size=len(wrong))) % 10
    return images[:n].reshape(n, 8, 8), given, truth[:n]


def digits_task(model: str = "mlp", n: int = 400) -> TrainingTask:
    """Return what networks train on."""
    images, given, _ = digits(n)
    features = MemoryFeatures(torch.from_numpy(images.reshape(n, -1)).float())
    options = AuditOptions(model=model, device="cpu")
    samples = Samples(features, torch.from_numpy(given), None, 10, np.arange(n), shape=(8, 8))
    network = make_model(samples, samples.design(options), options)
    assert isinstance(network, NetworkModel)
    return network.task
