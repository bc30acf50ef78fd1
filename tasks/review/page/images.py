"""Pictures for the page: decoded and encoded again, so that no byte of the data set reaches a browser."""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

from tasks.show.images import Floats, decode, plane

# Larger than the page shows on a large screen, small enough for ten prefetched ones.
MAX_SIDE: Final = 1024


def safe_png(data: bytes, side: int = MAX_SIDE) -> bytes | None:
    """Decode an image and return it as a new PNG of at most `side` pixels; None if it cannot be shown.

    Nothing of the original file survives but its pixels: no metadata, no trailing bytes, no script in
    disguise.

    >>> safe_png(b"<svg onload=alert(1)>") is None
    True
    """
    shown = decode(data, side)
    if shown is None:
        return None
    shown.thumbnail((side, side))
    return _png(shown)


def saliency_png(saliency: Floats, shape: Sequence[int]) -> bytes | None:
    r"""Draw how much each pixel moves the sample's influence: the stronger, the more opaque.

    Args:
        saliency: Derivative of the influence with respect to the input, (product of shape,).
        shape: Height and width, with or without channels.

    >>> saliency_png(np.array([0.0, 1.0, 0.5, 0.0]), (2, 2))[:4]
    b'\x89PNG'
    """
    values = plane(np.abs(saliency), tuple(shape))  # (height, width)
    if values is None or not np.isfinite(values).all():
        return None
    top = float(values.max())
    pixels = np.zeros((*values.shape, 4), dtype=np.uint8)
    pixels[..., :3] = (255, 64, 0)
    pixels[..., 3] = np.round(220 * values / top) if top > 0 else 0
    return _png(Image.fromarray(pixels, "RGBA"))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
