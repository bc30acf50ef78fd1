"""A round with networks in the run folder: what the fit step writes, and what later steps read back.

network-K.safetensors   a network for each fold, as soon as it is trained, with its curve
features-K.f32          its penultimate features of all samples; of the last round only, the others can be had again
heads/                  for each fold the standardisation of these features, and the heads' regularisation
theta-0.safetensors     the heads of all folds, as those of any member
"""

from pathlib import Path

import torch
from safetensors import safe_open

from tasks.fit.curve import write_curve
from tasks.fit.network.folds import FoldNetworks, head_stacks, train_folds
from tasks.fit.network.round import NetworkRound, fit_round, make_task
from tasks.fit.network.train import Task
from tasks.heads.newton import Fit
from tasks.heads.samples import Samples, image_shape
from tasks.heads.store import load_encoding, load_parameters, save_encoding, save_parameters
from tasks.options import AuditOptions
from tasks.records import Dataset, EncodedMember, Encoding, Model
from tasks.storage import said_in


def task_of(dataset: Dataset, samples: Samples, options: AuditOptions) -> Task:
    """Set up what the networks of a run train on."""
    return make_task(
        samples.features,
        samples.labels,
        samples.n_classes,
        image_shape(dataset, samples.features.width),
        options,
        samples.groups,
    )


def fit_networks(
    dataset: Dataset,
    encoding: Encoding,
    samples: Samples,
    keep: torch.Tensor,
    options: AuditOptions,
    number: int,
    target: Path,
) -> tuple[Fit, tuple[EncodedMember, ...]]:
    """Train and fit a round, and write it down.

    Args:
        dataset: The validated data.
        encoding: Names the feature file.
        samples: Features and labels.
        keep: (n,) bool, False for samples that are left out.
        options: Options of the audit.
        number: Round, from 1.
        target: Folder of the round.

    Returns:
        The heads of all folds, and what the report says of them.
    """
    task = task_of(dataset, samples, options)
    before = target.parent / f"round-{number - 1}"
    l2 = first_l2(before / "heads") if number > 1 else None
    fitted = fit_round(task, samples.design(options), keep, options, number, l2=l2, folder=target)
    kept = save_encoding(fitted.members, encoding.features, target / "heads")
    save_parameters([fitted.fit.theta], target, "theta")
    _write_curves(fitted.networks, number, target.parent / "network_curve.parquet")
    for features in before.glob("features-*.f32"):
        features.unlink()
    return fitted.fit, kept.members[:1]


def load_round(
    dataset: Dataset,
    encoding: Encoding,
    samples: Samples,
    keep: torch.Tensor,
    options: AuditOptions,
    model: Model,
) -> tuple[Task, NetworkRound]:
    """Read back what `fit_networks` wrote."""
    task, design = task_of(dataset, samples, options), samples.design(options)
    networks = train_folds(task, design, keep, options, model.round, model.path)
    heads = Encoding(
        path=model.path / "heads", features=encoding.features, members=model.members * design.folds
    )
    members = load_encoding(heads, samples.features.like)
    stacks = head_stacks(networks, members, samples.labels, samples.n_classes, design, keep, options)
    (theta,) = load_parameters(model.path, "theta", 1, samples.features.like)
    norm = torch.full((design.folds,), model.gradient_norm)
    return task, NetworkRound(
        networks, members, stacks, Fit(theta, norm, model.iterations, model.converged, [])
    )


def first_l2(heads: Path) -> float:
    """Return the regularisation of the heads, the same for all folds."""
    with safe_open(heads / "member-0.safetensors", framework="pt") as file:
        return float(said_in(file.metadata())["l2"])


def _write_curves(networks: FoldNetworks, number: int, path: Path) -> None:
    """Write the networks' losses by epoch after those of the rounds before."""
    rows = [
        {
            "round": number,
            "fold": fold,
            "epoch": epoch + 1,
            "loss": loss,
            "held_out_loss": held_out,
            "kept": epoch == trained.best,
        }
        for fold, trained in enumerate(networks.networks)
        for epoch, (loss, held_out) in enumerate(trained.curve)
    ]
    write_curve(rows, number, path)
