"""Preconditioners for the Hessian of all folds: its diagonal, or the Cholesky factor of a sampled Hessian.

Conjugate gradients need as many products as the spectrum of the preconditioned Hessian is wide, and a product is
a pass over all samples. The Hessian of some rows, at the folds' mean parameters, is close to that of every fold:
with m rows per feature its eigenvalues are within (1 +- m^-1/2)^2 of the whole one's, whatever the number of
samples, so that a handful of products is enough. Where most samples are certain the Hessian is that of the few which
are not, and rows are drawn by how much they add to it. (Sub-sampled Hessians: Byrd, Chin, Neveitt & Nocedal, "On the
Use of Stochastic Hessian Information in Optimization Methods for Machine Learning", 2011; Xu, Yang, Roosta-Khorasani,
Re & Mahoney, "Sub-sampled Newton Methods with Non-uniform Sampling", 2016. Here the sample only preconditions, and what
comes out is the solution for all samples.)
"""

import torch
from pydvl.influence.torch.base import TensorOperator
from pydvl.influence.torch.preconditioner import Preconditioner
from torch import Tensor

from tasks.heads.part import add_curvature
from tasks.heads.softmax import SoftmaxHessian, SoftmaxStack

# Sampled rows per encoded feature, at least and at most: conjugate gradients then gain a third of a digit with every product,
# or a whole one.
ROWS_PER_FEATURE, MOST_ROWS_PER_FEATURE = 8, 64

# The factor is cubic in the parameters of one fold: beyond this many it costs more than the products that it saves
# (kernel features: 3,010 parameters, 20,000 samples).
SAMPLED_PARAMETERS = 1_500

# The sampled Hessian may cost as much as this many products, less than it saves in one fit and the solve after it.
WORTH_PRODUCTS = 8

# More rows than the least are sampled as long as they cost this many products.
WORTH_MORE = 4

# Rows that are looked at for each one that is drawn, and the share of the draws that every row gets an equal part of.
POOL, UNIFORM_SHARE = 8, 0.1

# What is added to the diagonal, as a share of its largest entry, where rounding outweighs the regularisation.
JITTERS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)

# Parameters that moved by less than this share of their norm have about the same Hessian.
SAME_SHARE = 0.1


class GivenPreconditioner(Preconditioner):  # type: ignore[misc]
    """A preconditioner that is given, not estimated by pyDVL, divided by `scale` like the operator it is for."""

    modify_regularization_requires_fit = True
    is_fitted = True

    def _fit(self, operator: TensorOperator, regularization: float | None = None) -> None:
        raise NotImplementedError("it is given, not estimated")

    def to(self, device: torch.device) -> "GivenPreconditioner":
        """Stay where the Hessian is."""
        raise NotImplementedError(f"make the Hessian on {device}, then the preconditioner")


class DiagonalPreconditioner(GivenPreconditioner):
    """Division by the exact diagonal of the Hessian, which the closed form gives; pyDVL's own Jacobi estimates it.

    Features come in the basis of their principal components (see `tasks.heads.feature_map`), where the
    Hessian is nearly diagonal: together the two take the place of a factorisation.

    Args:
        diagonal: (width K C,) the diagonal.
        scale: What the operator is divided by.
    """

    def __init__(self, diagonal: Tensor, scale: float = 1.0) -> None:
        self.diagonal = diagonal / scale

    def _solve(self, rhs: Tensor) -> Tensor:
        return rhs / (self.diagonal if rhs.ndim == 1 else self.diagonal[:, None])  # block mode: a column each


class SampledPreconditioner(GivenPreconditioner):
    """Solves with the Cholesky factor of a sampled Hessian that all folds share.

    Args:
        factor: (width C, width C) lower factor in float64, entries in the order of theta's without folds.
        shape: (width, K, C) of theta.
        scale: What the operator is divided by.
    """

    def __init__(self, factor: Tensor, shape: tuple[int, int, int], scale: float = 1.0) -> None:
        self.factor = factor
        self.shape = shape
        self.scale = scale

    def _solve(self, rhs: Tensor) -> Tensor:
        width, folds, classes = self.shape
        stacked = rhs.double().reshape(width, folds, classes, -1).transpose(1, 2).reshape(width * classes, -1)
        solved = torch.cholesky_solve(stacked, self.factor).reshape(width, classes, folds, -1).transpose(1, 2)
        return (self.scale * solved).reshape(rhs.shape).to(rhs)


