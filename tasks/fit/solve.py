"""Inverse-Hessian-vector products: our closed-form Hessian, handed to pyDVL's solvers.

The K folds' Hessians stand as blocks on the diagonal of one operator, so that one solve serves all folds.
Every result is returned with the residual that was measured, |Hv - g| / |g|, because a solver's own word for
convergence is not evidence.
"""

import math
from dataclasses import dataclass

import torch
from pydvl.influence.torch.base import TensorOperator
from pydvl.influence.torch.operator import CgOperator, DirectSolveOperator
from pydvl.influence.torch.preconditioner import Preconditioner
from torch import Tensor

from tasks.fit.precondition import DiagonalPreconditioner, SampledPreconditioner, make_preconditioner
from tasks.fit.softmax import SoftmaxHessian

# Beyond this many parameters a dense factorisation (cubic) costs more than conjugate gradients on the closed
# form: 0.3 s for 2,000 on two cores, and 32 MB for the matrix.
DIRECT_PARAMETERS = 2_000
# And making the matrix takes this many multiply-adds at most, a tenth of a second: for 100,000 samples it took several seconds.
DIRECT_WORK = 4e9

# A Newton step that needs more products than this is not worth finishing: the next step starts from a better
# point.
NEWTON_CG_ITERATIONS = 200

# Directional derivatives that a product with several vectors holds at a time: 256 MB of float32.
PRODUCT_VALUES = 2**26


class StackedHessian(TensorOperator):  # type: ignore[misc]
    """The Hessian of all folds, divided by `scale`, as a pyDVL operator on flat vectors of width x K x C entries."""

    def __init__(self, hessian: SoftmaxHessian, scale: float = 1.0) -> None:
        self.hessian = hessian
        self.scale = scale

    @property
    def input_size(self) -> int:
        """Number of parameters of all folds together."""
        return self.hessian.theta.numel()

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.hessian.theta.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating point type of the parameters."""
        return self.hessian.theta.dtype

    def to(self, device: torch.device) -> "StackedHessian":
        """Stay where the data is; moving an operator means making it anew."""
        if torch.device(device) != self.device:
            raise NotImplementedError("make the rows on the other device, then the operator")
        return self

    def _apply_to_vec(self, vec: Tensor) -> Tensor:
        return self._apply_to_mat(vec[None])[0]

    def _apply_to_mat(self, mat: Tensor) -> Tensor:
        vectors = mat.reshape(len(mat), *self.hessian.theta.shape)
        _, folds, classes = self.hessian.theta.shape
        some = max(1, PRODUCT_VALUES // (self.hessian.stack.rows.block_rows * folds * classes))
        product = torch.cat([self.hessian.product(part) for part in torch.split(vectors, some)])
        return product.reshape(len(mat), -1) / self.scale


class RelativeCgOperator(CgOperator):  # type: ignore[misc]
    """pyDVL's conjugate gradients from zero, stopping at |r| <= rtol |g| for every right-hand side.

    pyDVL 0.10 compares the residual with rtol^2 times single entries of g, and loses the right-hand sides beyond the number
    of parameters. It also starts at x = g, which for a steep Hessian is so far off that an inexact Newton step can point
    uphill; conjugate gradients from zero always point downhill. (H / scale) y = g with y = scale x starts at
    x = g / scale, next to zero for a large scale. The iteration itself is right and is used as it is.
    """

    def __init__(self, hessian: SoftmaxHessian, rtol: float, maxiter: int) -> None:
        factor, diagonal = make_preconditioner(hessian)
        self.scale = float(diagonal.max()) / torch.finfo(diagonal.dtype).eps
        super().__init__(
            StackedHessian(hessian, self.scale),
            rtol=rtol,
            maxiter=maxiter,
            preconditioner=_preconditioner(hessian, factor, diagonal, self.scale),
            warn_on_max_iteration=False,
        )

    def _apply_to_mat(self, mat: Tensor) -> Tensor:
        solved = torch.stack([self._solve_pcg(row, self.rtol * row.norm()) for row in mat])
        return solved / self.scale


def _preconditioner(
    hessian: SoftmaxHessian, factor: Tensor | None, diagonal: Tensor, scale: float
) -> Preconditioner:
    if factor is None:
        return DiagonalPreconditioner(diagonal, scale)
    return SampledPreconditioner(factor, hessian.stack.shape, scale)


@dataclass(frozen=True)
class Solution:
    """An inverse-Hessian-vector product with its evidence.

    Attributes:
        vector: Shape of the right-hand side.
        residual: (K,) |Hv - g| / |g| of each fold.
        converged: Whether every residual is within the tolerance asked for.
    """

    vector: Tensor
    residual: Tensor
    converged: bool


def solve(
    hessian: SoftmaxHessian,
    rhs: Tensor,
    *,
    tolerance: float,
    solver: str = "auto",
    max_iterations: int = 1_000,
) -> Solution:
    """Solve H v = g for all folds at once.

    Args:
        hessian: The Hessian at the fitted parameters.
        rhs: (width, K, C) right-hand side g.
        tolerance: Residual |Hv - g| / |g| that is wanted.
        solver: `cg`, `direct` (dense, for few parameters), or `auto`.
        max_iterations: Bound on the conjugate-gradient iterations.

    Returns:
        The solution with its measured residual.
    """
    if solver == "auto":
        width, folds, classes = rhs.shape
        work = hessian.stack.rows.n * folds * (width * classes) ** 2
        solver = "direct" if rhs.numel() <= DIRECT_PARAMETERS and work <= DIRECT_WORK else "cg"
    dense = solver == "direct"
    vector = _solve_dense(hessian, rhs) if dense else _solve_cg(hessian, rhs, tolerance, max_iterations)
    difference = hessian.product(vector[None])[0] - rhs
    norm = rhs.square().sum(dim=(0, 2)).sqrt()
    residual = difference.square().sum(dim=(0, 2)).sqrt() / norm.clamp_min(torch.finfo(rhs.dtype).tiny)
    # Ten times: the tolerance holds for all folds together, a single one may be above its share.
    return Solution(vector, residual, bool((residual <= 10 * tolerance).all()))


def _solve_cg(hessian: SoftmaxHessian, rhs: Tensor, tolerance: float, max_iterations: int) -> Tensor:
    """Solve with pyDVL's preconditioned conjugate gradients."""
    if not rhs.any():  # nothing to evaluate on is nothing to solve; the iteration would divide zero by zero
        return torch.zeros_like(rhs)
    solution: Tensor = RelativeCgOperator(hessian, tolerance, max_iterations).apply(rhs.reshape(1, -1))
    return solution.reshape(rhs.shape)


