"""One network for each fold, trained on the other folds; its penultimate features are what the exact head sees.

For fold k a network is trained on the samples that the fold is fitted on, and gives features for all samples. The
evaluation set, fold k itself, has never been seen by it, and out-of-fold probabilities of a sample come from the one
network that did not see its label: a label that was learned by heart does not vouch for itself.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tasks.fit.network.architecture import split_network
from tasks.fit.network.checkpoint import load_network, save_network, training_key
from tasks.fit.network.train import EVALUATED, Task, Trained, train
from tasks.heads.design import Design
from tasks.heads.feature_map import raw_map
from tasks.heads.features import STORED, Features, FileFeatures, MemoryFeatures, moments
from tasks.heads.members import CHOICE_ROWS, CHOICE_TOLERANCE, Member, out_of_fold_log_loss
from tasks.heads.newton import fit_newton
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import newton_step
from tasks.heads.stacks import make_stacks
from tasks.memory import memory_budget
from tasks.options import AuditOptions
from tasks.records import FeatureFile
from tasks.runs.progress import tick
from tasks.storage import atomic_path

# Strength of the Gaussian prior on a head's weights, l2 x n, to choose from. A network's features part the classes that it was
# trained on, so a weaker prior costs no log-loss and leaves influences without a scale: on the digits with 8 % wrong labels
# their average precision in the second round is 0.97 at 1,000, 0.98 at 100, 0.96 at 10, and 0.58 at 1.
HEAD_PRECISIONS = (1_000.0, 100.0, 10.0)


@dataclass(frozen=True)
class FoldNetworks:
    """The K networks of a round and what their heads are fitted on.

    Attributes:
        networks: One for each fold.
        features: For each fold the penultimate features of all samples, (n, h).
        folder: Where networks and features are kept; None: in memory only.
    """

    networks: list[Trained]
    features: list[Features]
    folder: Path | None


def train_folds(
    task: Task, design: Design, keep: Tensor, options: AuditOptions, number: int, folder: Path | None = None
) -> FoldNetworks:
    """Train the networks of a round, or read those that were trained before.

    Every fold's network depends on the data, the seed, the round and the fold alone: a run that was killed goes on
    with the first fold that was not finished, and ends with the same bytes.

    Args:
        task: Data and architecture.
        design: Folds.
        keep: (n,) bool, False for samples that are left out.
        options: Seed and memory.
        number: Round, from 1.
        folder: Where to keep networks and features; None for memory only.
    """
    networks, features = [], []
    everything = slice(0, task.features.n)
    for fold in range(design.folds):
        fitted = design.fitted(everything).expand(-1, design.folds)[:, fold] & keep
        index = torch.from_numpy(design.ordered(fitted.cpu().numpy())).to(fitted.device).long()
        seed = int(np.random.SeedSequence([options.seed, number, fold]).generate_state(1)[0])
        networks.append(_train_or_load(task, index, seed, fold, folder))
        features.append(_penultimate(task, networks[-1], fold, folder))
        tick("networks", fold + 1, design.folds)
    return FoldNetworks(networks, features, folder)


def _train_or_load(task: Task, index: Tensor, seed: int, fold: int, folder: Path | None) -> Trained:
    if folder is None:
        return train(task, index, seed)
    key, path = training_key(task, index, seed), folder / f"network-{fold}.safetensors"
    kept = load_network(task, key, path)
    if kept is not None:
        return kept
    _features_path(folder, fold).unlink(missing_ok=True)  # of another network: never beside this one
    trained = train(task, index, seed)
    save_network(trained, key, path)
    return trained


def _features_path(folder: Path, fold: int) -> Path:
    return folder / f"features-{fold}.f32"


def body_of(task: Task, network: nn.Module) -> nn.Module:
    """Return a network without its last linear layer."""
    probe = task.inputs_of(torch.arange(min(2, task.features.n), device=task.labels.device))
    return split_network(network, probe).body


def _penultimate(task: Task, trained: Trained, fold: int, folder: Path | None) -> Features:
    """Return the penultimate features of all samples; where there is a folder, from a file in it."""
    if folder is None:
        return MemoryFeatures(torch.cat(list(_body_blocks(task, trained.network))))
    path, n = _features_path(folder, fold), task.features.n
    if not path.exists():
        with atomic_path(path) as partial, partial.open("wb") as file:
            for block in _body_blocks(task, trained.network):
                block.cpu().numpy().astype(STORED, copy=False).tofile(file)
    width = path.stat().st_size // (STORED.itemsize * n)
    return FileFeatures(FeatureFile(path=path, rows=n, width=width), task.features.like)


def _body_blocks(task: Task, network: nn.Module) -> Iterator[Tensor]:
    body = body_of(task, network).eval()
    index = torch.arange(task.features.n, device=task.labels.device)
    with torch.no_grad():
        for part in torch.split(index, EVALUATED):
            yield body(task.inputs_of(part)).to(task.features.like)


def choose_heads(
    networks: FoldNetworks,
    labels: Tensor,
    n_classes: int,
    design: Design,
    keep: Tensor,
    options: AuditOptions,
    l2: float | None = None,
) -> list[Member]:
    """Standardise each fold's features and choose the heads' regularisation, the same for all, by out-of-fold log-loss.

    Args:
        networks: Of the round.
        labels: (n,) given classes.
        n_classes: C.
        design: Folds.
        keep: (n,) bool, False for samples that are left out of the choice too.
        options: `seed` draws the rows that the choice is made on.
        l2: What an earlier round chose, and is kept: with the likely errors out of the way even the weakest prior looks
            good.

    Returns:
        One member for each fold, on that fold's features.
    """
    n = len(labels)
    order = np.random.default_rng(options.seed).permutation(design.ordered(keep.cpu().numpy()))
    chosen = torch.from_numpy(order[:CHOICE_ROWS]).to(labels.device)
    part = design.some(chosen)
    samples = [features.take(chosen) for features in networks.features]
    maps = [
        replace(raw_map(*moments(MemoryFeatures(sample))).rotated(sample), name=options.model)
        for sample in samples
    ]
    best: list[Member] = []
    starts: list[Tensor | None] = [None] * design.folds
    least = math.inf
    for precision in HEAD_PRECISIONS if l2 is None else (l2 * n,):
        members = []
        for fold, (feature_map, sample) in enumerate(zip(maps, samples, strict=True)):
            stack = _one_stack(
                MemoryFeatures(sample),
                Member(feature_map, precision / len(chosen), math.inf, sample),
                labels[chosen],
                n_classes,
                part.single(fold),
                keep[chosen],
                options,
            )
            theta = fit_newton(stack, newton_step, starts[fold], tolerance=CHOICE_TOLERANCE).theta
            starts[fold] = theta
            members.append(Member(feature_map, precision / n, out_of_fold_log_loss(stack, theta), theta))
        loss = sum(member.log_loss for member in members) / len(members)
        if loss >= least:
            break
        least, best = loss, [replace(member, log_loss=loss) for member in members]
    return best


def head_stacks(
    networks: FoldNetworks,
    members: Sequence[Member],
    labels: Tensor,
    n_classes: int,
    design: Design,
    keep: Tensor,
    options: AuditOptions,
) -> list[SoftmaxStack]:
    """Return the problem of each fold's head, on that fold's features."""
    return [
        _one_stack(features, member, labels, n_classes, design.single(fold), keep, options)
        for fold, (features, member) in enumerate(zip(networks.features, members, strict=True))
    ]


def _one_stack(
    features: Features,
    member: Member,
    labels: Tensor,
    n_classes: int,
    alone: Design,
    keep: Tensor,
    options: AuditOptions,
) -> SoftmaxStack:
    budget = memory_budget(options.memory) // max(1, options.folds)
    (stack,) = make_stacks(features, labels, n_classes, alone, [member], keep, budget)
    return stack
