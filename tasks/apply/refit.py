"""Out-of-fold probabilities of the same ensemble on the same folds, whatever the labels: what a correction is judged by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.encode.encoded import encoded
from tasks.encode.model import choose_model, settled
from tasks.fit.network.round import fit_round, make_task
from tasks.fit.network.stored import first_l2
from tasks.heads.design import Design
from tasks.heads.device import pick_device, pick_dtype
from tasks.heads.features import MemoryFeatures
from tasks.heads.fit import fit_stack
from tasks.heads.members import Member, choose_members
from tasks.heads.samples import Samples, image_shape, read_labels, read_order, read_samples
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.stacks import make_stacks
from tasks.heads.store import load_encoding
from tasks.ingest.groups import named_groups
from tasks.memory import memory_budget
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding
from tasks.storage import read_json


@dataclass(frozen=True)
class Judge:
    """What stays the same between two refits: features, folds, feature maps, regularisation, seeds.

    Attributes:
        samples: The samples with the labels they were audited with.
        design: Folds, stratified by those labels.
        members: The ensemble of the run; empty with networks, which learn their features from the labels.
        options: Options of the run.
        image_shape: Shape of an image, None for plain features.
        l2: Regularisation of the networks' heads in the run, None where it is to be chosen.
    """

    samples: Samples
    design: Design
    members: list[Member]
    options: AuditOptions
    image_shape: tuple[int, ...] | None = None
    l2: float | None = None


@dataclass(frozen=True)
class Refit:
    """(n, C) out-of-fold probabilities, and whether every fit reached its tolerance."""

    probabilities: Array
    converged: bool


def judge_of(run: Path, dataset: Dataset, options: AuditOptions) -> Judge:
    """Set up the refits of a run.

    Args:
        run: The run folder; its feature maps are used where it holds them.
        dataset: Its data set.
        options: Options of the run.
    """
    encoding = _encoding_of(run)
    samples = _samples_of(dataset, encoding, options)
    image = image_shape(dataset, samples.features.width)
    if encoding is not None:
        options = settled(options, encoding)
    else:
        choice = choose_model(
            options, image=image is not None, samples=samples.features.n, device=samples.labels.device
        )
        options = options.model_copy(update={"model": choice.model})
    design = samples.design(options.model_copy(update={"evaluation": "crossfit"}))
    if options.model != "linear":
        heads = run / "model" / "round-1" / "heads"
        return Judge(samples, design, [], options, image, first_l2(heads) if heads.exists() else None)
    if encoding is not None:
        return Judge(samples, design, load_encoding(encoding, samples.features.like), options)
    members = choose_members(
        samples.features,
        samples.labels,
        design,
        samples.n_classes,
        options,
        image=image or (),
        shared=samples.shared,
    )
    return Judge(samples, design, members, options)


def _encoding_of(run: Path) -> Encoding | None:
    """Return the encoding of a run with its paths as they are now, wherever the run folder has moved to."""
    record = run / "steps" / "encode.json"
    if not record.exists():
        return None
    encoding = Encoding.model_validate(read_json(record)["record"])
    groups = encoding.features.groups
    if groups is not None:
        groups = groups.model_copy(update={"path": run / "model" / groups.path.name})
    moved = {"path": run / "model" / encoding.features.path.name, "groups": groups}
    file = encoding.features.model_copy(update=moved)
    return encoding.model_copy(update={"path": run / "model" / encoding.path.name, "features": file})


def _samples_of(dataset: Dataset, encoding: Encoding | None, options: AuditOptions) -> Samples:
    """Return the samples with the features that the run audited; from the data set where it left no feature file."""
    if encoding is not None and encoding.features.path.exists():
        return read_samples(dataset, encoding.features, options.device)
    where = pick_device(options.device)
    encoder = encoded(dataset, options)
    raw = torch.from_numpy(np.concatenate(list(encoder.batches())))
    labels, trusted = read_labels(dataset)
    features = MemoryFeatures(raw.to(where, pick_dtype(raw.numel(), where)))
    classes, order = len(dataset.classes), read_order(dataset)
    groups = named_groups(dataset, dataset.group) if dataset.group else None
    y = torch.from_numpy(labels).to(where)
    return Samples(features, y, trusted, classes, order, groups=groups, shared=encoder.shared)


def refit(judge: Judge, labels: Array, kept: Array) -> Refit:
    """Fit every member on every fold with these labels; predict each sample by the fold that did not see it.

    Args:
        judge: What stays the same.
        labels: (n,) classes.
        kept: (n,) bool, False for samples that are not fitted on.
    """
    features = judge.samples.features
    y = torch.as_tensor(labels, dtype=torch.long, device=features.like.device)
    keep = torch.as_tensor(kept, device=y.device)
    if judge.options.model != "linear":
        return _refit_networks(judge, y, keep)
    memory = memory_budget(judge.options.memory)
    total, converged = np.zeros((len(labels), judge.samples.n_classes)), True
    for member in judge.members:
        (stack,) = make_stacks(features, y, judge.samples.n_classes, judge.design, [member], keep, memory)
        start = member.start if member.start.shape == stack.shape else None
        fit = fit_stack(stack, start, judge.options)
        total += _out_of_fold(stack, fit.theta)
        converged &= fit.converged
    return Refit(total / len(judge.members), converged)


def _refit_networks(judge: Judge, labels: Tensor, keep: Tensor) -> Refit:
    """Train a network on every fold with these labels, from the same initial weights, and fit its head."""
    features, classes = judge.samples.features, judge.samples.n_classes
    task = make_task(features, labels, classes, judge.image_shape, judge.options, judge.samples.groups)
    fitted = fit_round(task, judge.design, keep, judge.options, number=1, l2=judge.l2)
    own = judge.design.out_of_fold(slice(0, features.n)).cpu().numpy()
    probabilities = np.empty((features.n, classes))
    for fold, stack in enumerate(fitted.stacks):
        probabilities[own == fold] = _out_of_fold(stack, fitted.fit.theta[:, fold : fold + 1])[own == fold]
    return Refit(probabilities, fitted.fit.converged)


def _out_of_fold(stack: SoftmaxStack, theta: Tensor) -> Array:
    parts = []
    for rows, features in stack.rows.blocks():
        p = torch.softmax(stack.logits(features, theta), dim=-1)
        own = stack.design.out_of_fold(rows)
        parts.append(p[torch.arange(len(own), device=own.device), own].double().cpu().numpy())
    return np.concatenate(parts)
