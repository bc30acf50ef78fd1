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

from dataclasses import dataclass, field

import torch
from torch import Tensor

from tasks.fit.design import Design
from tasks.fit.rows import Rows

# What a stack that nobody gave a budget may keep.
KEEP_PROBABILITIES_BYTES = 2**29


@dataclass
class SoftmaxStack:
    """K regularised softmax regressions over the same rows, one for each fold.

    Attributes:
        rows: Encoded features.
        labels: (n,) long, class of each sample.
        n_classes: C.
        design: Who is fitted on.
        l2: Regularisation of the mean loss.
        keep: (n,) bool, False for samples left out of fitting and evaluation (what an earlier round flagged).
        keep_bytes: Bytes that the probabilities of all samples and folds may take between Hessian products; beyond
            them they are computed again from the logits, which costs one more matrix product per block.
    """

    rows: Rows
    labels: Tensor
    n_classes: int
    design: Design
    l2: float
    keep: Tensor
    keep_bytes: int = KEEP_PROBABILITIES_BYTES
    _totals: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        totals = torch.zeros(self.design.folds, dtype=torch.float64, device=self.labels.device)
        for start in range(0, self.rows.n, 2**20):
            rows = slice(start, min(start + 2**20, self.rows.n))
            totals += (self.design.fitted(rows) & self.keep[rows, None]).sum(0)
        self._totals = totals.clamp_min(1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of theta: (width, K, C)."""
        return self.rows.width, self.design.folds, self.n_classes

    def zeros(self) -> Tensor:
        """Return theta = 0, where every class is equally likely."""
        return self.rows.like.new_zeros(self.shape)

    def weights(self, rows: slice | Tensor) -> Tensor:
        """Return (b, K) training weights of a block or of indexed samples; each column sums to one over all samples."""
        mask = self.design.fitted(rows) & self.keep[rows, None]
        return mask.to(self.rows.like.dtype) / self._totals.to(self.rows.like.dtype)

    def logits(self, features: Tensor, theta: Tensor) -> Tensor:
        """Return (b, K, C) logits of a block."""
        return (features @ theta.reshape(len(theta), -1)).reshape(len(features), *theta.shape[1:])

    def loss_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses (K,) and the gradient (width, K, C) at theta."""
        loss = 0.5 * self.l2 * theta.square().sum(dim=(0, 2))
        gradient = self.l2 * theta
        for rows, features in self.rows.blocks():
            log_p = torch.log_softmax(self.logits(features, theta), dim=-1)
            given = self.labels[rows, None, None].expand(-1, self.design.folds, 1)
            weight = self.weights(rows)
            loss -= (weight * log_p.gather(-1, given).squeeze(-1)).sum(0)
            residual = log_p.exp_().scatter_add_(-1, given, log_p.new_full((), -1.0).expand(given.shape))
            residual *= weight[..., None]
            gradient += (features.T @ residual.reshape(len(features), -1)).reshape(self.shape)
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
        self._kept: list[Tensor] | None = None
        if wanted <= stack.keep_bytes:
            self._kept = [self._probabilities(features) for _, features in stack.rows.blocks()]

    def _probabilities(self, features: Tensor) -> Tensor:
        return torch.softmax(self.stack.logits(features, self.theta), dim=-1)

    def product(self, vectors: Tensor) -> Tensor:
        """Multiply r vectors, each of the shape of theta: (r, width, K, C) to (r, width, K, C)."""
        stack, (count, width, folds, classes) = self.stack, vectors.shape
        result = stack.l2 * vectors
        flat = vectors.permute(1, 0, 2, 3).reshape(width, -1)
        for number, (rows, features) in enumerate(stack.rows.blocks()):
            p = (self._kept[number] if self._kept is not None else self._probabilities(features))[:, None]
            u = (features @ flat).reshape(len(features), count, folds, classes)
            u -= (p * u).sum(dim=-1, keepdim=True)
            u *= p
            u *= stack.weights(rows)[:, None, :, None]
            result += (
                (features.T @ u.reshape(len(features), -1))
                .reshape(width, count, folds, classes)
                .permute(1, 0, 2, 3)
            )
        return result

    def diagonal(self) -> Tensor:
        """Return the exact diagonal, (width, K, C): sum_i w_i h_i^2 p_i (1 - p_i) + l2."""
        stack = self.stack
        result = torch.full_like(self.theta, stack.l2)
        for number, (rows, features) in enumerate(stack.rows.blocks()):
            p = self._kept[number] if self._kept is not None else self._probabilities(features)
            curvature = p * (1 - p) * stack.weights(rows)[..., None]
            result += (features.square().T @ curvature.reshape(len(features), -1)).reshape(stack.shape)
        return result
