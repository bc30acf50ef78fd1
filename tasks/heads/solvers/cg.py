"""pyDVL's preconditioned conjugate gradients, all folds at once."""

import torch
from torch import Tensor

from tasks.heads.operator import make_relative_cg
from tasks.heads.softmax import SoftmaxHessian


def solve(hessian: SoftmaxHessian, rhs: Tensor, tolerance: float, max_iterations: int) -> Tensor:
    """Return v, (width, K, C), with |Hv - rhs| <= tolerance |rhs| over all folds together, where the iterations suffice."""
    if not rhs.any():  # nothing to evaluate on is nothing to solve; the iteration would divide zero by zero
        return torch.zeros_like(rhs)
    solution: Tensor = make_relative_cg(hessian, tolerance, max_iterations).apply(rhs.reshape(1, -1))
    return solution.reshape(rhs.shape)
