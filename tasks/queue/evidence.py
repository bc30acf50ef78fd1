"""Evidence for the flagged samples: whom they harm, who is nearest, which inputs matter."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.attribute.heads import make_flat_networks
from tasks.attribute.network_influence import compute_network_saliency
from tasks.attribute.pairwise import compute_saliency, find_most_harmed
from tasks.heads.design import Design
from tasks.heads.ensemble import Ensemble, Head, predict_unseen
from tasks.heads.feature_map import FeatureMap, compute_squared_distances
from tasks.heads.features import Features
from tasks.heads.neighbours import Ints, Neighbours, find_nearest
from tasks.heads.softmax import SoftmaxStack
from tasks.runs.progress import report_progress

HARMED, NEIGHBOURS = 5, 5
# One more than the keys 1 to 5 of the review page: the given label has a key of its own.
LIKELIEST = 6
_CHUNK_ROWS = 2_048

# A person reads the top of the queue: the samples beyond get neighbours, but no solve of their own.
HARMED_ROWS = 200
# Each costs some dozen passes over these many probabilities: with a thousand classes fewer of them are told whom they harm.
HARMED_VALUES = 2**28
SALIENCY_ROWS = 48

# Pairs of a queued sample and any other that are compared for neighbours, half a minute of two cores at 64 features. Where the
# data are larger, the worst samples have neighbours and the rest of the queue has none.
NEIGHBOUR_PAIRS = 10**10
# They are compared in blocks of this many: 16 MiB of float32, some of it several times.
_PAIRS = 2**22

# Whom a sample harms is told to two digits, for which a Hessian of this many rows, and as many to look among, are enough.
EVIDENCE_ROWS = 65_536


@dataclass(frozen=True)
class LikelyClasses:
    """The likeliest classes of q samples out of fold, likeliest first: (q, k) which, and (q, k) how likely."""

    classes: Array
    probability: Array


@dataclass(frozen=True)
class Evidence:
    """What speaks about the queued samples, worst first.

    Attributes:
        close: Nearest neighbours of the first of them, at most `NEIGHBOUR_PAIRS` compared.
        hurt: For the top, the samples each harms most, with the influence.
        saliency: (q, d) for the top, the derivative of the influence with respect to the raw features.
    """

    close: Neighbours
    hurt: dict[int, list[tuple[int, float]]]
    likely: LikelyClasses
    saliency: Array


def find_sample_neighbours(features: Features, standard: FeatureMap, chosen: Tensor) -> Neighbours:
    """Return the nearest neighbours of some samples among all others, exactly, in one pass over the features.

    Args:
        standard: Its mean and scale make features of different units comparable.
        chosen: (q,) samples.
    """

    def blocks() -> Iterator[tuple[slice, Tensor]]:
        for rows, raw in features.blocks():
            yield rows, standard.standardise(raw)
            report_progress("rows compared", rows.stop, features.n)

    own = standard.standardise(features.take(chosen))
    count = min(NEIGHBOURS, features.n - 1)
    found = find_nearest(blocks(), own, chosen.cpu().numpy(), count, _find_closest)
    return Neighbours(np.sqrt(found.distance), found.index)


def _find_closest(points: Tensor, block: Tensor, own: Ints, count: int) -> tuple[Array, Ints]:
    """Look through a block as `tasks.heads.neighbours.find_closest` does, on the device where it is."""
    left_out, found = torch.from_numpy(own).to(points.device), []
    places = torch.arange(len(points), device=points.device)
    for some in torch.split(places, max(1, _PAIRS // len(block))):
        pairs, mine = compute_squared_distances(points[some], block), left_out[some]
        inside = (mine >= 0) & (mine < len(block))
        pairs[inside, mine[inside]] = torch.inf
        found.append(pairs.topk(min(count, len(block)), dim=1, largest=False))
    squared, which = (torch.cat(one).cpu().numpy() for one in zip(*found, strict=True))
    return squared, which


def find_unseen_neighbours(head: Head, design: Design, chosen: Tensor) -> Neighbours:
    """Return the nearest neighbours of some samples, each in the features of the fold that did not see it.

    Where each fold learned features of its own, the one that was trained on a wrong label may have moved the sample to where
    the label says.

    Args:
        chosen: (q,) samples.
    """
    kept = min(NEIGHBOURS, head.problems[0].features.n - 1)
    index, distance = np.zeros((len(chosen), kept), np.int64), np.zeros((len(chosen), kept))
    own = design.out_of_fold(chosen)
    for problem, folds in head.parts():
        mine = (own >= folds.start) & (own < folds.stop)
        if mine.any():
            found = find_sample_neighbours(problem.features, problem.member.feature_map, chosen[mine])
            index[mine.cpu().numpy()], distance[mine.cpu().numpy()] = found.index, found.distance
    return Neighbours(distance, index)


def find_likeliest(ensemble: Ensemble, chosen: Tensor) -> LikelyClasses:
    """Return the likeliest classes of some samples, as models see them that did not learn from them.

    Args:
        chosen: (q,) samples.
    """
    kept = min(LIKELIEST, ensemble.samples.n_classes)
    classes, probability = np.empty((len(chosen), kept), np.int64), np.empty((len(chosen), kept))
    for start in range(0, len(chosen), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        found = predict_unseen(ensemble, chosen[rows])
        classes[rows] = np.argsort(-found, axis=1, kind="stable")[:, :kept]
        probability[rows] = np.take_along_axis(found, classes[rows], axis=1)
    return LikelyClasses(classes, probability)


def count_harmed_rows(stack: SoftmaxStack) -> int:
    """Return of how many samples it is worth telling whom they harm."""
    values = min(stack.rows.n, EVIDENCE_ROWS) * stack.n_classes
    return max(1, min(HARMED_ROWS, HARMED_VALUES // values))


def find_harmed(head: Head, design: Design, chosen: Tensor) -> dict[int, list[tuple[int, float]]]:
    """Return for each chosen sample the evaluation samples it harms most, with the influence.

    A sample is judged by one fold that scores it and holds others out: the one after its own. Where samples are many, whom it
    harms is looked for among a random part of them.

    Args:
        chosen: (q,) samples.
    """
    judge = (design.out_of_fold(chosen) + 1) % design.folds
    result: dict[int, list[tuple[int, float]]] = {}
    for problem, folds in head.parts():
        stack, place = problem.stack, torch.arange(problem.stack.rows.n, device=chosen.device)
        if stack.rows.n > EVIDENCE_ROWS:
            drawn = torch.from_numpy(design.draw(EVIDENCE_ROWS - len(chosen), seed=0)).to(chosen)
            place = torch.unique(torch.cat([drawn, chosen]))
            stack = stack.subset(place)
        for fold in range(folds.start, folds.stop):
            mine = chosen[judge == fold]
            if not len(mine):
                continue
            alone = stack.design.single(fold - folds.start)
            one = SoftmaxStack(stack.rows, stack.labels, stack.n_classes, alone, stack.l2, stack.keep)
            evaluation = torch.nonzero((alone.group == 2) & one.keep).squeeze(1)
            theta = head.fit.theta[:, fold : fold + 1]
            found = find_most_harmed(one, theta, torch.searchsorted(place, mine), evaluation, HARMED)
            pairs = zip(mine.tolist(), place[found.index].tolist(), found.influence.tolist(), strict=True)
            for sample, others, values in pairs:
                result[sample] = [pair for pair in zip(others, values, strict=True) if pair[1] < 0]
            report_progress("folds", fold + 1, design.folds)
    return result


def measure_saliency(ensemble: Ensemble, number: int, chosen: Tensor, vector: Tensor) -> Array:
    """Return (q, d) derivatives of the influence of some samples by their raw features; (0, d) where a model has none.

    Args:
        chosen: (q,) samples.
    """
    head, design, samples = ensemble.heads[number], ensemble.design, ensemble.samples
    labels, raw = samples.labels, samples.features.take(chosen)
    scored = design.scored(chosen).expand(-1, design.folds).to(raw)
    wholes = make_flat_networks(head)
    total = torch.zeros_like(raw)
    for fold, whole in enumerate(wholes):
        total += compute_network_saliency(whole, labels, chosen, vector[fold]) * scored[:, fold, None]
    for problem, folds in () if wholes else head.parts():
        if problem.encode is None:
            return np.empty((0, raw.shape[1]))
        theta, ihvp = head.fit.theta[:, folds], vector[:, folds]
        total += compute_saliency(problem.encode, raw, labels[chosen], scored[:, folds], theta, ihvp)
    return (total / scored.sum(1, keepdim=True)).cpu().numpy()


def find_evidence(ensemble: Ensemble, index: Tensor, vectors: Sequence[Tensor]) -> Evidence:
    """Return the evidence of one head for the queued samples.

    Args:
        index: (q,) the queued samples, worst first.
        vectors: What the solve of each head found.
    """
    # Every flagged sample needs a solve of its own here: the narrowest head gives it at the least cost.
    number = ensemble.narrowest
    head, design = ensemble.heads[number], ensemble.design
    compared = index[: max(1, NEIGHBOUR_PAIRS // ensemble.samples.features.n)]
    top = index[: count_harmed_rows(head.stacks[0])]
    return Evidence(
        close=find_unseen_neighbours(head, design, compared),
        hurt=find_harmed(head, design, top) if len(index) else {},
        likely=find_likeliest(ensemble, index),
        saliency=measure_saliency(ensemble, number, index[:SALIENCY_ROWS], vectors[number]),
    )
