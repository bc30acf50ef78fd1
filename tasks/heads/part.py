"""A part of a stack of folds: some blocks of samples, with all that a sum over them needs.

Every sum over samples is taken part by part, and the parts' sums are added in their order. A part is the same
wherever it is computed (in this process, or in a worker on another machine), and so is the total, to the last
bit. Inside a block samples come last: softmax over the classes then runs along contiguous memory, which takes
a tenth of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.heads.design import Design
from tasks.heads.rows import Rows

# 65,536 samples at the usual block size: enough work to send away, few enough that a hundred workers have their share of
# ten million.
PART_BLOCKS = 4

# From this many classes on, a step over (folds, classes, samples) costs as much as the matrix products beside it.
MANY_CLASSES = 50
# Values of a block on a processor then, 2 MiB of float32, which stay in its cache. On 10,000 samples of 1,000 classes a Hessian
# product takes 0.11 s of the processor instead of 0.17, a gradient 0.27 instead of 0.47, a diagonal 0.23 instead of 0.67.
BLOCK_VALUES = 2**19


@dataclass(frozen=True)
class Block:
    """Some samples, b of them.

    Attributes:
        features: (b, width) encoded, intercept included.
        labels: (b,) classes.
    """

    rows: slice
    features: Tensor
    labels: Tensor

    def logits(self, theta: Tensor) -> Tensor:
        """Return (K, C, b) logits for theta (width, K, C)."""
        return (theta.reshape(len(theta), -1).T @ self.features.T).reshape(*theta.shape[1:], -1)

    def given(self, folds: int) -> Tensor:
        """Return the labels as an index into (K, C, b) along the classes, (K, 1, b)."""
        return self.labels.expand(folds, 1, -1)

    def outer(self, residual: Tensor) -> Tensor:
        """Sum residuals (…, b) times features over the samples: (…, width)."""
        return (residual.reshape(-1, len(self.features)) @ self.features).reshape(*residual.shape[:-1], -1)


@dataclass(frozen=True)
class StackPart:
    """Consecutive samples of a stack.

    Attributes:
        labels: (n,) class of each sample of the part.
        design: Who of the part is fitted on, evaluated on, scored.
        keep: (n,) bool, False for samples that are left out of fitting and evaluation.
        totals: (K,) number of samples in the training set of each fold, over all parts.
        n_classes: C.
    """

    rows: Rows
    labels: Tensor
    design: Design
    keep: Tensor
    totals: Tensor
    n_classes: int

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in order, smaller ones where many classes would fill more than a processor's cache."""
        for rows, features in self.rows.blocks():
            most = len(features)
            if self.n_classes >= MANY_CLASSES and features.device.type == "cpu":
                most = max(1, BLOCK_VALUES // (self.design.folds * self.n_classes))
            for start in range(0, len(features), most):
                some = features[start : start + most]
                here = slice(rows.start + start, rows.start + start + len(some))
                yield Block(here, some, self.labels[here].long())

    def weights(self, rows: slice | Tensor) -> Tensor:
        """Return (K, b) training weights; each row sums to one over all parts."""
        mask = (self.design.fitted(rows) & self.keep[rows, None]).T.contiguous()
        return mask.to(self.rows.like.dtype) / self.totals.to(self.rows.like.dtype)[:, None]

    def evaluated(self, rows: slice) -> Tensor:
        """Return (K, b) 1 where a sample is in the evaluation set of a fold, 0 elsewhere."""
        mask = self.design.evaluated(rows) & self.keep[rows, None]
        return mask.T.contiguous().to(self.rows.like.dtype)

    def zeros(self, *shape: int) -> Tensor:
        """Return zeros of the features' dtype and device."""
        return self.rows.like.new_zeros(shape)


def subtract_at_labels(labels: Tensor, p: Tensor) -> Tensor:
    """Subtract one from the probabilities (K, C, b) at the labels (K, 1, b), in place: the residual p - e_y."""
    return p.scatter_add_(1, labels, p.new_full((), -1.0).expand(labels.shape))


def compute_loss_and_gradient(part: StackPart, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return a part's share of the losses (K,) and of their gradients (K, C, width), without regularisation."""
    folds = part.design.folds
    loss, gradient = part.zeros(folds), part.zeros(folds, part.n_classes, part.rows.width)
    for block in part.blocks():
        log_p = torch.log_softmax(block.logits(theta), dim=1)
        weight, given = part.weights(block.rows), block.given(folds)
        loss -= (weight * log_p.gather(1, given).squeeze(1)).sum(1)
        gradient += block.outer(subtract_at_labels(given, log_p.exp_()).mul_(weight[:, None]))
    return loss, gradient


def weight_probabilities(part: StackPart, theta: Tensor) -> list[Tensor]:
    """Return the probabilities of each block, times the samples' training weights, (K, C, b) each."""
    return [_weighted_probabilities(part, block, theta) for block in part.blocks()]


def _weighted_probabilities(part: StackPart, block: Block, theta: Tensor) -> Tensor:
    return torch.softmax(block.logits(theta), dim=1).mul_(part.weights(block.rows)[:, None])


def multiply_hessian(
    part: StackPart, theta: Tensor, vectors: Tensor, kept: list[Tensor] | None = None
) -> Tensor:
    """Return a part's share of the products of the Hessians with r vectors (r, width, K, C), as (r, K, C, width).

    Args:
        theta: (width, K, C).
        vectors: (r, width, K, C).
        kept: What `weighted_probabilities` returned, if it was kept.
    """
    count, width, folds, classes = vectors.shape
    result = part.zeros(count, folds, classes, width)
    flat = vectors.permute(0, 2, 3, 1).reshape(-1, width)
    totals = part.totals.to(result)[:, None, None]
    for number, block in enumerate(part.blocks()):
        wp = kept[number] if kept is not None else _weighted_probabilities(part, block, theta)
        # w (p u - p <p, u>) with w either 0 or 1 / total: few passes over (K, C, b), since a product lasts as long as they do.
        u = (flat @ block.features.T).reshape(count, folds, classes, -1).mul_(wp)
        u.addcmul_(wp, u.sum(dim=2, keepdim=True).mul_(totals), value=-1)
        result += block.outer(u)
    return result


def compute_hessian_diagonal(part: StackPart, theta: Tensor, kept: list[Tensor] | None = None) -> Tensor:
    """Return a part's share of the diagonals of the Hessians, (K, C, width): sum_i w_i h_i^2 p_i (1 - p_i).

    Args:
        theta: (width, K, C).
        kept: What `weighted_probabilities` returned, where it is worth more than a softmax.
    """
    result = part.zeros(part.design.folds, part.n_classes, part.rows.width)
    totals = part.totals.to(result)[:, None, None]
    for number, block in enumerate(part.blocks()):
        if kept is None:
            p = torch.softmax(block.logits(theta), dim=1)
            curvature = p * (1 - p) * part.weights(block.rows)[:, None]
        else:  # w is 0 or 1 / total
            curvature = kept[number] * (1 - kept[number] * totals)
        squared = Block(block.rows, block.features.square(), block.labels)
        result += squared.outer(curvature)
    return result


def compute_dense_hessian(part: StackPart, theta: Tensor) -> Tensor:
    """Return a part's share of the Hessians as matrices, (K, C, width, C, width)."""
    folds, classes, width = part.design.folds, part.n_classes, part.rows.width
    result = part.zeros(folds, classes, width, classes, width)
    for block in part.blocks():
        p = torch.softmax(block.logits(theta), dim=1)
        weight = part.weights(block.rows)
        for fold in range(folds):
            add_curvature(result[fold], block.features, p[fold], weight[fold])
    return result


def add_curvature(result: Tensor, features: Tensor, p: Tensor, weight: Tensor) -> None:
    """Add sum_i w_i (diag p_i - p_i p_i^T) x h_i h_i^T to a matrix (C, width, C, width).

    Args:
        features: (b, width) h.
        p: (C, b) probabilities.
        weight: (b,) w.
    """
    classes, width = len(p), features.shape[1]
    rows = max(1, 2**24 // (classes * width))  # 64 MiB of float32 at a time
    for start in range(0, len(features), rows):
        h, q, w = features[start : start + rows], p[:, start : start + rows], weight[start : start + rows]
        joint = (q[..., None] * h).permute(1, 0, 2).reshape(len(h), -1)  # (b, C width)
        result -= (joint.T @ (joint * w[:, None])).reshape(result.shape)
        for c in range(classes):
            result[c, :, c] += h.T @ (h * (w * q[c])[:, None])
