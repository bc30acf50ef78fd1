"""The Hessian of all folds as one pyDVL operator, and pyDVL's conjugate gradients on it.

The K folds' Hessians stand as blocks on the diagonal, so that one solve serves all folds.
"""

import math

import torch
from pydvl.influence.torch.base import TensorOperator
from pydvl.influence.torch.operator import CgOperator
from pydvl.influence.torch.preconditioner import Preconditioner
from torch import Tensor

from tasks.heads.precondition import DiagonalPreconditioner, SampledPreconditioner, make_preconditioner
from tasks.heads.softmax import SoftmaxHessian

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


def block_cg(hessian: SoftmaxHessian, tolerance: float, maxiter: int) -> CgOperator:
    """Return pyDVL's block conjugate gradients for several right-hand sides, each to a relative residual."""
    factor, diagonal = make_preconditioner(hessian)
    return CgOperator(
        StackedHessian(hessian),
        rtol=math.sqrt(tolerance),  # pyDVL stops at |r| <= rtol^2 |g|
        atol=0.0,
        maxiter=maxiter,
        preconditioner=_preconditioner(hessian, factor, diagonal, 1.0),
        use_block_cg=True,
        warn_on_max_iteration=False,
    )
