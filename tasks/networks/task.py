"""What all networks of an audit train on, and the refusal of what cannot be trained before anything is."""

import torch

from tasks.errors import InputError
from tasks.heads.features import Features, MemoryFeatures
from tasks.heads.samples import Samples
from tasks.memory import memory_budget
from tasks.networks.factory import check_derivatives, check_factory, load_factory, make_network
from tasks.networks.inputs import input_map
from tasks.networks.train import Task
from tasks.options import AuditOptions


def make_task(samples: Samples, options: AuditOptions) -> Task:
    """Set up what all networks of an audit train on, and try the architecture out.

    Args:
        samples: The samples; images have a shape of (height, width) or (height, width, channels).
        options: `model`, `params` and `memory`.

    Raises:
        InputError: The model cannot be made, or does not fit the data.
    """
    features, n_classes = samples.features, samples.n_classes
    if options.params == "all" and options.solver not in ("auto", "cg"):
        raise InputError(
            "the curvature of a whole network is no matrix to factorise, and is solved by cg",
            where=f"--solver {options.solver}",
            fix="use --solver auto, or --params head",
        )
    factory = load_factory(options.model)
    inputs = input_map(features, samples.shape)
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
    return Task(
        _in_memory(features, options),
        samples.labels,
        n_classes,
        inputs,
        factory,
        options.model,
        samples.groups,
    )


def _in_memory(features: Features, options: AuditOptions) -> Features:
    """Return the same features from memory where they fill at most half of the budget: training reads them many times."""
    size = features.n * features.width * features.like.element_size()
    if isinstance(features, MemoryFeatures) or size > memory_budget(options.memory) // 2:
        return features
    return MemoryFeatures(torch.cat([block for _, block in features.blocks()]), features.block_rows)
