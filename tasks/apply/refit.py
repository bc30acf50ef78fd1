"""Out-of-fold probabilities of the same ensemble on the same folds, whatever the labels: what a correction is judged by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.encode.choose import Member, choose_members
from tasks.encode.store import load_encoding
from tasks.fit.data import Samples, read_samples
from tasks.fit.design import Design, make_design
from tasks.fit.fit import fit_stack
from tasks.fit.rows import MemoryRows
from tasks.fit.softmax import SoftmaxStack
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding
from tasks.storage import read_json


@dataclass(frozen=True)
class Judge:
    """What stays the same between two refits: features, folds, feature maps, regularisation, seeds.

    Attributes:
        samples: The samples with the labels they were audited with.
        design: Folds, stratified by those labels.
        members: The ensemble of the run.
        options: Options of the run.
    """

    samples: Samples
    design: Design
    members: list[Member]
    options: AuditOptions


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
    samples = read_samples(dataset, options.device)
    design = make_design(samples.labels.cpu().numpy(), "crossfit", options.folds, options.seed)
    design = design.to(samples.labels.device)
    record = run / "steps" / "encode.json"
    if record.exists():
        encoding = Encoding.model_validate(read_json(record)["record"])
        encoding = encoding.model_copy(update={"path": run / "model" / encoding.path.name})
        return Judge(samples, design, load_encoding(encoding, samples.features), options)
    members = choose_members(samples.features, samples.labels, design, samples.n_classes, options)
    return Judge(samples, design, members, options)


def refit(judge: Judge, labels: Array, kept: Array) -> Refit:
    """Fit every member on every fold with these labels; predict each sample by the fold that did not see it.

    Args:
        judge: What stays the same.
        labels: (n,) classes.
        kept: (n,) bool, False for samples that are not fitted on.
    """
    x = judge.samples.features
    y = torch.as_tensor(labels, dtype=torch.long, device=x.device)
    keep = torch.as_tensor(kept, device=x.device)
    total, converged = np.zeros((len(labels), judge.samples.n_classes)), True
    for member in judge.members:
        rows = MemoryRows(member.feature_map(x))
        stack = SoftmaxStack(rows, y, judge.samples.n_classes, judge.design, member.l2, keep)
        start = member.start if member.start.shape == stack.shape else None
        fit = fit_stack(stack, start, judge.options)
        total += _out_of_fold(stack, fit.theta)
        converged &= fit.converged
    return Refit(total / len(judge.members), converged)


def _out_of_fold(stack: SoftmaxStack, theta: Tensor) -> Array:
    parts = []
    for rows, features in stack.rows.blocks():
        p = torch.softmax(stack.logits(features, theta), dim=-1)
        own = stack.design.out_of_fold(rows)
        parts.append(p[torch.arange(len(own), device=own.device), own].double().cpu().numpy())
    return np.concatenate(parts)
