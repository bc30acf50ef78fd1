r"""Mean influence of every sample under every label, from one solve and one forward-mode pass.

With the model theta_k of fold k, its evaluation set E_k, trust weights t_j = p_j(y_j)^2 (1 for verified
labels):

    g_k    = sum_j t_j grad l_j / sum_j t_j          one backward pass over the evaluation set
    v_k    = H_k^-1 g_k                              one solve
    u_i    = J_i v_k                                 derivative of the logits along v_k: one forward-mode pass
    I_i(c) = (p_i - e_c)^T u_i                       influence of sample i, if its label were c, on the mean
    evaluation loss
    relative: I_i(c) / |grad l_i(c)|,                for a linear head |grad l_i(c)| = |p_i - e_c| |h_i|

Positive = helpful (up-weighting the sample lowers the evaluation loss), negative = harmful. Koh & Liang,
"Understanding Black-box Predictions via Influence Functions", 2017, equation 2, in pyDVL's sign. The mean
over the evaluation set is taken before the solve, because influence is linear in the evaluation gradients:
the matrix of pairwise influences never exists.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.fit.softmax import SoftmaxStack


@dataclass(frozen=True)
class BlockScores:
    """What one forward-mode pass says of a block of b samples.

    Attributes:
        rows: Which samples.
        influence_raw: (b, C) mean influence over the folds that score the sample, under each label.
        influence: (b, C) the same, relative to the norm of the sample's gradient under that label.
        probabilities: (b, C) out of fold.
        training_loss: (b,) mean loss over the folds that were fitted on the sample, nan where none was.
        n_folds: (b,) number of folds that score the sample.
    """

    rows: slice
    influence_raw: Tensor
    influence: Tensor
    probabilities: Tensor
    training_loss: Tensor
    n_folds: Tensor


def evaluation_gradient(stack: SoftmaxStack, theta: Tensor) -> Tensor:
    """Return the trust-weighted mean gradient of each fold's evaluation set, (width, K, C).

    Args:
        stack: Rows, labels and design.
        theta: (width, K, C) fitted parameters.
    """
    gradient = stack.zeros()
    total = stack.rows.like.new_zeros(stack.design.folds)
    for rows, features in stack.rows.blocks():
        p = torch.softmax(stack.logits(features, theta), dim=-1)
        given = stack.labels[rows, None, None].expand(-1, stack.design.folds, 1)
        p_given = p.gather(-1, given).squeeze(-1)
        weight = (stack.design.evaluated(rows) & stack.keep[rows, None]).to(p.dtype)
        if stack.design.trust_weighted:
            weight = weight * p_given.square()
        total += weight.sum(0)
        residual = p.scatter_add_(-1, given, p.new_full((), -1.0).expand(given.shape)) * weight[..., None]
        gradient += (features.T @ residual.reshape(len(features), -1)).reshape(stack.shape)
    return gradient / total.clamp_min(torch.finfo(total.dtype).tiny)[None, :, None]


def _directional_derivative(
    stack: SoftmaxStack, features: Tensor, theta: Tensor, along: Tensor
) -> tuple[Tensor, Tensor]:
    """Return logits and their derivative along a direction of theta, (b, K, C) each, in one pass."""
    logits, derivative = torch.func.jvp(lambda t: stack.logits(features, t), (theta,), (along,))[:2]
    # Where a label is almost certain, p - e_c is a difference of almost equal numbers: float32 would leave nothing of it.
    return logits.double(), derivative.double()


def score_blocks(stack: SoftmaxStack, theta: Tensor, ihvp: Tensor) -> Iterator[BlockScores]:
    """Score every sample under every label, block by block; memory is that of one block.

    Args:
        stack: Rows, labels and design.
        theta: (width, K, C) fitted parameters.
        ihvp: (width, K, C) inverse-Hessian-vector products v_k.
    """
    for rows, features in stack.rows.blocks():
        logits, u = _directional_derivative(stack, features, theta, ihvp)
        log_p = torch.log_softmax(logits, dim=-1)
        p = log_p.exp()
        raw = (p * u).sum(dim=-1, keepdim=True) - u
        # |p - e_c|^2 = |p|^2 - 2 p_c + 1
        distance = (
            (p.square().sum(dim=-1, keepdim=True) - 2 * p + 1).clamp_min(torch.finfo(p.dtype).tiny).sqrt()
        )
        relative = raw / (distance * features.norm(dim=-1)[:, None, None])
        scored = stack.design.scored(rows).to(p.dtype)[..., None]
        count = scored.sum(dim=1)
        own = stack.design.out_of_fold(rows)[:, None, None].expand(-1, 1, stack.n_classes)
        given = stack.labels[rows, None, None].expand(-1, stack.design.folds, 1)
        fitted = stack.design.fitted(rows).to(p.dtype)
        loss = -log_p.gather(-1, given).squeeze(-1)
        yield BlockScores(
            rows=rows,
            influence_raw=(raw * scored).sum(dim=1) / count,
            influence=(relative * scored).sum(dim=1) / count,
            probabilities=p.gather(1, own).squeeze(1),
            training_loss=(loss * fitted).sum(1) / fitted.sum(1),
            n_folds=count.squeeze(-1).to(torch.int16),
        )
