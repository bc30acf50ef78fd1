"""Inverse-Hessian-vector products: our closed-form Hessian, handed to pyDVL's solvers.

Every result is returned with the residual that was measured, |Hv - g| / |g|, because a solver's own word for
convergence is not evidence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.heads.operator import block_cg
from tasks.heads.softmax import SoftmaxHessian
from tasks.heads.solvers import cg, find_solver

# Beyond this many parameters a dense factorisation (cubic) costs more than conjugate gradients on the closed
# form: 0.3 s for 2,000 on two cores, and 32 MB for the matrix.
DIRECT_PARAMETERS = 2_000
# And making the matrix takes this many multiply-adds at most, a tenth of a second: for 100,000 samples it took several seconds.
DIRECT_WORK = 4e9

# A Newton step that needs more products than this is not worth finishing: the next step starts from a better
# point.
NEWTON_CG_ITERATIONS = 200


@dataclass(frozen=True)
class Solution:
    """An inverse-Hessian-vector product with its evidence.

    Attributes:
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
        rhs: (width, K, C) right-hand side g.
        tolerance: Residual |Hv - g| / |g| that is wanted.
        solver: Name of a file in `tasks/heads/solvers`, or `auto`: `direct` for few parameters, else `cg`.
        max_iterations: Bound on the iterations of a solver that has any.

    Returns:
        The solution with its measured residual.
    """
    if solver == "auto":
        width, folds, classes = rhs.shape
        work = hessian.stack.rows.n * folds * (width * classes) ** 2
        solver = "direct" if rhs.numel() <= DIRECT_PARAMETERS and work <= DIRECT_WORK else "cg"
    vector = find_solver(solver)(hessian, rhs, tolerance, max_iterations)
    difference = hessian.product(vector[None])[0] - rhs
    norm = rhs.square().sum(dim=(0, 2)).sqrt()
    residual = difference.square().sum(dim=(0, 2)).sqrt() / norm.clamp_min(torch.finfo(rhs.dtype).tiny)
    # Ten times: the tolerance holds for all folds together, a single one may be above its share.
    return Solution(vector, residual, bool((residual <= 10 * tolerance).all()))


def solve_newton_step(hessian: SoftmaxHessian, rhs: Tensor, tolerance: float) -> Tensor:
    """Return an inexact Newton step: H s = rhs to a relative residual of `tolerance`, by conjugate gradients.

    Args:
        rhs: (width, K, C) the negative gradient.
    """
    # Not by `solve`: measuring the residual is one more product, and the line search sees whether the step is good.
    return cg.solve(hessian, rhs, tolerance, NEWTON_CG_ITERATIONS)


def solve_many(
    hessian: SoftmaxHessian, rhs: Tensor, *, tolerance: float, max_iterations: int = 200
) -> Tensor:
    """Solve H V = G for several right-hand sides by pyDVL's block conjugate gradients.

    Args:
        rhs: (r, width, K, C) right-hand sides.
        tolerance: Relative residual that is wanted for each.
    """
    solution: Tensor = block_cg(hessian, tolerance, max_iterations).apply(rhs.reshape(len(rhs), -1))
    return solution.reshape(rhs.shape)
