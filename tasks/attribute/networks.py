"""The audit with networks: every round trains them anew without what the round before flagged."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.attribute.combine import SampleScores, combine, judge
from tasks.attribute.folds import merge_folds, noise_of_heads, score_heads, solve_heads
from tasks.attribute.ihvp import SOLVE_TOLERANCE
from tasks.attribute.influence import BlockScores
from tasks.attribute.rounds import Rounds
from tasks.attribute.votes import AnyNoise
from tasks.attribute.whole import evaluation_gradient, gauss_newton, score_whole, solve_whole
from tasks.fit.network.folds import body_of
from tasks.fit.network.round import NetworkRound, fit_round
from tasks.fit.network.train import Task
from tasks.fit.network.whole import Whole, make_whole
from tasks.heads.design import Design, kept_of
from tasks.heads.members import Member
from tasks.heads.newton import Fit
from tasks.heads.solve import Solution
from tasks.options import AuditOptions


def run_network_rounds(
    task: Task,
    design: Design,
    options: AuditOptions,
    *,
    votes: Tensor | None = None,
    keep_probabilities: bool = True,
) -> tuple[Rounds, list[Member]]:
    """Train, fit and score `options.rounds` times, in memory.

    Args:
        task: Data and architecture.
        design: Folds.
        options: Options of the audit.
        votes: (n, raters) answers that the labels are the majority of, -1 where there is none.
        keep_probabilities: Whether to keep the (n, C) out-of-fold probabilities.

    Returns:
        What the rounds found, and the members of the last one.
    """
    keep = torch.ones(task.features.n, dtype=torch.bool, device=task.labels.device)
    fits: list[list[Fit]] = []
    solutions: list[list[Solution]] = []
    l2: float | None = None
    for number in range(1, options.rounds + 1):
        fitted = fit_round(task, design, keep, options, number, l2=l2)
        l2 = fitted.members[0].l2
        scored = score_round(
            task, fitted, design, options, votes=votes, keep_probabilities=keep_probabilities
        )
        fits.append([fitted.fit])
        solutions.append([scored.solution])
        keep = torch.from_numpy(kept_of(judge(scored.scores, options.score)[1])).to(keep.device)
    return Rounds(scored.scores, scored.noise, fits, solutions), fitted.members


@dataclass(frozen=True)
class Scored:
    """What one round says of every sample, how labels go wrong, and the solves."""

    scores: SampleScores
    noise: AnyNoise
    solution: Solution


def score_round(
    task: Task,
    fitted: NetworkRound,
    design: Design,
    options: AuditOptions,
    *,
    votes: Tensor | None = None,
    keep_probabilities: bool = True,
) -> Scored:
    """Solve once for each fold and score every sample under every label.

    Args:
        task: Data and architecture.
        fitted: What the round fitted.
        design: Folds.
        options: Options of the audit; `params` says whether influences are on the heads or on every parameter.
        votes: (n, raters) answers that the labels are the majority of, -1 where there is none.
        keep_probabilities: Whether to keep the (n, C) out-of-fold probabilities.
    """
    theta = fitted.fit.theta
    if options.params == "all":
        solution, blocks = _score_wholes(task, fitted, design)
    else:
        solution = solve_heads(fitted.stacks, theta, options.solver)
        blocks = score_heads(fitted.stacks, design, theta, solution.vector)
    noise = noise_of_heads(fitted.stacks, design, task.labels, theta, options.seed, votes)
    scores = combine([blocks], task.labels, noise, votes=votes, keep_probabilities=keep_probabilities)
    return Scored(scores, noise, solution)


def wholes_of(task: Task, fitted: NetworkRound) -> list[Whole]:
    """Return the network of each fold with its exact head as a function of every parameter."""
    return [
        make_whole(body_of(task, trained.network), member.feature_map, fitted.fit.theta[:, fold])
        for fold, (trained, member) in enumerate(zip(fitted.networks.networks, fitted.members, strict=True))
    ]


def _score_wholes(task: Task, fitted: NetworkRound, design: Design) -> tuple[Solution, Iterator[BlockScores]]:
    """Solve and score by every parameter; the solution's vector is (K, P)."""
    wholes = wholes_of(task, fitted)
    solved = [
        solve_whole(
            gauss_newton(whole, task, stack), evaluation_gradient(whole, task, stack), SOLVE_TOLERANCE
        )
        for whole, stack in zip(wholes, fitted.stacks, strict=True)
    ]
    blocks = [
        score_whole(whole, task, stack, fitted.fit.theta[:, fold : fold + 1], one.vector)
        for fold, (whole, stack, one) in enumerate(zip(wholes, fitted.stacks, solved, strict=True))
    ]
    vectors: Tensor = torch.stack([one.vector for one in solved])
    residual = torch.cat([one.residual for one in solved])
    return Solution(vectors, residual, all(one.converged for one in solved)), merge_folds(blocks, design)
