"""The theory's own example: two Gaussians, ten flipped labels, pyDVL's influences beside ours.

Means (0, 0) and (1, 1), sigma 0.2, 10,000 samples split 70/10/20, ten of the first 100 training labels flipped, a logistic
regression trained by AdamW with cosine annealing for 50 epochs. pyDVL's own solvers give the influence of each of the first
100 training samples on each test sample; the mean over the test set is what `labelsweep` gets from one solve.
"""

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from tasks.bench.tables import markdown
from tasks.heads.adamw import fit_adamw
from tasks.heads.design import HOLDOUT_TEST, HOLDOUT_TRAIN, Design
from tasks.heads.newton import fit_newton
from tasks.heads.rows import MemoryRows
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import newton_step, solve

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
        test: Indices of the test set.
        accuracy: On the test set.
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
        rows: Number of samples.
        seed: Of the draw.
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
    keep = torch.ones(rows, dtype=torch.bool)
    stack = SoftmaxStack(
        MemoryRows(torch.from_numpy(features)), labels, 2, Design("holdout", group, 1), L2, keep
    )
    fit = fit_newton(stack, newton_step) if optimizer == "newton" else fit_adamw(stack, seed=seed)
    test = torch.nonzero(group == 2).squeeze(1)
    predicted = stack.logits(stack.rows.take(test), fit.theta)[:, 0].argmax(1)
    return Example(stack, fit.theta, flipped, test, float((predicted == labels[test]).double().mean()))


def our_influences(example: Example, solver: str) -> Tensor:
    """Return the mean influence of each of the first samples on the test loss, unweighted, from one solve: (100,)."""
    stack, theta = example.stack, example.theta
    gradient = _mean_gradient(stack, theta, example.test)
    vector = solve(stack.hessian(theta), gradient, tolerance=1e-8, solver=solver).vector
    features, residual = _residuals(stack, theta, torch.arange(FIRST))
    return ((features @ vector[:, 0]) * residual).sum(1)


def _residuals(stack: SoftmaxStack, theta: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    features = stack.rows.take(samples)
    one_hot = torch.nn.functional.one_hot(stack.labels[samples], 2)
    return features, torch.softmax(stack.logits(features, theta)[:, 0], dim=1) - one_hot


def _mean_gradient(stack: SoftmaxStack, theta: Tensor, samples: Tensor) -> Tensor:
    features, residual = _residuals(stack, theta, samples)
    return (features.T @ residual / len(samples))[:, None]


def pydvl_influences(example: Example, solver: str) -> Tensor:
    """Return pyDVL's influences of the first samples, averaged over the test set: (100,)."""
    direct, conjugate = _pydvl()
    stack, theta = example.stack, example.theta
    model = torch.nn.Linear(3, 2, bias=False).double()
    model.weight.data = theta[:, 0].T.contiguous()
    model.eval()
    train = torch.nonzero(stack.design.group == 0).squeeze(1)
    loss = torch.nn.functional.cross_entropy
    # Block mode: without it pyDVL 0.10 returns zeros for every right-hand side beyond the number of parameters.
    influence = (
        direct(model, loss, regularization=L2)
        if solver == "direct"
        else conjugate(
            model, loss, regularization=L2, rtol=1e-4, solve_simultaneously=True, warn_on_max_iteration=False
        )
    )
    first = torch.arange(FIRST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = TensorDataset(stack.rows.take(train), stack.labels[train])
        fitted = influence.fit(DataLoader(data, batch_size=len(train)))
        matrix: Tensor = fitted.influences(
            stack.rows.take(example.test),
            stack.labels[example.test],
            stack.rows.take(first),
            stack.labels[first],
        )
    return matrix.mean(0)


def _pydvl() -> tuple[Any, Any]:
    """Import pyDVL's solvers without the notices of its dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pydvl.influence.torch import CgInfluence, DirectInfluence  # noqa: PLC0415 (imports dask)
    return DirectInfluence, CgInfluence


METHODS: dict[str, Callable[[Example], Tensor]] = {
    "pyDVL direct, mean of the matrix": lambda e: pydvl_influences(e, "direct"),
    "pyDVL CG (block), mean of the matrix": lambda e: pydvl_influences(e, "cg"),
    "labelsweep direct, one solve": lambda e: our_influences(e, "direct"),
    "labelsweep CG, one solve": lambda e: our_influences(e, "cg"),
}


def table_of(example: Example) -> str:
    """Return the methods side by side on one example, as a markdown table.

    The average precision is that of finding the ten flipped labels among the first 100 by lowest influence.
    """
    heads = ("flipped, mean", "correct, mean", "AP", "largest difference to pyDVL direct", "seconds")
    rows: list[list[str]] = []
    reference: Tensor | None = None
    for name, method in METHODS.items():
        method(example)  # what is loaded or compiled on first use is not what is compared
        started = time.perf_counter()
        values = method(example)
        seconds = time.perf_counter() - started
        reference = values if reference is None else reference
        difference = float((values - reference).abs().max() / reference.abs().max())
        flipped, correct = float(values[example.flipped].mean()), float(values[~example.flipped].mean())
        precision = average_precision_score(example.flipped.numpy(), -values.numpy())
        figures = [
            f"{flipped:+.3f}",
            f"{correct:+.4f}",
            f"{precision:.3f}",
            f"{difference:.1e}",
            f"{seconds:.3f}",
        ]
        rows.append([name, *figures])
    return markdown(["influence of the first 100 training samples", *heads], rows)


def run_theory(seed: int) -> None:
    """Print the example as a table, once for each optimiser."""
    for optimizer in ("newton", "adamw"):
        started = time.perf_counter()
        example = make_example(optimizer, seed=seed)
        seconds = time.perf_counter() - started
        sys.stdout.write(
            f"## Fitted by {optimizer}: test accuracy {example.accuracy:.4f}, fit {seconds:.2f} s\n\n"
            f"{table_of(example)}\n"
        )
