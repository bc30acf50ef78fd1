"""Images written as numbers: nested lists, flat lists and strings of pixels become files that any decoder reads.

The files are PGM and PPM, whose bytes follow from the pixels alone: their hash is the same in every version of a library.
"""

import json
import math
import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.ingest.columns.types import is_list, is_numeric

Pixels = NDArray[np.float64]

# Four by four is the smallest image that a string of numbers is taken for.
_LEAST = 16
_NUMBER = r"\d+(?:\.\d*)?(?:e-?\d+)?"
_NUMBERS = re.compile(rf"[\s\[(]*{_NUMBER}(?:[\s,;\[\]()]+{_NUMBER}){{{_LEAST - 1},}}[\s\])]*", re.IGNORECASE)
CHANNELS = (1, 3, 4)
_BLANKS = str.maketrans("[](),;", "      ")


def is_pixel_list(kind: pa.DataType) -> bool:
    """Return whether the type is a list of numbers, nested at most three deep.

    >>> is_pixel_list(pa.list_(pa.list_(pa.uint8()))), is_pixel_list(pa.list_(pa.string()))
    (True, False)
    """
    depth = 0
    while is_list(kind):
        kind, depth = kind.value_type, depth + 1
    return 0 < depth <= 3 and is_numeric(kind)


def is_pixel_text(text: str) -> bool:
    """Return whether a text is a row of numbers, as FER2013 writes its images.

    >>> is_pixel_text("70 80 82 " * 16), is_pixel_text("images/0001.png")
    (True, False)
    """
    return _NUMBERS.fullmatch(text) is not None


def parse_pixels(text: str) -> Pixels | str:
    """Return the numbers of a text in their shape, or why they are not an image."""
    try:
        nested = json.loads(text) if text.lstrip().startswith("[") else None
    except ValueError:
        nested = None  # as numpy prints it, without commas
    try:
        if nested is not None:
            return _shape_image(np.array(nested, np.float64))
        return _shape_image(np.array(text.translate(_BLANKS).split(), np.float64))
    except ValueError:
        return "its pixels are not all numbers, or its rows differ in length"


def read_pixels(values: pa.Array) -> Pixels | str:
    """Return one image in its shape, or why it is none."""
    shape = [len(values)]
    while is_list(values.type):
        lengths = pc.list_value_length(values)
        if lengths.null_count or len(set(lengths.to_pylist())) != 1:
            return "its rows differ in length"
        shape.append(lengths[0].as_py())
        values = values.flatten()
    if values.null_count:
        return "a pixel is missing"
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return _shape_image(numbers.reshape(shape))


def _shape_image(pixels: Pixels) -> Pixels | str:
    """Return pixels of shape (height, width) or (height, width, channels), or why the shape cannot be told."""
    if not np.isfinite(pixels).all() or not pixels.size:
        return "a pixel is missing"
    if pixels.ndim == 1:
        return _shape_square(pixels)
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in CHANNELS):
        return pixels
    if pixels.ndim == 3 and pixels.shape[0] in CHANNELS:  # as torch orders them
        return pixels.transpose(1, 2, 0)
    return f"its shape {' x '.join(map(str, pixels.shape))} is no image; nest it as height x width x 1 or 3"


def _shape_square(pixels: Pixels) -> Pixels | str:
    """Return pixels in a row as a square of gray ones, or why they are none."""
    side, thirds = math.isqrt(len(pixels)), math.isqrt(len(pixels) // 3)
    if side * side == len(pixels):
        return pixels.reshape(side, side)
    colour = " (its channels could be first or last)" if 3 * thirds * thirds == len(pixels) else ""
    return (
        f"its {len(pixels):,} pixels in a row are no square of gray ones{colour}; nest them as height x width"
    )


def choose_white_level(ranges: Iterable[tuple[float, float]]) -> float | str:
    """Return the number that stands for white, given the least and largest pixel of each image; or why there is none.

    >>> choose_white_level([(0, 0.5), (0, 1)]), choose_white_level([(0, 17), (3, 255)]), choose_white_level([(0, 4095)])
    (1.0, 255.0, 65535.0)
    """
    ranges = list(ranges)
    low, high = min(one for one, _ in ranges), max(one for _, one in ranges)
    white = next((limit for limit in (1.0, 255.0, 65535.0) if high <= limit), None)
    if low < 0 or white is None:
        return f"pixels go from {low:g} to {high:g}; write them as 0..1, 0..255 or 0..65535"
    return white


def write_image_file(pixels: Pixels, white: float) -> bytes:
    r"""Return the PGM or PPM file of an image; what is transparent shows white, as on a page.

    >>> write_image_file(np.array([[0, 0.5], [1, 1]]), 1.0)
    b'P5 2 2 255\n\x00\x80\xff\xff'
    """
    levels = pixels * (255 / white)
    if levels.ndim == 3 and levels.shape[2] == 4:
        opaque = levels[..., 3:] / 255
        levels = levels[..., :3] * opaque + 255 * (1 - opaque)
    kind = b"P6" if levels.ndim == 3 and levels.shape[2] == 3 else b"P5"
    height, width = levels.shape[:2]
    body: bytes = np.rint(levels).astype(np.uint8).tobytes()
    return b"%s %d %d 255\n" % (kind, width, height) + body
