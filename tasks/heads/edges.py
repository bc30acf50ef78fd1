r"""Histograms of oriented gradients: where an image has edges, and which way they run.

After Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection" (2005), with smooth bins, so that the derivative
of an influence with respect to a pixel goes through. With g the gradient at a pixel and u_k = (cos pi k / K, sin pi k / K), a
pixel votes for orientation k by

    |g| cos^P(angle between g and u_k) = |g| ((g . u_k)^2 / |g|^2)^(P / 2),

the same for a gradient and its opposite. Votes are averaged over cells, and each cell is divided by the energy of the cells
around it, so that light and contrast do not count. Beside the edges stands the mean of each channel in each cell.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# The paper's 9 orientations, to the even number whose bins below overlap at half height.
ORIENTATIONS = 8
# cos^16 falls to a half at 17 degrees; orientations are 22.5 degrees apart.
_DOUBLINGS = 3
# Cells along the longer side: MNIST and CIFAR images get cells of 4 pixels, as many as in the usual settings of the paper.
CELLS = 8
_LEAST_CELL = 2
# Of pixels 0..1: a gradient below it is noise of the camera or of compression.
_FAINT = 1e-2


def compute_edge_histograms(pixels: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return edges and mean light of the cells of some images.

    Args:
        pixels: (n, d) pixels in 0..1, flat.
        shape: Shape of one image, (height, width) or (height, width, channels).

    Returns:
        (n, (K + channels) x cells).

    >>> stripes = (torch.arange(16) // 2 % 2).float().repeat(1, 16)  # light changes along each row, never down a column
    >>> edges = compute_edge_histograms(stripes, (16, 16))[0, : 8 * 64].reshape(8, 64).mean(1)
    >>> bool(edges[0] > 10 * edges[4])
    True
    """
    height, width = shape[:2]
    channels = pixels.shape[1] // (height * width)  # not -1, which no images at all leave open
    images = pixels.reshape(len(pixels), height, width, channels).permute(0, 3, 1, 2)
    cell = max(_LEAST_CELL, math.ceil(max(height, width) / CELLS))
    light = F.avg_pool2d(images, cell, ceil_mode=True, count_include_pad=False)
    votes = _compute_votes(images)
    pooled = F.avg_pool2d(votes, cell, ceil_mode=True, count_include_pad=False)
    energy = F.avg_pool2d(pooled.square().sum(1, keepdim=True), 3, 1, 1, count_include_pad=False)
    edges = pooled / (energy + _FAINT**2).sqrt()
    return torch.cat([edges.flatten(1), light.flatten(1)], dim=1)


def _compute_votes(images: Tensor) -> Tensor:
    """Return how much each pixel votes for each orientation, summed over channels: (n, K, height, width)."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    squared = across.square() + down.square() + _FAINT**2
    length = squared.sqrt()
    found = []
    for k in range(ORIENTATIONS):
        angle = math.pi * k / ORIENTATIONS
        share = (across * math.cos(angle) + down * math.sin(angle)).square() / squared
        for _ in range(_DOUBLINGS):
            share = share.square()
        found.append((length * share).sum(1))
    return torch.stack(found, dim=1)
