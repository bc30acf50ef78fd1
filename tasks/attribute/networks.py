"""The audit with networks: every round trains them anew without what the round before flagged."""

from dataclasses import dataclass

import torch

from tasks.attribute.combine import SampleScores, combine, judge
from tasks.attribute.folds import noise_of_heads, score_heads, solve_heads
from tasks.attribute.noise import Noise
from tasks.attribute.rounds import Rounds
from tasks.encode.choose import Member
from tasks.fit.design import Design
from tasks.fit.network.round import NetworkRound, fit_round
from tasks.fit.network.train import Task
from tasks.fit.newton import Fit
from tasks.fit.solve import Solution
from tasks.options import AuditOptions


def run_network_rounds(
    task: Task, design: Design, options: AuditOptions, *, keep_probabilities: bool = True
) -> tuple[Rounds, list[Member]]:
    """Train, fit and score `options.rounds` times, in memory.

    Args:
        task: Data and architecture.
        design: Folds.
        options: Options of the audit.
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
        scored = score_round(task, fitted, design, options, keep_probabilities=keep_probabilities)
        fits.append([fitted.fit])
        solutions.append([scored.solution])
        keep = torch.from_numpy(~judge(scored.scores, options.score)[1]).to(keep.device)
    return Rounds(scored.scores, scored.noise, fits, solutions), fitted.members


@dataclass(frozen=True)
class Scored:
    """What one round says of every sample, the noise matrices behind it, and the solves."""

    scores: SampleScores
    noise: Noise
    solution: Solution


def score_round(
    task: Task,
    fitted: NetworkRound,
    design: Design,
    options: AuditOptions,
    *,
    keep_probabilities: bool = True,
) -> Scored:
    """Solve once for each fold and score every sample under every label.

    Args:
        task: Data and architecture.
        fitted: What the round fitted.
        design: Folds.
        options: Options of the audit.
        keep_probabilities: Whether to keep the (n, C) out-of-fold probabilities.
    """
    theta = fitted.fit.theta
    solution = solve_heads(fitted.stacks, theta, options.solver)
    blocks = score_heads(fitted.stacks, design, theta, solution.vector)
    noise = noise_of_heads(fitted.stacks, design, task.labels, theta, options.seed)
    scores = combine([blocks], task.labels, noise, keep_probabilities=keep_probabilities)
    return Scored(scores, noise, solution)
