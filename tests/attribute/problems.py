"""Small problems with known answers, shared by the tests of the engine."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.heads.design import Design, make_design
from tasks.heads.ensemble import Ensemble, Head, Problem
from tasks.heads.feature_map import FeatureMap
from tasks.heads.features import MemoryFeatures
from tasks.heads.members import Member
from tasks.heads.newton import Fit, fit_newton
from tasks.heads.rows import MemoryRows
from tasks.heads.samples import Samples
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve_newton_step


def blobs(
    n: int = 120, d: int = 3, classes: int = 3, flips: float = 0.1, seed: int = 0
) -> tuple[Array, Array, Array]:
    """Return features, given labels and true labels of overlapping Gaussian blobs."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(classes, size=n)
    features = generator.normal(size=(n, d)) + 1.5 * generator.normal(size=(classes, d))[truth]
    given = truth.copy()
    wrong = generator.choice(n, round(flips * n), replace=False)
    given[wrong] = (truth[wrong] + generator.integers(1, classes, size=len(wrong))) % classes
    return features, given, truth


def stack_of(
    features: Array,
    labels: Array,
    design: Design,
    l2: float = 0.01,
    *,
    dtype: torch.dtype = torch.float64,
    block_rows: int = 1_000,
) -> SoftmaxStack:
    """Return the stacked problem on features taken as they are."""
    rows = MemoryRows(torch.from_numpy(features).to(dtype), block_rows)
    keep = torch.ones(len(labels), dtype=torch.bool)
    return SoftmaxStack(rows, torch.from_numpy(labels), int(labels.max()) + 1, design, l2, keep)


def fitted(stack: SoftmaxStack, tolerance: float = 1e-10) -> Tensor:
    """Return parameters far closer to the optimum than any test's tolerance."""
    return fit_newton(stack, solve_newton_step, tolerance=tolerance).theta


def ensemble_of(stack: SoftmaxStack, theta: Tensor) -> Ensemble:
    """Return the ensemble of one head on features taken as they are."""
    width = stack.rows.width - 1
    plain = FeatureMap("raw", torch.zeros(width), torch.ones(width)).to(theta)
    features = MemoryFeatures(torch.cat([block for _, block in stack.rows.blocks()])[:, :-1])
    problem = Problem(stack, Member(plain, stack.l2, 0.0, theta), features, plain)
    fit = Fit(theta, theta.new_zeros(stack.design.folds), 0, converged=True, curve=[])
    samples = Samples(features, stack.labels, None, stack.n_classes, np.arange(stack.rows.n))
    return Ensemble(samples, stack.design, [Head([problem], fit)])


def dense_hessian(stack: SoftmaxStack, theta: Tensor, fold: int) -> Tensor:
    """Return the float64 Hessian of one fold by automatic differentiation, an independent reference."""
    features = torch.cat([block for _, block in stack.rows.blocks()]).double()
    weights = stack.weights(slice(0, stack.rows.n))[:, fold].double()

    def loss(flat: Tensor) -> Tensor:
        logits = features @ flat.reshape(theta.shape[0], theta.shape[2])
        entropy = torch.nn.functional.cross_entropy(logits, stack.labels, reduction="none")
        return (weights * entropy).sum() + 0.5 * stack.l2 * flat.square().sum()

    return torch.autograd.functional.hessian(loss, theta[:, fold].double().reshape(-1))


def crossfit(labels: Array, folds: int = 3) -> Design:
    """Return the default design."""
    return make_design(labels, "crossfit", folds, seed=0)


def assert_same_in_scale(ours: Tensor, reference: Tensor) -> None:
    """Assert that a solution is the reference, in its values and in its scale, whatever the shapes."""
    ours, reference = ours.reshape(-1), reference.reshape(-1)
    assert float(ours @ reference / (reference @ reference)) == pytest.approx(1.0, abs=1e-6)
    assert torch.allclose(ours, reference, rtol=1e-5, atol=1e-8)
