"""Evidence for the flagged samples: whom they harm, who is nearest, which inputs matter."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.attribute.pairwise import most_harmed, saliency
from tasks.encode.choose import Member
from tasks.encode.feature_map import squared_distances
from tasks.fit.data import Samples
from tasks.fit.design import Design
from tasks.fit.softmax import SoftmaxStack

HARMED, NEIGHBOURS = 5, 5

# A person reads the top of the queue: the samples beyond get neighbours, but no solve of their own.
HARMED_ROWS = 200
SALIENCY_ROWS = 48

# Distances are taken in blocks of this many pairs: 64 MiB of float32.
PAIRS = 2**24


@dataclass(frozen=True)
class Nearest:
    """The nearest neighbours of q samples, nearest first.

    Attributes:
        index: (q, k) index into the data set.
        distance: (q, k) Euclidean, in standardised features.
    """

    index: Array
    distance: Array


def nearest(features: Tensor, chosen: Tensor, count: int = NEIGHBOURS) -> Nearest:
    """Return the nearest neighbours of some samples among all others, exactly.

    Args:
        features: (n, d) standardised features.
        chosen: (q,) samples.
        count: k.

    >>> nearest(torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([0]), 1).index.tolist()
    [[1]]
    """
    index, distance = [], []
    for part in torch.split(chosen, max(1, PAIRS // len(features))):
        pairs = squared_distances(features[part], features)
        pairs[torch.arange(len(part), device=part.device), part] = torch.inf
        found = pairs.topk(min(count, len(features) - 1), dim=1, largest=False)
        index.append(found.indices)
        distance.append(found.values.sqrt())
    return Nearest(torch.cat(index).cpu().numpy(), torch.cat(distance).cpu().numpy())


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
    design = stack.design
    judge = (design.out_of_fold(slice(0, stack.rows.n))[chosen] + 1) % design.folds
    result: dict[int, list[tuple[int, float]]] = {}
    for fold in torch.unique(judge).tolist():
        samples = chosen[judge == fold]
        alone = design.single(fold)
        one = SoftmaxStack(stack.rows, stack.labels, stack.n_classes, alone, stack.l2, stack.keep)
        evaluation = torch.nonzero((alone.group == 2) & stack.keep).squeeze(1)
        found = most_harmed(one, theta[:, fold : fold + 1], samples, evaluation, count)
        for sample, others, values in zip(
            samples.tolist(), found.index.tolist(), found.influence.tolist(), strict=True
        ):
            result[sample] = [
                (other, value) for other, value in zip(others, values, strict=True) if value < 0
            ]
    return result


def saliency_of(
    member: Member, samples: Samples, design: Design, chosen: Tensor, theta: Tensor, ihvp: Tensor
) -> Array:
    """Return (q, d) derivatives of the influence of some samples with respect to their raw features."""
    scored = design.scored(chosen).to(theta.dtype)
    gradient = saliency(
        member.feature_map, samples.features[chosen], samples.labels[chosen], scored, theta, ihvp
    )
    return gradient.cpu().numpy()
