"""A compact convolutional network on every fold, for images. It is small on purpose, as the perceptron is."""

from torch import nn

from tasks.errors import InputError
from tasks.networks.factory import Factory
from tasks.networks.model import NetworkModel

# 3 x 3 convolutions, the number of channels doubled at each halving of the sides; 128 penultimate features.
CNN_CHANNELS, CNN_FEATURES, CNN_DROPOUT = (32, 64, 128), 128, 0.2
# A side is halved while at least this many pixels of it are left.
CNN_SMALLEST_SIDE = 4


class Model(NetworkModel):
    """The convolutional network of each fold, trained on images that are shifted, turned and zoomed a little."""

    learning_rate, augments = 3e-3, True

    def factory(self) -> Factory:
        """Return what makes a convolutional network.

        Raises:
            InputError: The samples are not images.
        """
        if not self.samples.image:
            raise InputError(
                f"needs images, and a sample here is {self.samples.features.width} plain features",
                where="--model cnn",
                fix="name the column of images with --image, or use --model mlp",
            )
        return cnn


def cnn(feature_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return a compact convolutional network.

    Args:
        feature_shape: (channels, height, width).
        n_classes: C.

    >>> import torch
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
    # Four quadrants rather than one mean: where a stroke is tells a 6 from a 9.
    layers += [_make_pooling(sides), nn.Flatten(), nn.Linear(4 * channels, CNN_FEATURES), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(CNN_DROPOUT), nn.Linear(CNN_FEATURES, n_classes))


def _make_pooling(sides: list[int]) -> nn.Module:
    """Return the pooling to 2 x 2; where it can, as a plain one, whose gradient a GPU sums in a fixed order."""
    if min(sides) < 2:
        return nn.AdaptiveAvgPool2d(2)
    height, width = sides
    return nn.AvgPool2d(((height + 1) // 2, (width + 1) // 2), (height // 2, width // 2))
