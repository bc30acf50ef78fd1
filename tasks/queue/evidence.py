"""Evidence for the flagged samples: whom they harm, who is nearest, which inputs matter."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.attribute.pairwise import most_harmed, saliency
from tasks.heads.design import Design
from tasks.heads.feature_map import FeatureMap, squared_distances
from tasks.heads.features import Features
from tasks.heads.members import Member
from tasks.heads.samples import Samples
from tasks.heads.softmax import SoftmaxStack
from tasks.runs.progress import tick

HARMED, NEIGHBOURS = 5, 5

# A person reads the top of the queue: the samples beyond get neighbours, but no solve of their own.
HARMED_ROWS = 200
# Each costs some dozen passes over these many probabilities: with a thousand classes fewer of them are told whom they harm.
HARMED_VALUES = 2**28
SALIENCY_ROWS = 48

# Pairs of a queued sample and any other that are compared for neighbours, half a minute of two cores at 64 features. Where the
# data are larger, the worst samples have neighbours and the rest of the queue has none.
NEIGHBOUR_PAIRS = 10**10

# Whom a sample harms is told to two digits, for which a Hessian of this many rows, and as many to look among, are enough.
EVIDENCE_ROWS = 65_536

# Distances are taken in blocks of this many pairs: 16 MiB of float32, some of it several times.
PAIRS = 2**22


@dataclass(frozen=True)
class Nearest:
    """The nearest neighbours of q samples, nearest first.

    Attributes:
        index: (q, k) index into the data set.
        distance: (q, k) Euclidean, in standardised features.
    """

    index: Array
    distance: Array


@dataclass(frozen=True)
class Evidence:
    """What speaks about the queued samples, worst first.

    Attributes:
        close: Nearest neighbours of the first of them, at most `NEIGHBOUR_PAIRS` compared.
        hurt: For the top, the samples each harms most, with the influence.
        saliency: (q, d) for the top, the derivative of the influence with respect to the raw features.
    """

    close: Nearest
    hurt: dict[int, list[tuple[int, float]]]
    saliency: Array


def nearest(features: Features, standard: FeatureMap, chosen: Tensor, count: int = NEIGHBOURS) -> Nearest:
    """Return the nearest neighbours of some samples among all others, exactly, in one pass over the features.

    Args:
        features: Raw features of n samples.
        standard: Its mean and scale make features of different units comparable.
        chosen: (q,) samples.
        count: k.

    >>> from tasks.heads.features import MemoryFeatures
    >>> plain = FeatureMap("raw", torch.zeros(1), torch.ones(1))
    >>> nearest(MemoryFeatures(torch.tensor([[0.0], [1.0], [5.0]])), plain, torch.tensor([0]), 1).index.tolist()
    [[1]]
    """
    own = standard.standardised(features.take(chosen))
    kept = min(count, features.n - 1)
    distance = own.new_full((len(chosen), kept), torch.inf)
    index = torch.zeros_like(distance, dtype=torch.long)
    places = torch.arange(len(chosen), device=own.device)
    for rows, raw in features.blocks():
        block = standard.standardised(raw)
        for part in torch.split(places, max(1, PAIRS // len(block))):
            pairs = squared_distances(own[part], block)
            inside = (chosen[part] >= rows.start) & (chosen[part] < rows.stop)
            pairs[inside, chosen[part][inside] - rows.start] = torch.inf
            found = pairs.topk(min(kept, len(block)), dim=1, largest=False)
            both = torch.cat([distance[part], found.values], dim=1)
            which = torch.cat([index[part], found.indices + rows.start], dim=1)
            best = both.topk(kept, dim=1, largest=False)
            distance[part], index[part] = best.values, which.gather(1, best.indices)
        tick("rows compared", rows.stop, features.n)
    return Nearest(index.cpu().numpy(), distance.sqrt().cpu().numpy())


def judged(stack: SoftmaxStack) -> int:
    """Return of how many samples it is worth telling whom they harm."""
    values = min(stack.rows.n, EVIDENCE_ROWS) * stack.n_classes
    return max(1, min(HARMED_ROWS, HARMED_VALUES // values))


def harmed(
    stack: SoftmaxStack, theta: Tensor, chosen: Tensor, count: int = HARMED
) -> dict[int, list[tuple[int, float]]]:
    """Return for each chosen sample the evaluation samples it harms most, with the influence.

    A sample is judged by one fold that scores it and holds others out: the one after its own.

    Args:
        stack: One member's folds.
        theta: (width, K, C) fitted parameters.
        chosen: (q,) samples.
        count: At most how many.
    """
    if stack.rows.n > EVIDENCE_ROWS:
        return _harmed_in_part(stack, theta, chosen, count)

    def alone(fold: int) -> SoftmaxStack:
        design = stack.design.single(fold)
        return SoftmaxStack(stack.rows, stack.labels, stack.n_classes, design, stack.l2, stack.keep)

    return harmed_by_fold(alone, stack.design, theta, chosen, count)


def harmed_by_fold(
    alone: Callable[[int], SoftmaxStack], design: Design, theta: Tensor, chosen: Tensor, count: int = HARMED
) -> dict[int, list[tuple[int, float]]]:
    """Do the same with problems of one fold each, `alone(fold)`."""
    judge = (design.out_of_fold(chosen) + 1) % design.folds
    result: dict[int, list[tuple[int, float]]] = {}
    judges = torch.unique(judge).tolist()
    for done, fold in enumerate(judges, start=1):
        samples = chosen[judge == fold]
        one = alone(fold)
        evaluation = torch.nonzero((one.design.group == 2) & one.keep).squeeze(1)
        found = most_harmed(one, theta[:, fold : fold + 1], samples, evaluation, count)
        for sample, others, values in zip(
            samples.tolist(), found.index.tolist(), found.influence.tolist(), strict=True
        ):
            result[sample] = [
                (other, value) for other, value in zip(others, values, strict=True) if value < 0
            ]
        tick("folds", done, len(judges))
    return result


def _harmed_in_part(
    stack: SoftmaxStack, theta: Tensor, chosen: Tensor, count: int
) -> dict[int, list[tuple[int, float]]]:
    """Do the same on the chosen samples and a random part of the others."""
    drawn = torch.from_numpy(stack.design.draw(EVIDENCE_ROWS - len(chosen), seed=0)).to(chosen)
    some = torch.unique(torch.cat([drawn, chosen]))
    part = stack.subset(some)
    found = harmed(part, theta, torch.searchsorted(some, chosen), count)
    place = some.tolist()
    return {place[sample]: [(place[j], value) for j, value in harms] for sample, harms in found.items()}


def saliency_of(
    member: Member, samples: Samples, design: Design, chosen: Tensor, theta: Tensor, ihvp: Tensor
) -> Array:
    """Return (q, d) derivatives of the influence of some samples with respect to their raw features."""
    scored = design.scored(chosen).to(theta.dtype)
    gradient = saliency(
        member.feature_map, samples.features.take(chosen), samples.labels[chosen], scored, theta, ihvp
    )
    return gradient.cpu().numpy()
