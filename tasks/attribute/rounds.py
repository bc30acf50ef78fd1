"""The rounds of an audit in memory: fit, solve, score, and again without what was flagged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import torch
from torch import Tensor

from tasks.attribute.combine import SampleScores, combine, judge
from tasks.attribute.estimate import estimate_noise
from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import score_blocks
from tasks.attribute.votes import AnyNoise
from tasks.heads.design import Design, kept_of
from tasks.heads.features import Features
from tasks.heads.fit import fit_stack
from tasks.heads.members import Member
from tasks.heads.newton import Fit
from tasks.heads.solve import Solution
from tasks.heads.stacks import make_stacks
from tasks.memory import memory_budget
from tasks.options import AuditOptions

R = TypeVar("R")


@dataclass(frozen=True)
class Rounds:
    """What the rounds of an audit found.

    Attributes:
        scores: The last round's.
        noise: How labels go wrong, as the last round sees it.
        fits: For each round the fit of each member.
        solutions: For each round the solve of each member.
    """

    scores: SampleScores
    noise: AnyNoise
    fits: list[list[Fit]]
    solutions: list[list[Solution]]


def run_rounds(
    features: Features,
    labels: Tensor,
    n_classes: int,
    design: Design,
    members: Sequence[Member],
    starts: Sequence[Tensor],
    options: AuditOptions,
    *,
    votes: Tensor | None = None,
    keep_probabilities: bool = True,
    told: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 (tells nobody)
) -> Rounds:
    """Fit and score `options.rounds` times; each later round is fitted without what the earlier one flagged.

    Args:
        features: Raw features of n samples.
        labels: (n,) given classes.
        n_classes: C.
        design: Folds.
        members: The ensemble.
        starts: For each member the (width, K, C) parameters that the first fit starts from.
        options: Options of the audit.
        votes: (n, raters) answers that the labels are the majority of, -1 where there is none.
        keep_probabilities: Whether to keep the (n, C) out-of-fold probabilities.
        told: Told after each fit and each solve how many of them are done, and how many there are.
    """
    keep = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
    memory = memory_budget(options.memory)
    fits: list[list[Fit]] = []
    solutions: list[list[Solution]] = []
    thetas = list(starts)
    done, total = count(1), 2 * options.rounds * len(thetas)

    def counted(result: R) -> R:
        told(next(done), total)
        return result

    stacks = make_stacks(features, labels, n_classes, design, members, keep, memory, options.dask)
    for _ in range(options.rounds):
        fits.append(
            [counted(fit_stack(stack, theta, options)) for stack, theta in zip(stacks, thetas, strict=True)]
        )
        thetas = [fit.theta for fit in fits[-1]]
        solutions.append(
            [
                counted(solve_ihvp(stack, theta, options.solver))
                for stack, theta in zip(stacks, thetas, strict=True)
            ]
        )
        blocks = [score_blocks(s, t, v.vector) for s, t, v in zip(stacks, thetas, solutions[-1], strict=True)]
        noise = estimate_noise(stacks, thetas, options.seed, votes)
        scores = combine(blocks, labels, noise, votes=votes, keep_probabilities=keep_probabilities)
        keep = torch.from_numpy(kept_of(judge(scores, options.score)[1])).to(labels.device)
        stacks = [stack.keeping(keep) for stack in stacks]
    return Rounds(scores, noise, fits, solutions)
