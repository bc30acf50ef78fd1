"""A perceptron with two hidden layers on every fold. It is small: one that can hold every label by heart hides the wrong ones."""

import torch
from torch import nn

from tasks.networks.factory import Factory
from tasks.networks.model import NetworkModel

# Two hidden layers, the second narrow: the exact head has (64 + 1) x C parameters and is solved directly.
MLP_WIDTHS = (256, 64)
MLP_DROPOUT = 0.2


class Model(NetworkModel):
    """The perceptron of each fold."""

    learning_rate = 3e-3

    def factory(self) -> Factory:
        """Return what makes a perceptron."""
        return mlp


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
