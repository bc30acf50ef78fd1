"""The rounds of an audit: fit, solve, score, and again without what was flagged."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from tasks.attribute.combine import SampleScores, combine, judge_samples
from tasks.attribute.estimate import estimate_noise
from tasks.attribute.heads import score_head, solve_head
from tasks.attribute.influence import BlockScores
from tasks.attribute.votes import AnyNoise
from tasks.heads.design import choose_kept
from tasks.heads.ensemble import Ensemble
from tasks.heads.members import Member
from tasks.heads.model import AuditModel
from tasks.heads.newton import Fit
from tasks.heads.solve import Solution
from tasks.options import AuditOptions
from tasks.runs.progress import report_progress

M = TypeVar("M")
S = TypeVar("S")


def run_rounds(
    count: int, fit: Callable[[M | None, S | None], M], attribute: Callable[[M], S]
) -> Iterator[tuple[M, S]]:
    """Yield what each round fitted and what it says of the samples, in memory or on files alike.

    Args:
        fit: From what the round before fitted and said, None in the first one, to what this one fits.
        attribute: From what is fitted to what it says.

    >>> list(run_rounds(2, lambda model, scores: (model or 0) + (scores or 1), lambda model: 10 * model))
    [(1, 10), (11, 110)]
    """
    model, scores = None, None
    for _ in range(count):
        model = fit(model, scores)
        scores = attribute(model)
        yield model, scores


@dataclass(frozen=True)
class Scored:
    """What one round says of every sample."""

    scores: SampleScores
    noise: AnyNoise
    solutions: list[Solution]


def score_round(ensemble: Ensemble, options: AuditOptions, *, keep_probabilities: bool = True) -> Scored:
    """Solve once for each head, and score every sample under every label.

    Args:
        keep_probabilities: Whether to keep the (n, C) out-of-fold probabilities.
    """
    samples, heads = ensemble.samples, ensemble.heads
    solutions = [solve_head(head, options.solver) for head in heads]
    blocks = [score_head(head, ensemble.design, v) for head, v in zip(heads, solutions, strict=True)]
    blocks[0] = _count_rows(blocks[0], len(samples.labels))
    noise = estimate_noise(ensemble, options.seed)
    scores = combine(
        blocks,
        samples.labels,
        noise,
        votes=samples.votes,
        opinions=ensemble.beside,
        keep_probabilities=keep_probabilities,
    )
    return Scored(scores, noise, solutions)


def _count_rows(blocks: Iterable[BlockScores], rows: int) -> Iterator[BlockScores]:
    """Say how far the pass over the data is."""
    for block in blocks:
        yield block
        report_progress("rows", block.rows.stop, rows)


@dataclass(frozen=True)
class Rounds:
    """What the rounds of an audit in memory found.

    Attributes:
        noise: How labels go wrong, as the last round sees it.
        fits: For each round the fit of each head.
        solutions: For each round the solve of each head.
    """

    scores: SampleScores
    noise: AnyNoise
    members: list[Member]
    fits: list[list[Fit]]
    solutions: list[list[Solution]]


def audit_in_memory(
    model: AuditModel, members: Sequence[Member], *, keep_probabilities: bool = True
) -> Rounds:
    """Fit and score as many rounds as the options say; each later one is fitted without what the earlier one flagged.

    Args:
        model: The model, on the samples that are audited.
        members: What the first round begins with.
        keep_probabilities: Whether to keep the (n, C) out-of-fold probabilities.
    """
    options, fits, solutions = model.options, [], []
    numbers = iter(range(1, options.rounds + 1))

    def fit(before: Ensemble | None, scored: Scored | None) -> Ensemble:
        begun = members if before is None else before.members
        keep = torch.ones_like(model.samples.labels, dtype=torch.bool)
        if scored is not None:
            _, flagged = judge_samples(scored.scores, options.score, model.samples.verified)
            keep = torch.from_numpy(choose_kept(flagged)).to(keep.device)
        return model.fit(begun, keep, next(numbers))

    def attribute(ensemble: Ensemble) -> Scored:
        return score_round(ensemble, options, keep_probabilities=keep_probabilities)

    for ensemble, scored in run_rounds(options.rounds, fit, attribute):
        fits.append([head.fit for head in ensemble.heads])
        solutions.append(scored.solutions)
    return Rounds(scored.scores, scored.noise, ensemble.members, fits, solutions)
