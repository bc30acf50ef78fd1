"""Images of more than 8 bits, and images that are transparent: what a person and the model can see of them."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

Levels = tuple[float, float]

# 16 bits, as PNG has them.
FULL: Levels = (0.0, 65535.0)
# The largest number of 1, 8, 10, 12, 14 and 16 bits: cameras, microscopes and scanners keep fewer bits in files of 16 or 32.
_WHITES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)


def is_deep(image: Image.Image) -> bool:
    """Return whether a pixel is one number of more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def measure_levels(image: Image.Image) -> Levels | None:
    """Return the least and the largest pixel of a deep image; None where it has no number at all."""
    pixels = np.asarray(image, np.float64)
    pixels = pixels[np.isfinite(pixels)]
    return (float(pixels.min()), float(pixels.max())) if pixels.size else None


def merge_levels(found: Iterable[Levels]) -> Levels:
    """Return the numbers that stand for black and white in all deep images.

    >>> merge_levels([(3, 900), (0, 4000)]), merge_levels([(-1024.0, 3071.0)]), merge_levels([])
    ((0.0, 4095.0), (-1024.0, 4095.0), (0.0, 65535.0))
    """
    found = list(found)
    if not found:
        return FULL
    low, high = min(0.0, *(low for low, _ in found)), max(high for _, high in found)
    return low, next((white for white in _WHITES if high <= white), high)


def convert_to_8_bits(image: Image.Image, levels: Levels) -> Image.Image:
    """Return a deep image with 8 bits a pixel; a pixel that is not a number is black."""
    low, high = levels
    pixels = np.nan_to_num(np.asarray(image, np.float64), nan=low, posinf=high, neginf=low)
    return Image.fromarray(np.rint(np.clip((pixels - low) * (255 / (high - low)), 0, 255)).astype(np.uint8))


def paint_on_white(image: Image.Image) -> Image.Image:
    """Return a transparent image on white as on a page; on black where nothing could be seen on white."""
    layer = image.convert("RGBA")
    page = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    if page.convert("L").getextrema() != (255, 255) or not np.asarray(layer)[..., 3].any():
        return page
    return Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer)
