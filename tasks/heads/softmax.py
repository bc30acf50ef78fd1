"""Softmax regression on all folds at once, with its closed-form gradient and Hessian product.

For fold k with training weights w, normalised to sum to one, features h (intercept included) and P =
softmax(h theta):

    L_k(theta)     = sum_i w_ik cross_entropy(theta; h_i, y_i) + l2/2 |theta|^2
    grad L_k       = H^T (w (P - Y)) + l2 theta
    Hess L_k . V   = H^T (w (P * U - P <P, U>)) + l2 V,   U = H V

The K problems share the features, so one pass over the data serves all of them: theta is (width, K, C), and a
product with a block of features is one matrix product whatever K is. The intercept is regularised like the
rest: without it the Hessian would be singular along the direction that moves all logits alike.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from tasks.heads import part as sums
from tasks.heads.design import Design
from tasks.heads.executor import Executor, LocalExecutor
from tasks.heads.part import PART_BLOCKS, StackPart
from tasks.heads.rows import HeldRows, Rows

# What a stack that nobody gave a budget may keep.
KEEP_PROBABILITIES_BYTES = 2**29


@dataclass
class SoftmaxStack:
    """K regularised softmax regressions over the same rows, one for each fold.

    Attributes:
        labels: (n,) integers, class of each sample.
        n_classes: C.
        keep: (n,) bool, False for samples left out of fitting and evaluation (what an earlier round flagged).
        keep_bytes: Bytes that the probabilities of all samples and folds may take between Hessian products; beyond
            them they are computed again from the logits, which costs one more matrix product per block.
        place: Where sums over parts of the rows are computed.
        sampled: Kept by `tasks.heads.precondition`: mean parameters, factor and diagonal of a sampled Hessian there.
    """

    rows: Rows
    labels: Tensor
    n_classes: int
    design: Design
    l2: float
    keep: Tensor
    keep_bytes: int = KEEP_PROBABILITIES_BYTES
    place: Executor = field(default_factory=LocalExecutor)
    sampled: tuple[Tensor, Tensor, Tensor] | None = field(default=None, repr=False)

    @cached_property
    def totals(self) -> Tensor:
        """(K,) number of samples in the training set of each fold, at least one."""
        totals = torch.zeros(self.design.folds, dtype=torch.float64, device=self.labels.device)
        for start in range(0, self.rows.n, 2**20):
            rows = slice(start, min(start + 2**20, self.rows.n))
            totals += (self.design.fitted(rows) & self.keep[rows, None]).sum(0)
        return totals.clamp_min(1)

    @cached_property
    def parts(self) -> list[StackPart]:
        """The parts whose sums make every sum over the samples, in order."""
        size = PART_BLOCKS * self.rows.block_rows
        ranges = [(start, min(start + size, self.rows.n)) for start in range(0, self.rows.n, size)]
        return [
            StackPart(
                self.rows.part(start, stop),
                self.labels[start:stop],
                self.design.some(slice(start, stop)),
                self.keep[start:stop],
                self.totals,
                self.n_classes,
            )
            for start, stop in ranges
        ]

    def leave_out(self, keep: Tensor) -> "SoftmaxStack":
        """Return the same problem with other samples left out, (n,) bool."""
        return replace(self, keep=keep, sampled=None)

    def shared(self) -> "SoftmaxStack":
        """Return the one problem over all samples that any fold is fitted on: its optimum is close to that of every fold."""
        fitted = self.design.fitted(slice(0, self.rows.n)).any(dim=1)
        group = torch.where(fitted, 0, 2).to(self.design.group)
        design = replace(self.design, evaluation="holdout", group=group, folds=1, verified=False)
        return replace(self, design=design, sampled=None)

    def subset(self, index: Tensor) -> "SoftmaxStack":
        """Return the same problems over some of the samples, their features in memory."""
        some = index.to(self.labels.device)
        design = self.design.some(some)
        rows = HeldRows(self.rows.take(index), self.rows.block_rows)
        return SoftmaxStack(rows, self.labels[some], self.n_classes, design, self.l2, self.keep[some])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of theta: (width, K, C)."""
        return self.rows.width, self.design.folds, self.n_classes

    def zeros(self) -> Tensor:
        """Return theta = 0, where every class is equally likely."""
        return self.rows.like.new_zeros(self.shape)

    def weights(self, rows: slice | Tensor) -> Tensor:
        """Return (b, K) training weights of some samples; each column sums to one over all samples."""
        mask = self.design.fitted(rows) & self.keep[rows, None]
        return mask.to(self.rows.like.dtype) / self.totals.to(self.rows.like.dtype)

    def logits(self, features: Tensor, theta: Tensor) -> Tensor:
        """Return (b, K, C) logits of a block."""
        return (features @ theta.reshape(len(theta), -1)).reshape(len(features), *theta.shape[1:])

    def loss_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses (K,) and the gradient (width, K, C) at theta."""
        loss = 0.5 * self.l2 * theta.square().sum(dim=(0, 2))
        gradient = self.l2 * theta
        for some_loss, some_gradient in self.place.map(sums.compute_loss_and_gradient, self.parts, (theta,)):
            loss += some_loss
            gradient += some_gradient.permute(2, 0, 1)
        return loss, gradient

    def hessian(self, theta: Tensor) -> "SoftmaxHessian":
        """Return the Hessian at theta, ready for products."""
        return SoftmaxHessian(self, theta)


class SoftmaxHessian:
    """Products with the block-diagonal Hessian of a `SoftmaxStack` at a fixed theta."""

    def __init__(self, stack: SoftmaxStack, theta: Tensor) -> None:
        self.stack = stack
        self.theta = theta
        wanted = stack.rows.n * stack.design.folds * stack.n_classes * theta.element_size()
        self._kept: list[list[Tensor]] | None = None
        if wanted <= stack.keep_bytes and isinstance(stack.place, LocalExecutor):
            self._kept = list(stack.place.map(sums.weight_probabilities, stack.parts, (theta,)))

    def product(self, vectors: Tensor) -> Tensor:
        """Multiply r vectors, each of the shape of theta: (r, width, K, C) to (r, width, K, C)."""
        result = self.stack.l2 * vectors
        arguments = (self.theta, vectors)
        for some in self.stack.place.map(sums.multiply_hessian, self.stack.parts, arguments, self._kept):
            result += some.permute(0, 3, 1, 2)
        return result

    def diagonal(self) -> Tensor:
        """Return the exact diagonal, (width, K, C): sum_i w_i h_i^2 p_i (1 - p_i) + l2."""
        result = torch.full_like(self.theta, self.stack.l2)
        kept = self._kept if self.stack.n_classes >= sums.MANY_CLASSES else None
        for some in self.stack.place.map(
            sums.compute_hessian_diagonal, self.stack.parts, (self.theta,), kept
        ):
            result += some.permute(2, 0, 1)
        return result

    def dense(self) -> Tensor:
        """Return the matrices of all folds, (K, width C, width C) in the order of theta's entries."""
        width, folds, classes = self.theta.shape
        result = self.theta.new_zeros(folds, classes, width, classes, width)
        for some in self.stack.place.map(sums.compute_dense_hessian, self.stack.parts, (self.theta,)):
            result += some
        matrix = result.permute(0, 2, 1, 4, 3).reshape(folds, width * classes, width * classes)
        matrix.diagonal(dim1=1, dim2=2).add_(self.stack.l2)
        return matrix
