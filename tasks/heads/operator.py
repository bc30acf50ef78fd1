"""Matrices that are known by their products as pyDVL operators, and pyDVL's conjugate gradients on them.

The K folds' Hessians stand as blocks on the diagonal of one operator, so that one solve serves all folds.
"""

import math
from collections.abc import Callable

import torch
from pydvl.influence.torch.base import TensorOperator
from pydvl.influence.torch.operator import CgOperator
from pydvl.influence.torch.preconditioner import Preconditioner
from torch import Tensor

from tasks.heads.precondition import DiagonalPreconditioner, SampledPreconditioner, make_preconditioner
from tasks.heads.softmax import SoftmaxHessian

# Directional derivatives that a product with several vectors holds at a time: 256 MB of float32.
PRODUCT_VALUES = 2**26


class FlatOperator(TensorOperator):  # type: ignore[misc]
    """A symmetric matrix, divided by `scale`, as a pyDVL operator on flat vectors.

    Args:
        product: Multiplies r vectors: (r, P) to (r, P).
        like: A vector, (P,).
        scale: What the matrix is divided by.
    """

    def __init__(self, product: Callable[[Tensor], Tensor], like: Tensor, scale: float = 1.0) -> None:
        self.matrix_product, self.like, self.scale = product, like, scale

    @property
    def input_size(self) -> int:
        """P."""
        return len(self.like)

    @property
    def device(self) -> torch.device:
        """Device of the vectors."""
        return self.like.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating point type of the vectors."""
        return self.like.dtype

    def to(self, device: torch.device) -> "FlatOperator":
        """Stay where the data is; moving an operator means making it again."""
        if torch.device(device) != self.device:
            raise NotImplementedError("make the matrix on the other device, then the operator")
        return self

    def _apply_to_vec(self, vec: Tensor) -> Tensor:
        return self._apply_to_mat(vec[None])[0]

    def _apply_to_mat(self, mat: Tensor) -> Tensor:
        product: Tensor = self.matrix_product(mat)
        return product / self.scale


class StackedHessian(FlatOperator):
    """The Hessian of all folds, divided by `scale`, on flat vectors of width x K x C entries."""

    def __init__(self, hessian: SoftmaxHessian, scale: float = 1.0) -> None:
        super().__init__(self._product, hessian.theta.reshape(-1), scale)
        self.hessian = hessian

    def _product(self, mat: Tensor) -> Tensor:
        vectors = mat.reshape(len(mat), *self.hessian.theta.shape)
        _, folds, classes = self.hessian.theta.shape
        some = max(1, PRODUCT_VALUES // (self.hessian.stack.rows.block_rows * folds * classes))
        product = torch.cat([self.hessian.product(part) for part in torch.split(vectors, some)])
        return product.reshape(len(mat), -1)


class RelativeCgOperator(CgOperator):  # type: ignore[misc]
    """pyDVL's conjugate gradients from zero, stopping at |r| <= rtol |g| for every right-hand side.

    pyDVL 0.10 compares the residual with rtol^2 times single entries of g, and loses the right-hand sides beyond the number
    of parameters. It also starts at x = g, which for a steep Hessian is so far off that an inexact Newton step can point
    uphill; conjugate gradients from zero always point downhill. (H / scale) y = g with y = scale x starts at
    x = g / scale, next to zero for a large scale. The iteration itself is right and is used as it is.

    Args:
        operator: The matrix, divided by a scale far above its eigenvalues.
        rtol: Relative residual that is wanted.
        maxiter: Bound on the iterations.
        preconditioner: Divided by the same scale.
    """

    def __init__(
        self, operator: FlatOperator, rtol: float, maxiter: int, preconditioner: Preconditioner | None = None
    ) -> None:
        super().__init__(
            operator, rtol=rtol, maxiter=maxiter, preconditioner=preconditioner, warn_on_max_iteration=False
        )

    def _apply_to_mat(self, mat: Tensor) -> Tensor:
        solved = torch.stack([self._solve_pcg(row, self.rtol * row.norm()) for row in mat])
        solution: Tensor = solved / self.operator.scale
        return solution


def make_relative_cg(hessian: SoftmaxHessian, rtol: float, maxiter: int) -> RelativeCgOperator:
    """Return preconditioned conjugate gradients for the Hessian of all folds."""
    factor, diagonal = make_preconditioner(hessian)
    scale = float(diagonal.max()) / torch.finfo(diagonal.dtype).eps
    given = _make_preconditioner(hessian, factor, diagonal, scale)
    return RelativeCgOperator(StackedHessian(hessian, scale), rtol, maxiter, given)


def _make_preconditioner(
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
        preconditioner=_make_preconditioner(hessian, factor, diagonal, 1.0),
        use_block_cg=True,
        warn_on_max_iteration=False,
    )
