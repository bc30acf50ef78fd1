"""Out-of-fold probabilities of the same ensemble on the same folds, whatever the labels: what a correction is judged by."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tasks.arrays import Array
from tasks.heads.ensemble import predict_unseen
from tasks.heads.members import Member
from tasks.heads.model import HEADS, AuditModel
from tasks.heads.samples import read_samples
from tasks.heads.store import load_members
from tasks.models import fill_in_model, make_model
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding
from tasks.storage import read_json


@dataclass(frozen=True)
class Judge:
    """What stays the same between two refits.

    Attributes:
        model: The model of the run, on crossfit folds that are stratified by the labels that were audited.
        members: What its first round begins with.
    """

    model: AuditModel
    members: list[Member]


@dataclass(frozen=True)
class Refit:
    """(n, C) out-of-fold probabilities, and whether every fit reached its tolerance."""

    probabilities: Array
    converged: bool


def judge_of(run: Path, dataset: Dataset, options: AuditOptions) -> Judge:
    """Set up the refits of a run.

    Args:
        run: The run folder, whose feature maps are used.
    """
    encoding = _read_encoding(run)
    samples = read_samples(dataset, encoding.features, options.device)
    options = options.model_copy(update={"dask": None})
    design = samples.design(options.model_copy(update={"evaluation": "crossfit"}))
    model = make_model(samples, design, fill_in_model(options, encoding))
    if encoding.members:
        return Judge(model, model.read_members(encoding, None))
    # Features are learned again, and the heads on them have the regularisation that the run chose.
    heads = run / "model" / "round-1" / HEADS
    return Judge(model, load_members(heads, 1, samples.features.like) if heads.exists() else [])


def _read_encoding(run: Path) -> Encoding:
    """Return the encoding of a run with its paths as they are now, wherever the run folder has moved to."""
    encoding = Encoding.model_validate(read_json(run / "steps" / "encode.json")["record"])
    groups = encoding.features.groups
    if groups is not None:
        groups = groups.model_copy(update={"path": run / "model" / groups.path.name})
    moved = {"path": run / "model" / encoding.features.path.name, "groups": groups}
    file = encoding.features.model_copy(update=moved)
    return encoding.model_copy(update={"path": run / "model" / encoding.path.name, "features": file})


def refit(judge: Judge, labels: Array, kept: Array) -> Refit:
    """Fit every member on every fold with these labels; predict each sample by the fold that did not see it.

    Args:
        labels: (n,) classes.
        kept: (n,) bool, False for samples that are not fitted on.
    """
    samples, design, options = judge.model.samples, judge.model.design, judge.model.options
    y = torch.as_tensor(labels, dtype=torch.long, device=samples.labels.device)
    model = make_model(replace(samples, labels=y), design, options)
    fitted = model.fit(judge.members, torch.as_tensor(kept, device=y.device))
    return Refit(predict_unseen(fitted), all(head.fit.converged for head in fitted.heads))
