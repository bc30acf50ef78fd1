"""The networks that are built in, and how any network is cut into a body and its last linear layer.

Both are small on purpose: a network that can hold every label by heart hides the wrong ones.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasks.errors import InputError

# Two hidden layers, the second narrow: the exact head has (64 + 1) x C parameters and is solved directly.
MLP_WIDTHS = (256, 64)
MLP_DROPOUT = 0.2

# 3 x 3 convolutions, the number of channels doubled at each halving of the sides; 128 penultimate features.
CNN_CHANNELS, CNN_FEATURES, CNN_DROPOUT = (32, 64, 128), 128, 0.2
# A side is halved while at least this many pixels of it are left.
CNN_SMALLEST_SIDE = 4


def mlp(feature_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return a perceptron with two hidden layers.

    Args:
        feature_shape: Shape of one sample; it is flattened.
        n_classes: C.
    """
    width = int(torch.Size(feature_shape).numel())
    first, second = MLP_WIDTHS
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(width, first),
        nn.ReLU(),
        nn.Dropout(MLP_DROPOUT),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Linear(second, n_classes),
    )


def cnn(feature_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return a compact convolutional network.

    Args:
        feature_shape: (channels, height, width).
        n_classes: C.

    >>> cnn((1, 8, 8), 10)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    channels, *sides = feature_shape
    layers: list[nn.Module] = []
    for width in CNN_CHANNELS:
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
        if min(sides) // 2 >= CNN_SMALLEST_SIDE:
            layers.append(nn.MaxPool2d(2))
            sides = [side // 2 for side in sides]
    # Four quadrants rather than one mean: where a stroke lies tells a 6 from a 9.
    layers += [_quadrants(sides), nn.Flatten(), nn.Linear(4 * channels, CNN_FEATURES), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(CNN_DROPOUT), nn.Linear(CNN_FEATURES, n_classes))


def _quadrants(sides: list[int]) -> nn.Module:
    """Return the pooling to 2 x 2; where it can, as a plain one, whose gradient a GPU sums in a fixed order."""
    if min(sides) < 2:
        return nn.AdaptiveAvgPool2d(2)
    height, width = sides
    return nn.AvgPool2d(((height + 1) // 2, (width + 1) // 2), (height // 2, width // 2))


@dataclass(frozen=True)
class Split:
    """A network as a body, which gives the penultimate features, and the linear layer that it ends in.

    Attributes:
        body: From inputs (b, *feature_shape) to penultimate features (b, h).
        head: From penultimate features to logits (b, C).
    """

    body: nn.Module
    head: nn.Linear


def split_network(network: nn.Module, probe: Tensor) -> Split:
    """Cut a network at its last linear layer, found by what it does rather than by what it is called.

    Args:
        network: The network, left as it was; in evaluation mode.
        probe: A few inputs, (b, *feature_shape).

    Raises:
        InputError: The network's output is not that of a linear layer on (b, h) features.
    """
    last = _last_linear(network, probe)
    if last is None:
        raise InputError("the network does not end in torch.nn.Linear")
    body = copy.deepcopy(network)
    parent, _, name = last.rpartition(".")
    head = body.get_submodule(last)
    if not isinstance(head, nn.Linear):
        raise TypeError("a copy of a network has the same layers")
    if not last:
        return Split(nn.Flatten(), head)
    setattr(body.get_submodule(parent), name, nn.Identity())
    with torch.no_grad():
        features = body(probe)
        if features.ndim != 2 or not torch.equal(head(features), network(probe)):
            raise InputError("the network does not end in torch.nn.Linear")
    return Split(body, head)


def _last_linear(network: nn.Module, probe: Tensor) -> str | None:
    """Return the name of the linear layer whose output is the network's output."""
    outputs: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output}))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad():
            result = network(probe)
    finally:
        for hook in hooks:
            hook.remove()
    return next((name for name, output in reversed(outputs.items()) if output is result), None)
