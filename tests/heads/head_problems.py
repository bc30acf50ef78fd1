"""Stacked problems on features taken as they are, for the tests of the fit."""

import numpy as np
import torch

from tasks.arrays import Array
from tasks.heads.design import Design, make_design
from tasks.heads.rows import MemoryRows
from tasks.heads.softmax import SoftmaxStack


def clouds(n: int, d: int, classes: int, seed: int = 0) -> tuple[Array, Array]:
    """Return features and labels of overlapping Gaussian clouds, every class as often as the others."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return generator.normal(size=(n, d)) + 1.5 * generator.normal(size=(classes, d))[labels], labels


def stacked(
    features: Array,
    labels: Array,
    l2: float = 0.01,
    *,
    design: Design | None = None,
    folds: int = 3,
    dtype: torch.dtype = torch.float64,
) -> SoftmaxStack:
    """Return one softmax regression for each fold."""
    return SoftmaxStack(
        MemoryRows(torch.from_numpy(features).to(dtype)),
        torch.from_numpy(labels),
        int(labels.max()) + 1,
        design or make_design(labels, "crossfit", folds, seed=0),
        l2,
        torch.ones(len(labels), dtype=torch.bool),
    )
