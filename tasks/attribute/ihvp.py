"""The one inverse-Hessian-vector product that a round needs."""

from torch import Tensor

from tasks.attribute.influence import compute_evaluation_gradient
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import Solution, solve

# Relative residual of the solve: ranks do not change below it.
SOLVE_TOLERANCE = 1e-3


def solve_ihvp(
    stack: SoftmaxStack, theta: Tensor, solver: str, tolerance: float = SOLVE_TOLERANCE
) -> Solution:
    """Solve H v = g for the trust-weighted evaluation gradient, all folds at once.

    Args:
        theta: (width, K, C) fitted parameters.
        solver: `auto`, or the name of a file in `tasks/heads/solvers`.
        tolerance: Residual |Hv - g| / |g| that is wanted.
    """
    return solve(
        stack.hessian(theta), compute_evaluation_gradient(stack, theta), tolerance=tolerance, solver=solver
    )
