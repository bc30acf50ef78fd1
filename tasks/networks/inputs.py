"""What a network is given: standardised samples in their own shape, and small random changes of images while it trains."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tasks.errors import InputError
from tasks.heads.feature_map import make_raw_map
from tasks.heads.features import Features, compute_moments

# Augmentation of images, all three well below what changes a class: an eighth of the side, ten degrees, a tenth in size. No
# mirror images, which turn digits and letters into something else.
SHIFT, DEGREES, ZOOM = 1 / 8, 10.0, 0.1


@dataclass(frozen=True)
class InputMap:
    """From raw feature rows to the inputs of a network.

    Attributes:
        shape: Shape of one input: (d,), or (channels, height, width) for images.
        mean: (d,) what is subtracted.
        scale: (d,) what is divided by.
        channels_last: Whether the raw rows hold (height, width, channels).
    """

    shape: tuple[int, ...]
    mean: Tensor
    scale: Tensor
    channels_last: bool = False

    def __call__(self, raw: Tensor) -> Tensor:
        """Return the inputs of raw rows, (b, d) to (b, *shape)."""
        standard = (raw - self.mean) / self.scale
        if not self.channels_last:
            return standard.reshape(-1, *self.shape)
        channels, height, width = self.shape
        return standard.reshape(-1, height, width, channels).permute(0, 3, 1, 2)

    def to(self, like: Tensor) -> "InputMap":
        """Return the map with the dtype and device of `like`."""
        return InputMap(self.shape, self.mean.to(like), self.scale.to(like), self.channels_last)


def make_input_map(features: Features, feature_shape: tuple[int, ...] | None) -> InputMap:
    """Return the map that standardises features: each by itself, pixels by their channel.

    Labels are not looked at, so that all samples may be.

    Args:
        features: Raw features, (n, d).
        feature_shape: (height, width) or (height, width, channels) of images, anything else for plain features.

    Raises:
        InputError: The shape does not hold d values.
    """
    shape = feature_shape or (features.width,)
    if math.prod(shape) != features.width:
        raise InputError(f"a feature shape of {shape} for {features.width} features")
    mean, deviation = (moment.float() for moment in compute_moments(features))
    if len(shape) not in (2, 3):
        standard = make_raw_map(mean, deviation)
        return InputMap((features.width,), standard.mean, standard.scale)
    channels = shape[2] if len(shape) == 3 else 1
    by_channel = mean.reshape(-1, channels)
    # The variance of all pixels: the mean of their variances plus the variance of their means.
    square = deviation.reshape(-1, channels).square().mean(0) + by_channel.var(0, correction=0)
    standard = make_raw_map(by_channel.mean(0), square.sqrt())
    places = shape[0] * shape[1]
    return InputMap(
        (channels, shape[0], shape[1]),
        standard.mean.repeat(places),
        standard.scale.repeat(places),
        channels_last=channels > 1,
    )


def augment_images(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images, each shifted, turned and zoomed a little at random.

    Args:
        images: (b, channels, height, width).
        generator: Where the randomness comes from, on the CPU.
    """
    angle, zoom, right, down = (2 * torch.rand(4, len(images), generator=generator) - 1).unbind()
    angle, zoom = angle * math.radians(DEGREES), 1 + zoom * ZOOM
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    # A shift by the whole side is 2 in the units of affine_grid.
    rows = [torch.stack([cos, -sin, 2 * SHIFT * right], 1), torch.stack([sin, cos, 2 * SHIFT * down], 1)]
    grid = F.affine_grid(torch.stack(rows, 1).to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
