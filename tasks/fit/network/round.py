"""A round with networks: train one for each fold, choose the heads' regularisation, fit the heads to convergence."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.errors import InputError
from tasks.fit.network.factory import check_factory, load_factory, make_network
from tasks.fit.network.folds import FoldNetworks, choose_heads, head_stacks, train_folds
from tasks.fit.network.heads import fit_heads
from tasks.fit.network.inputs import input_map
from tasks.fit.network.train import Task
from tasks.fit.network.whole import check_derivatives
from tasks.heads.design import Design
from tasks.heads.features import Features, MemoryFeatures
from tasks.heads.members import Member
from tasks.heads.newton import Fit
from tasks.heads.softmax import SoftmaxStack
from tasks.memory import memory_budget
from tasks.options import AuditOptions


@dataclass(frozen=True)
class NetworkRound:
    """What one round leaves behind.

    Attributes:
        networks: One for each fold.
        members: For each fold the standardised features of its network, and the heads' regularisation.
        stacks: For each fold the problem of its head.
        fit: The heads of all folds.
    """

    networks: FoldNetworks
    members: list[Member]
    stacks: list[SoftmaxStack]
    fit: Fit


def make_task(
    features: Features,
    labels: Tensor,
    n_classes: int,
    feature_shape: tuple[int, ...] | None,
    options: AuditOptions,
    groups: Array | None = None,
) -> Task:
    """Set up what all networks of an audit train on, and try the architecture out.

    Args:
        features: Raw features.
        labels: (n,) given classes.
        n_classes: C.
        feature_shape: (height, width) or (height, width, channels) of images; None for plain features.
        options: `model` and `memory`.
        groups: (n,) int, samples of one number belong together; None where each stands alone.

    Raises:
        InputError: The model cannot be made, or does not fit the data.
    """
    if options.params == "all" and options.solver not in ("auto", "cg"):
        raise InputError(
            "the curvature of a whole network is no matrix to factorise, and is solved by cg",
            where=f"--solver {options.solver}",
            fix="use --solver auto, or --params head",
        )
    factory = load_factory(options.model)
    inputs = input_map(features, feature_shape)
    if options.model == "cnn" and len(inputs.shape) != 3:
        raise InputError(
            f"needs images, and a sample here is {features.width} plain features",
            where="--model cnn",
            fix="name the column of images with --image, or use --model mlp",
        )
    check_factory(factory, options.model, inputs.shape, n_classes)
    if options.params == "all":
        with torch.random.fork_rng(devices=[]):
            network = make_network(factory, options.model, inputs.shape, n_classes).eval()
            check_derivatives(network, inputs.shape, options.model)
    return Task(_in_memory(features, options), labels, n_classes, inputs, factory, options.model, groups)


def _in_memory(features: Features, options: AuditOptions) -> Features:
    """Return the same features from memory where they fill at most half of the budget: training reads them many times."""
    size = features.n * features.width * features.like.element_size()
    if isinstance(features, MemoryFeatures) or size > memory_budget(options.memory) // 2:
        return features
    return MemoryFeatures(torch.cat([block for _, block in features.blocks()]), features.block_rows)


def fit_round(
    task: Task,
    design: Design,
    keep: Tensor,
    options: AuditOptions,
    number: int,
    *,
    l2: float | None = None,
    folder: Path | None = None,
) -> NetworkRound:
    """Train and fit one round.

    Args:
        task: Data and architecture.
        design: Folds.
        keep: (n,) bool, False for samples that are left out.
        options: Options of the audit.
        number: Round, from 1.
        l2: Regularisation that the first round chose for the heads; None in the first round.
        folder: Where networks are kept as soon as they are trained; None for memory only.
    """
    networks = train_folds(task, design, keep, options, number, folder)
    members = choose_heads(networks, task.labels, task.n_classes, design, keep, options, l2)
    stacks = head_stacks(networks, members, task.labels, task.n_classes, design, keep, options)
    return NetworkRound(networks, members, stacks, fit_heads(stacks, [m.start for m in members], options))