def make_preconditioner(hessian: SoftmaxHessian) -> tuple[Tensor | None, Tensor]:
    """Return the Cholesky factor of a sampled Hessian, or None where it does not pay, and the diagonal of either.

    Returns:
        The factor as `SampledPreconditioner` takes it, and the diagonal, (width K C,).
    """
    stack = hessian.stack
    width, folds, classes = stack.shape
    cost = ROWS_PER_FEATURE * width * (width * classes) ** 2 * 2
    product = 4 * stack.rows.n * width * folds * classes
    rows = int(
        ROWS_PER_FEATURE
        * min(max(WORTH_MORE * product / cost, 1), MOST_ROWS_PER_FEATURE / ROWS_PER_FEATURE)
        * width
    )
    if width * classes > SAMPLED_PARAMETERS or cost > WORTH_PRODUCTS * product:
        return None, hessian.diagonal().reshape(-1)
    factor, diagonal = _estimate_hessian(stack, hessian.theta, min(rows, stack.rows.n))
    spread = diagonal.reshape(width, 1, classes).expand(-1, folds, -1).reshape(-1)
    return factor, spread.to(stack.rows.like)


def _estimate_hessian(stack: SoftmaxStack, theta: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return factor and diagonal of the sampled Hessian at the folds' mean parameters, again only where these moved."""
    mean = theta.mean(dim=1)
    if stack.sampled is not None:
        at, factor, diagonal = stack.sampled
        if (mean - at).norm() <= SAME_SHARE * at.norm():
            return factor, diagonal
    features, p, weight = _draw_sample(stack, mean, count)
    width, classes = mean.shape
    blocks = mean.new_zeros(classes, width, classes, width)
    add_curvature(blocks, features, p, weight)
    matrix = blocks.permute(1, 0, 3, 2).reshape(width * classes, -1).double()
    matrix = (matrix + matrix.T) / 2
    matrix.diagonal().add_(stack.l2)
    diagonal = matrix.diagonal().clone()
    factor = _factor(matrix)
    stack.sampled = mean, factor, diagonal
    return factor, diagonal


def _draw_sample(stack: SoftmaxStack, theta: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (count, width), probabilities (C, count) at theta (width, C) and weights (count,) of sampled rows.

    Rows are drawn, out of a larger pool of random ones, in proportion to |h|^2 (1 - |p|^2), the trace of what they add to the
    Hessian, and weighted by its inverse: the sampled Hessian is the pool's on average, and varies least.
    """
    generator = torch.Generator().manual_seed(0)
    pool = min(POOL * count, stack.rows.n)
    index = torch.randint(stack.rows.n, (pool,), generator=generator).sort().values
    features = stack.rows.take(index)
    weight = stack.keep[index.to(stack.keep.device)].to(features)
    p = torch.softmax(features @ theta, dim=1)
    trace = weight * features.square().sum(1) * (1 - p.square().sum(1))
    chance = (trace / trace.sum().clamp_min(torch.finfo(trace.dtype).tiny)).double()
    chance = (1 - UNIFORM_SHARE) * chance + UNIFORM_SHARE / pool
    # Equal steps along the sum of the chances: a row is drawn as often as it should be, give or take one. Summed on the CPU, in
    # order: a GPU's running sums are not the same bits each time.
    running = chance.cpu().cumsum(0)
    steps = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    drawn = torch.searchsorted(running, steps * running[-1]).clamp_max(pool - 1).to(chance.device)
    share = (weight / weight.sum().clamp_min(1))[drawn] / (count * chance[drawn])
    return features[drawn], p[drawn].T.contiguous(), share.to(features)


def _factor(matrix: Tensor) -> Tensor:
    """Return the lower Cholesky factor of a matrix that is positive definite up to rounding."""
    largest = float(matrix.diagonal().max())
    for jitter in JITTERS:
        matrix.diagonal().add_(jitter * largest)
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            return factor
    return torch.diag(matrix.diagonal().clamp_min(torch.finfo(matrix.dtype).tiny).sqrt())
