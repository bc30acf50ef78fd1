"""Solve and score one head of the ensemble, whether its folds share their features or each have their own.

Where each fold is a problem of its own, it says something of every sample. What a sample is told is the same as with shared
features: the mean over the folds that score it, and probabilities of the fold that did not see it.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from tasks.attribute.ihvp import SOLVE_TOLERANCE, solve_ihvp
from tasks.attribute.influence import BlockScores, score_blocks
from tasks.attribute.network_influence import (
    compute_network_gradient,
    make_gauss_newton,
    score_network,
    solve_network,
)
from tasks.attribute.noise import estimate_beliefs
from tasks.heads.design import Design
from tasks.heads.ensemble import Head, slice_folds
from tasks.heads.flat_network import FlatNetwork
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import Solution


def solve_head(head: Head, solver: str) -> Solution:
    """Solve H v = g for every fold of a head; where it is the end of a whole model, for every parameter: (K, P).

    Args:
        solver: `auto`, or the name of a file in `tasks/heads/solvers`.
    """
    wholes = make_flat_networks(head)
    if not wholes:
        return solve_stacks(head.stacks, head.fit.theta, solver)
    solved = [
        solve_network(
            make_gauss_newton(whole, stack), compute_network_gradient(whole, stack), SOLVE_TOLERANCE
        )
        for whole, stack in zip(wholes, head.stacks, strict=True)
    ]
    vectors = torch.stack([one.vector for one in solved])
    residual = torch.cat([one.residual for one in solved])
    return Solution(vectors, residual, all(one.converged for one in solved))


def score_head(head: Head, design: Design, solution: Solution) -> Iterator[BlockScores]:
    """Score every sample under every label, block by block, by what `solve_head` found."""
    wholes, theta = make_flat_networks(head), head.fit.theta
    if not wholes:
        return score_stacks(head.stacks, design, theta, solution.vector)
    parts = enumerate(zip(wholes, head.stacks, solution.vector, strict=True))
    return merge_folds(
        [score_network(w, stack, theta[:, k : k + 1], v) for k, (w, stack, v) in parts], design
    )


def make_flat_networks(head: Head) -> list[FlatNetwork]:
    """Return the model of each fold as a function of every parameter; empty where influences are on the head."""
    return [
        problem.whole(head.fit.theta[:, folds.start])
        for problem, folds in head.parts()
        if problem.whole is not None
    ]


def solve_stacks(stacks: Sequence[SoftmaxStack], theta: Tensor, solver: str) -> Solution:
    """Solve H v = g for all folds of a head.

    Args:
        stacks: One problem of K folds, or K of one fold each.
        theta: (width, K, C) fitted parameters.
        solver: `auto`, or the name of a file in `tasks/heads/solvers`.

    Returns:
        (width, K, C) the solutions, with the residual of each fold.
    """
    parts = [
        solve_ihvp(stack, theta[:, folds], solver)
        for stack, folds in zip(stacks, slice_folds(stacks), strict=True)
    ]
    return Solution(
        torch.cat([part.vector for part in parts], dim=1),
        torch.cat([part.residual for part in parts]),
        all(part.converged for part in parts),
    )


def score_stacks(
    stacks: Sequence[SoftmaxStack], design: Design, theta: Tensor, ihvp: Tensor
) -> Iterator[BlockScores]:
    """Score every sample under every label by all folds of a head, block by block.

    Args:
        stacks: One problem of K folds, or K of one fold each.
        theta: (width, K, C) fitted parameters.
        ihvp: (width, K, C) inverse-Hessian-vector products.
    """
    blocks = [
        score_blocks(stack, theta[:, folds], ihvp[:, folds])
        for stack, folds in zip(stacks, slice_folds(stacks), strict=True)
    ]
    return blocks[0] if len(blocks) == 1 else merge_folds(blocks, design)


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
            belief=estimate_beliefs(design, rows, log_p)[1],
            training_loss=torch.where(fitted, losses, 0.0).sum(1) / fitted.sum(1),
            n_folds=count.to(torch.int16),
        )
