"""The ensemble that a round fits: heads on features, whatever learned these, and opinions beside them.

A head is a softmax regression on features. Where all folds see the same features, it is one problem of K folds. Where each fold
learned features of its own, it is K problems of one fold each. Opinions are out-of-fold probabilities of models that have no
influence to speak of: they count in what is believed of a label, and the heads carry the influence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.heads.design import Design
from tasks.heads.features import Features
from tasks.heads.fit import fit_stack
from tasks.heads.flat_network import FlatNetwork
from tasks.heads.members import Member
from tasks.heads.newton import Fit
from tasks.heads.samples import Samples
from tasks.heads.softmax import SoftmaxStack
from tasks.options import AuditOptions

# Samples whose probabilities under every fold are held at once.
CHUNK_ROWS = 2_048


@dataclass(frozen=True)
class Problem:
    """Folds of one head that see the same features.

    Attributes:
        member: Feature map, regularisation, and where the fit starts.
        features: What the feature map encodes: the raw features, or what a fold learned of them.
        encode: From raw features (b, d) to encoded ones (b, width), in torch; None where that has no derivative.
        whole: From a fold's parameters (width, C) to the model as a function of every parameter; None: the head is all of it.
    """

    stack: SoftmaxStack
    member: Member
    features: Features
    encode: Callable[[Tensor], Tensor] | None
    whole: Callable[[Tensor], FlatNetwork] | None = None


@dataclass(frozen=True)
class Head:
    """One fitted member of the ensemble.

    Attributes:
        problems: One of K folds, or K of one fold each.
    """

    problems: Sequence[Problem]
    fit: Fit

    @property
    def stacks(self) -> list[SoftmaxStack]:
        """The regressions of each problem."""
        return [problem.stack for problem in self.problems]

    def parts(self) -> Iterator[tuple[Problem, slice]]:
        """Yield each problem with the folds that it holds."""
        return zip(self.problems, slice_folds(self.stacks), strict=True)


@dataclass(frozen=True)
class Ensemble:
    """What a round fitted.

    Attributes:
        samples: The samples, with the labels that were fitted.
        opinions: (m, n, C) logarithms of the out-of-fold probabilities of m further models, of this round alone.
    """

    samples: Samples
    design: Design
    heads: Sequence[Head]
    opinions: Tensor | None = None

    @property
    def members(self) -> list[Member]:
        """The members, those of one head after those of another; each starts where its fit ended."""
        return [
            replace(problem.member, start=head.fit.theta[:, folds])
            for head in self.heads
            for problem, folds in head.parts()
        ]

    @property
    def beside(self) -> Tensor | None:
        """(m, n, C) opinions: those that all rounds share, then those of this round; None where there is none."""
        found = [one for one in (self.samples.opinions, self.opinions) if one is not None]
        return torch.cat(found) if found else None

    @property
    def narrowest(self) -> int:
        """Number of the head with the fewest features, whose solves cost least."""
        return min(
            range(len(self.heads)),
            key=lambda number: self.heads[number].problems[0].member.feature_map.width,
        )


@dataclass(frozen=True)
class Opinion:
    """What a model without influence says of every sample.

    Attributes:
        log_p: (n, C) float32 logarithms of out-of-fold probabilities.
        log_loss: Of them on the given labels, in nats.
    """

    name: str
    log_p: Tensor
    log_loss: float


def slice_folds(stacks: Sequence[SoftmaxStack]) -> Iterator[slice]:
    """Yield which of all folds each of some problems holds."""
    start = 0
    for stack in stacks:
        yield slice(start, start + stack.design.folds)
        start += stack.design.folds


def fit_problems(problems: Sequence[Problem], options: AuditOptions) -> Fit:
    """Fit one head to convergence, from where its members start, unless that was with other folds."""
    starts = [one.member.start if one.member.start.shape == one.stack.shape else None for one in problems]
    stacks = [one.stack for one in problems]
    return join_fits([fit_stack(s, start, options) for s, start in zip(stacks, starts, strict=True)])


def join_fits(fits: Sequence[Fit]) -> Fit:
    """Return the fits of some problems as one fit of all folds; a curve that ended early keeps its last value."""
    length = max(len(fit.curve) for fit in fits)
    padded = [fit.curve + [fit.curve[-1]] * (length - len(fit.curve)) for fit in fits]
    curve = [
        ([loss for losses, _ in points for loss in losses], [norm for _, norms in points for norm in norms])
        for points in zip(*padded, strict=True)
    ]
    return Fit(
        theta=torch.cat([fit.theta for fit in fits], dim=1),
        gradient_norm=torch.cat([fit.gradient_norm for fit in fits]),
        iterations=max(fit.iterations for fit in fits),
        converged=all(fit.converged for fit in fits),
        curve=curve,
    )


def compute_fold_probabilities(stacks: Sequence[SoftmaxStack], theta: Tensor, index: Tensor) -> Tensor:
    """Return the logarithms of what each fold of a head makes of some samples, (K, C, m) float64."""
    logits = [
        stack.logits(stack.rows.take(index), theta[:, folds]).double().permute(1, 2, 0)
        for stack, folds in zip(stacks, slice_folds(stacks), strict=True)
    ]
    return torch.log_softmax(torch.cat(logits), dim=1)


def predict_unseen_classes(ensemble: Ensemble, index: Tensor) -> Array:
    """Return the class that each model finds most probable out of fold, (models, m): the heads, then the opinions.

    Args:
        index: (m,) samples.
    """
    own = ensemble.design.out_of_fold(index)
    found = []
    for head in ensemble.heads:
        parts = [
            compute_fold_probabilities(head.stacks, head.fit.theta, part)
            .gather(0, fold[None, None].expand(1, ensemble.samples.n_classes, -1))
            .argmax(1)
            for part, fold in zip(torch.split(index, CHUNK_ROWS), torch.split(own, CHUNK_ROWS), strict=True)
        ]
        found.append(torch.cat(parts, dim=1)[0])
    if ensemble.beside is not None:
        found += list(ensemble.beside[:, index].argmax(-1))
    classes: Array = torch.stack(found).cpu().numpy()
    return classes


def predict_unseen(ensemble: Ensemble, index: Tensor | None = None) -> Array:
    """Return the out-of-fold probabilities of some samples, or of all, (m, C) float64: the mean of heads and opinions.

    The heads' own mean counts as one opinion.
    """
    samples = ensemble.samples
    chosen = torch.arange(samples.features.n) if index is None else index
    own = ensemble.design.out_of_fold(chosen.to(samples.labels.device))
    total = torch.zeros(len(own), samples.n_classes, dtype=torch.float64, device=own.device)
    for head in ensemble.heads:
        for problem, folds in head.parts():
            rows = problem.stack.rows
            for here, features in rows.blocks() if index is None else [(slice(None), rows.take(index))]:
                p = torch.softmax(problem.stack.logits(features, head.fit.theta[:, folds]).double(), dim=-1)
                place = own[here] - folds.start
                mine = torch.nonzero((place >= 0) & (place < p.shape[1])).squeeze(1)
                total[here][mine] += p[mine, place[mine]]
    total, beside = total / len(ensemble.heads), ensemble.beside
    if beside is not None:
        total = (total + beside[:, chosen].double().exp().sum(0)) / (1 + len(beside))
    probabilities: Array = total.cpu().numpy()
    return probabilities
