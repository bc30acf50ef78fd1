"""The theory's own example, for the notebook on it: two Gaussians, ten flipped labels, pyDVL's influences beside ours.

Means (0, 0) and (1, 1), sigma 0.2, 10,000 samples split 70/10/20, ten of the first 100 training labels flipped, a logistic
regression trained by AdamW with cosine annealing for 50 epochs. pyDVL's own solvers give the influence of each of the first
100 training samples on each test sample; the mean over the test set is what `labelsweep` gets from one solve.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.bench.influence_peers import fit_pydvl, make_head
from tasks.heads.adamw import fit_adamw
from tasks.heads.design import HOLDOUT_TEST, HOLDOUT_TRAIN, Design
from tasks.heads.newton import fit_newton
from tasks.heads.rows import MemoryRows
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve, solve_newton_step

ROWS, SIGMA, FIRST, FLIPPED = 10_000, 0.2, 100, 10

# The damping of pyDVL's solvers and the regularisation of the fit are one number, so that all speak of the same optimum.
L2 = 1e-3


@dataclass(frozen=True)
class Example:
    """The example's data and fitted model.

    Attributes:
        stack: The regularised problem, trained on the first 70 %.
        theta: (3, 1, 2) fitted parameters.
        flipped: (100,) bool, which of the first training samples carry a flipped label.
    """

    stack: SoftmaxStack
    theta: Tensor
    flipped: Tensor
    test: Tensor
    accuracy: float


def make_example(optimizer: str = "newton", rows: int = ROWS, seed: int = 0) -> Example:
    """Draw the data, flip ten labels, fit.

    Args:
        optimizer: `newton` (converges) or `adamw` (the theory's).
    """
    generator = np.random.default_rng(seed)
    truth = generator.integers(2, size=rows)
    features = truth[:, None] + SIGMA * generator.normal(size=(rows, 2))
    labels = torch.from_numpy(truth)
    flipped = torch.zeros(FIRST, dtype=torch.bool)
    flipped[torch.from_numpy(generator.choice(FIRST, FLIPPED, replace=False))] = True
    labels[:FIRST][flipped] = 1 - labels[:FIRST][flipped]
    group = torch.ones(rows, dtype=torch.int8)
    group[: round(HOLDOUT_TRAIN * rows)] = 0
    group[rows - round(HOLDOUT_TEST * rows) :] = 2
    design, keep = Design("holdout", group, 1), torch.ones(rows, dtype=torch.bool)
    stack = SoftmaxStack(MemoryRows(torch.from_numpy(features)), labels, 2, design, L2, keep)
    fit = fit_newton(stack, solve_newton_step) if optimizer == "newton" else fit_adamw(stack, seed=seed)
    test = torch.nonzero(group == 2).squeeze(1)
    predicted = stack.logits(stack.rows.take(test), fit.theta)[:, 0].argmax(1)
    return Example(stack, fit.theta, flipped, test, float((predicted == labels[test]).double().mean()))


def our_influences(example: Example, solver: str) -> Tensor:
    """Return the mean influence of each of the first samples on the test loss, unweighted, from one solve: (100,)."""
    features, residual = _residuals(example, example.test)
    gradient = (features.T @ residual / len(example.test))[:, None]
    vector = solve(example.stack.hessian(example.theta), gradient, tolerance=1e-8, solver=solver).vector
    features, residual = _residuals(example, torch.arange(FIRST))
    return ((features @ vector[:, 0]) * residual).sum(1)


def _residuals(example: Example, samples: Tensor) -> tuple[Tensor, Tensor]:
    stack, features = example.stack, example.stack.rows.take(samples)
    one_hot = torch.nn.functional.one_hot(stack.labels[samples], 2)
    return features, torch.softmax(stack.logits(features, example.theta)[:, 0], dim=1) - one_hot


def pydvl_influences(example: Example) -> Tensor:
    """Return pyDVL's influences of the first samples, averaged over the test set: (100,)."""
    stack = example.stack

    def samples(index: Tensor) -> tuple[Tensor, Tensor]:
        return stack.rows.take(index), stack.labels[index]

    train = torch.nonzero(stack.design.group == 0).squeeze(1)
    fitted = fit_pydvl(make_head(example.theta[:, 0].T), *samples(train), L2)
    matrix: Tensor = fitted.influences(*samples(example.test), *samples(torch.arange(FIRST)))
    return matrix.mean(0)