def _solve_dense(hessian: SoftmaxHessian, rhs: Tensor) -> Tensor:
    """Solve fold by fold with pyDVL's direct operator on the dense Hessian."""
    width, folds, classes = rhs.shape
    dense = hessian.dense()
    solved = [
        DirectSolveOperator(dense[k]).apply(rhs[:, k].reshape(1, -1)).reshape(width, classes)
        for k in range(folds)
    ]
    return torch.stack(solved, dim=1)


def newton_step(hessian: SoftmaxHessian, rhs: Tensor, tolerance: float) -> Tensor:
    """Return an inexact Newton step: H s = rhs to a relative residual of `tolerance`, by conjugate gradients.

    Args:
        hessian: The Hessian at the current parameters.
        rhs: (width, K, C) the negative gradient.
        tolerance: Residual that is wanted.
    """
    # Not by `solve`: measuring the residual is one more product, and the line search sees whether the step is good.
    return _solve_cg(hessian, rhs, tolerance, NEWTON_CG_ITERATIONS)


def solve_many(
    hessian: SoftmaxHessian, rhs: Tensor, *, tolerance: float, max_iterations: int = 200
) -> Tensor:
    """Solve H V = G for several right-hand sides by pyDVL's block conjugate gradients.

    Args:
        hessian: The Hessian at the fitted parameters.
        rhs: (r, width, K, C) right-hand sides.
        tolerance: Relative residual that is wanted for each.
        max_iterations: Bound on the block iterations.
    """
    factor, diagonal = make_preconditioner(hessian)
    solver = CgOperator(
        StackedHessian(hessian),
        rtol=math.sqrt(tolerance),  # pyDVL stops at |r| <= rtol^2 |g|
        atol=0.0,
        maxiter=max_iterations,
        preconditioner=_preconditioner(hessian, factor, diagonal, 1.0),
        use_block_cg=True,
        warn_on_max_iteration=False,
    )
    solution: Tensor = solver.apply(rhs.reshape(len(rhs), -1))
    return solution.reshape(rhs.shape)
