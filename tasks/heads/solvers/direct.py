"""pyDVL's direct operator on the dense Hessian, fold by fold: exact, and cubic in the parameters of a fold."""

import torch
from pydvl.influence.torch.operator import DirectSolveOperator
from torch import Tensor

from tasks.heads.softmax import SoftmaxHessian


def solve(hessian: SoftmaxHessian, rhs: Tensor, tolerance: float, max_iterations: int) -> Tensor:  # noqa: ARG001 (exact)
    """Return v, (width, K, C), with Hv = rhs."""
    width, folds, classes = rhs.shape
    dense = hessian.dense()
    solved = [
        DirectSolveOperator(dense[k]).apply(rhs[:, k].reshape(1, -1)).reshape(width, classes)
        for k in range(folds)
    ]
    return torch.stack(solved, dim=1)
