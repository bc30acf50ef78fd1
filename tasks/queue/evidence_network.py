"""Evidence for the flagged samples where networks were trained: in the networks' features, back to the raw ones."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tasks.arrays import Array
from tasks.attribute.networks import wholes_of
from tasks.attribute.pairwise import saliency
from tasks.attribute.whole import saliency_of_whole
from tasks.fit.network.folds import body_of
from tasks.fit.network.round import NetworkRound
from tasks.fit.network.stored import load_round
from tasks.fit.network.train import Task
from tasks.fit.step import kept_samples
from tasks.heads.design import Design
from tasks.heads.members import Member
from tasks.heads.samples import Samples
from tasks.heads.store import load_parameters
from tasks.options import AuditOptions
from tasks.queue.evidence import (
    HARMED_ROWS,
    NEIGHBOUR_PAIRS,
    NEIGHBOURS,
    SALIENCY_ROWS,
    Evidence,
    Nearest,
    harmed_by_fold,
    nearest,
)
from tasks.records import Dataset, Encoding, Model


def network_evidence(
    dataset: Dataset,
    samples: Samples,
    encoding: Encoding,
    model: Model,
    options: AuditOptions,
    index: Tensor,
) -> Evidence:
    """Return whom the queued samples harm, their neighbours, and which inputs matter.

    Args:
        dataset: The validated data.
        samples: Features and labels.
        encoding: Names the feature file.
        model: The last round.
        options: Options of the audit.
        index: (q,) the queued samples, worst first.
    """
    keep, design = kept_samples(samples, model.left_out), samples.design(options)
    task, fitted = load_round(dataset, encoding, samples, keep, options, model)
    (ihvp,) = load_parameters(model.path, "ihvp", 1, samples.features.like)
    top, seen = index[:HARMED_ROWS], index[:SALIENCY_ROWS]
    return Evidence(
        close=nearest_unseen(fitted, design, index[: max(1, NEIGHBOUR_PAIRS // len(task.labels))]),
        hurt=harmed_by_fold(fitted.stacks.__getitem__, design, fitted.fit.theta, top) if len(index) else {},
        saliency=whole_saliency(task, fitted, design, seen, ihvp)
        if options.params == "all"
        else network_saliency(task, fitted, design, seen, ihvp),
    )


def nearest_unseen(fitted: NetworkRound, design: Design, chosen: Tensor, count: int = NEIGHBOURS) -> Nearest:
    """Return the nearest neighbours of some samples, each in the features of the network that did not see it.

    The network that was trained on a wrong label may have moved the sample to where the label says.

    Args:
        fitted: The round.
        design: Of all folds.
        chosen: (q,) samples.
        count: k.
    """
    kept = min(count, fitted.networks.features[0].n - 1)
    index = torch.zeros(len(chosen), kept, dtype=torch.long)
    distance = torch.zeros(len(chosen), kept, dtype=torch.float64)
    own = design.out_of_fold(chosen)
    for fold in torch.unique(own).tolist():
        mine = own == fold
        found = nearest(fitted.networks.features[fold], fitted.members[fold].feature_map, chosen[mine], count)
        index[mine.cpu()] = torch.from_numpy(found.index)
        distance[mine.cpu()] = torch.from_numpy(found.distance).double()
    return Nearest(index.numpy(), distance.numpy())


def network_saliency(task: Task, fitted: NetworkRound, design: Design, chosen: Tensor, ihvp: Tensor) -> Array:
    """Return (q, d) derivatives of the influence of some samples with respect to their raw features.

    Args:
        task: Data and architecture.
        fitted: The round.
        design: Of all folds.
        chosen: (q,) samples.
        ihvp: (width, K, C) inverse-Hessian-vector products of the heads.
    """
    raw, labels = task.features.take(chosen), task.labels[chosen]
    scored = design.scored(chosen).to(raw.dtype)
    total = torch.zeros_like(raw)
    for fold, (trained, member) in enumerate(zip(fitted.networks.networks, fitted.members, strict=True)):
        one = slice(fold, fold + 1)
        gradient = saliency(
            _encode(task, body_of(task, trained.network), member),
            raw,
            labels,
            torch.ones_like(scored[:, :1]),
            fitted.fit.theta[:, one],
            ihvp[:, one],
        )
        total += gradient * scored[:, one]
    mean: Array = (total / scored.sum(1, keepdim=True)).cpu().numpy()
    return mean


def whole_saliency(task: Task, fitted: NetworkRound, design: Design, chosen: Tensor, ihvp: Tensor) -> Array:
    """Do the same for influences on every parameter; `ihvp` is (K, P). Whom a sample harms is told by the head alone."""
    scored = design.scored(chosen).expand(-1, design.folds).to(ihvp)
    gradients = [
        saliency_of_whole(whole, task, chosen, vector)
        for whole, vector in zip(wholes_of(task, fitted), ihvp, strict=True)
    ]
    total = torch.stack([gradient * scored[:, fold, None] for fold, gradient in enumerate(gradients)]).sum(0)
    mean: Array = (total / scored.sum(1, keepdim=True)).cpu().numpy()
    return mean


def _encode(task: Task, body: nn.Module, member: Member) -> Callable[[Tensor], Tensor]:
    """Return the way from raw features to what a fold's head sees."""
    return lambda raw: member.feature_map(body(task.inputs(raw).float()).to(raw))
