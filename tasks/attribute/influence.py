r"""Mean influence of every sample under every label, from one solve and one forward-mode pass.

With the model theta_k of fold k, its evaluation set E_k, trust weights t_j = p_j(y_j)^2 (1 for verified
labels):

    g_k    = sum_j t_j grad l_j / sum_j t_j          one backward pass over the evaluation set
    v_k    = H_k^-1 g_k                              one solve
    u_i    = J_i v_k                                 derivative of the logits along v_k: one forward-mode pass
    I_i(c) = (p_i - e_c)^T u_i                       influence of sample i, if its label were c, on the mean evaluation loss
    relative: I_i(y_i) / |grad l_i|,                 for a linear head |grad l_i| = |p_i - e_y| |h_i|

Positive = helpful (up-weighting the sample lowers the evaluation loss), negative = harmful. Koh & Liang,
"Understanding Black-box Predictions via Influence Functions", 2017, equation 2, in pyDVL's sign. The mean
over the evaluation set is taken before the solve, because influence is linear in the evaluation gradients:
the matrix of pairwise influences never exists.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.attribute.noise import estimate_beliefs
from tasks.heads.part import Block, StackPart, subtract_at_labels
from tasks.heads.softmax import SoftmaxStack

# Values (folds x classes x samples) that are scored at a time: 4 MiB of float64 stay in the processor's cache through the dozen
# steps over them; but at least this many samples.
SCORED_VALUES, LEAST_SCORED = 2**19, 256


@dataclass(frozen=True)
class BlockScores:
    """What one forward-mode pass says of a block of b samples.

    Attributes:
        influence_raw: (b, C) mean influence over the folds that score the sample, under each label.
        influence: (b,) mean influence of the given label, relative to the norm of the sample's gradient.
        probabilities: (b, C) out of fold.
        belief: (b, C) logarithm of what the folds believe, those fitted on the sample included; see
            `tasks.attribute.noise.estimate_beliefs`.
        training_loss: (b,) mean loss over the folds that were fitted on the sample, nan where none was.
        n_folds: (b,) number of folds that score the sample.
    """

    rows: slice
    influence_raw: Tensor
    influence: Tensor
    probabilities: Tensor
    belief: Tensor
    training_loss: Tensor
    n_folds: Tensor


def compute_evaluation_gradient(stack: SoftmaxStack, theta: Tensor) -> Tensor:
    """Return the trust-weighted mean gradient of each fold's evaluation set, (width, K, C).

    Args:
        theta: (width, K, C) fitted parameters.
    """
    gradient = stack.zeros()
    total = stack.rows.like.new_zeros(stack.design.folds)
    for some, weight in stack.place.map(_sum_evaluation_gradients, stack.parts, (theta,)):
        gradient += some.permute(2, 0, 1)
        total += weight
    return gradient / total.clamp_min(torch.finfo(total.dtype).tiny)[None, :, None]


def _sum_evaluation_gradients(part: StackPart, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return a part's share of the weighted sum of evaluation gradients, (K, C, width), and of the weights, (K,)."""
    folds = part.design.folds
    gradient, total = part.zeros(folds, part.n_classes, part.rows.width), part.zeros(folds)
    for block in part.blocks():
        p, given = torch.softmax(block.logits(theta), dim=1), block.given(folds)
        weight = part.evaluated(block.rows)
        if part.design.trust_weighted:
            weight = weight * p.gather(1, given).squeeze(1).square()
        total += weight.sum(1)
        gradient += block.outer(subtract_at_labels(given, p).mul_(weight[:, None]))
    return gradient, total


def _differentiate_along(block: Block, theta: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and their derivative along a direction of theta, (K, C, b) each, in one pass.

    The logits are linear in theta: the derivative is the same product with the direction in the place of theta.
    """
    logits, derivative = block.logits(torch.cat([theta, along], dim=1)).chunk(2)
    return logits, derivative


def score_blocks(stack: SoftmaxStack, theta: Tensor, ihvp: Tensor) -> Iterator[BlockScores]:
    """Score every sample under every label, block by block; memory is that of one block.

    Args:
        theta: (width, K, C) fitted parameters.
        ihvp: (width, K, C) inverse-Hessian-vector products v_k.
    """
    start = 0
    scored = stack.place.map(score_part, stack.parts, (theta, ihvp))
    for part, blocks in zip(stack.parts, scored, strict=True):
        for block in blocks:
            yield replace(block, rows=slice(start + block.rows.start, start + block.rows.stop))
        start += part.rows.n


def score_part(part: StackPart, theta: Tensor, ihvp: Tensor) -> Iterator[BlockScores]:
    """Score the samples of a part, a few thousand at a time; `rows` are places in the part."""
    some = max(LEAST_SCORED, SCORED_VALUES // (part.design.folds * part.n_classes))
    for block in part.blocks():
        logits, derivative = _differentiate_along(block, theta, ihvp)
        norm = block.features.norm(dim=1)
        for start in range(0, len(norm), some):
            here = slice(start, min(start + some, len(norm)))
            rows = slice(block.rows.start + here.start, block.rows.start + here.stop)
            yield _compute_scores(part, rows, logits[..., here], derivative[..., here], norm[here])


def _compute_scores(
    part: StackPart, rows: slice, logits: Tensor, derivative: Tensor, norm: Tensor
) -> BlockScores:
    """Return the scores of some samples of a part from their logits and derivatives, (K, C, b), and |h|, (b,)."""
    # Where a label is almost certain, p - e_c is a difference of almost equal numbers: float32 would leave nothing of it.
    u = derivative.double()
    log_p = torch.log_softmax(logits.double(), dim=1)
    p = log_p.exp()
    raw = (p * u).sum(dim=1, keepdim=True) - u
    given = part.labels[rows].long().expand(part.design.folds, 1, -1)
    # |p - e_y|^2 = |p|^2 - 2 p_y + 1
    distance = p.square().sum(dim=1) - 2 * p.gather(1, given).squeeze(1) + 1
    length = distance.clamp_min(torch.finfo(p.dtype).tiny).sqrt() * norm
    relative = raw.gather(1, given).squeeze(1) / length
    scored = part.design.scored(rows).T.contiguous().to(p.dtype)
    count = scored.sum(dim=0)
    unseen, belief = estimate_beliefs(part.design, rows, log_p)
    fitted = part.design.fitted(rows).T.contiguous().to(p.dtype)
    loss = -log_p.gather(1, given).squeeze(1)
    return BlockScores(
        rows=rows,
        influence_raw=((raw * scored[:, None]).sum(dim=0) / count).T,
        influence=(relative * scored).sum(dim=0) / count,
        probabilities=unseen.exp(),
        belief=belief,
        training_loss=(loss * fitted).sum(0) / fitted.sum(0),
        n_folds=count.to(torch.int16),
    )
