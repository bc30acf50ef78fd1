"""Solve and score folds that each have features of their own (networks), and put them side by side.

Each fold is a problem of its own here, and says something of every sample. What a sample is told is the same as with
shared features: the mean over the folds that score it, and probabilities of the fold that did not see it.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from tasks.attribute.estimate import noise_from
from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import BlockScores, score_blocks
from tasks.attribute.noise import beliefs
from tasks.attribute.votes import AnyNoise
from tasks.heads.design import Design
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import Solution


def solve_heads(stacks: Sequence[SoftmaxStack], theta: Tensor, solver: str) -> Solution:
    """Solve H v = g for the head of every fold.

    Args:
        stacks: One problem for each of K folds.
        theta: (width, K, C) fitted parameters.
        solver: `auto`, or the name of a file in `tasks/heads/solvers`.

    Returns:
        (width, K, C) the solutions, with the residual of each fold.
    """
    parts = [solve_ihvp(stack, theta[:, fold : fold + 1], solver) for fold, stack in enumerate(stacks)]
    return Solution(
        torch.cat([part.vector for part in parts], dim=1),
        torch.cat([part.residual for part in parts]),
        all(part.converged for part in parts),
    )


def score_heads(
    stacks: Sequence[SoftmaxStack], design: Design, theta: Tensor, ihvp: Tensor
) -> Iterator[BlockScores]:
    """Score every sample under every label by the heads of all folds, block by block.

    Args:
        stacks: One problem for each of K folds.
        design: Of all folds.
        theta: (width, K, C) fitted parameters.
        ihvp: (width, K, C) inverse-Hessian-vector products.
    """
    return merge_folds(
        [
            score_blocks(stack, theta[:, fold : fold + 1], ihvp[:, fold : fold + 1])
            for fold, stack in enumerate(stacks)
        ],
        design,
    )


def merge_folds(folds: Sequence[Iterable[BlockScores]], design: Design) -> Iterator[BlockScores]:
    """Merge what K folds say of every sample.

    Args:
        folds: For each fold its blocks, in the same order and of the same size.
        design: Says which folds score a sample, which were fitted on it and which one was not.
    """
    for blocks in zip(*folds, strict=True):
        rows = blocks[0].rows
        scored = design.scored(rows).expand(-1, len(folds)).to(blocks[0].influence.dtype)
        count = scored.sum(dim=1)
        own = design.out_of_fold(rows)
        fitted = design.fitted(rows)
        losses = torch.stack([block.training_loss for block in blocks], dim=1)
        p = torch.stack([block.probabilities for block in blocks], dim=1)
        log_p = p.clamp_min(torch.finfo(p.dtype).tiny).log().permute(1, 2, 0)
        relative = torch.stack([block.influence for block in blocks], dim=1)
        raw = torch.stack([block.influence_raw for block in blocks], dim=1)
        yield BlockScores(
            rows=rows,
            influence_raw=(raw * scored[..., None]).sum(dim=1) / count[:, None],
            influence=(relative * scored).sum(dim=1) / count,
            probabilities=p[torch.arange(len(own), device=own.device), own],
            belief=beliefs(design, rows, log_p)[1],
            training_loss=torch.where(fitted, losses, 0.0).sum(1) / fitted.sum(1),
            n_folds=count.to(torch.int16),
        )


def noise_of_heads(
    stacks: Sequence[SoftmaxStack],
    design: Design,
    labels: Tensor,
    theta: Tensor,
    seed: int,
    votes: Tensor | None = None,
) -> AnyNoise:
    """Estimate how labels go wrong from what the heads of all folds believe.

    Args:
        stacks: One problem for each of K folds.
        design: Of all folds.
        labels: (n,) given classes.
        theta: (width, K, C) fitted parameters.
        seed: Which samples are drawn, where there are many.
        votes: (n, raters) answers, -1 where there is none; None where each sample has one label.
    """

    def beliefs_of(index: Tensor) -> tuple[Tensor, Tensor]:
        logits = [
            stack.logits(stack.rows.take(index), theta[:, fold : fold + 1])[:, 0].T
            for fold, stack in enumerate(stacks)
        ]
        log_p = torch.log_softmax(torch.stack(logits).double(), dim=1)
        unseen, both = beliefs(design, index.to(labels.device), log_p)
        return both, unseen

    return noise_from(beliefs_of, labels, stacks[0].n_classes, design, seed, votes)
