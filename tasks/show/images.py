"""Pictures from the data, re-encoded: what reaches a page is a PNG that this program drew, never the user's bytes."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from tasks.pictures import decode_picture, encode_png, fit_picture
from tasks.show.parts import Image

Floats = npt.NDArray[np.float64]

# Side of a picture on the page in CSS pixels: large enough to judge a digit or a face, small enough for twenty cards a page.
SIDE = 96
SMALL_SIDE = 40
# On the review page: a photograph of 4,000 pixels is read at a quarter of them without a resize, and 1,000 fill the frame.
MAX_SIDE = 1000
# Pixels a side up to which a picture is sent exactly: each of them is seen when it is enlarged.
EXACT_SIDE = 160
# Photographs of 12 megapixels: 60 kB at 1,000 pixels a side, without a difference that the eye finds.
_QUALITY = 85

# A photograph of 96 pixels keeps its look in this many colours and takes a third of the bytes.
_COLOURS = 128

# The overlay saturates at this quantile of the magnitudes, or one extreme pixel would hide all others.
SATURATION = 0.95

# Colours of the overlay: orange where more ink makes the label more harmful, blue where it makes it more helpful; a pair that
# colour-blind people tell apart (Okabe & Ito, "Color Universal Design", 2008), beside a text that says the same.
HARMFUL = np.array([230.0, 97.0, 0.0])
HELPFUL = np.array([0.0, 114.0, 212.0])


def draw_thumbnail(data: object, alt: str, side: int = SIDE) -> Image | None:
    """Return a picture of at most `side` pixels a side, None where the bytes are not a picture.

    Args:
        side: Largest width and height; smaller pictures are enlarged by a whole factor.
    """
    picture = decode_picture(data, side)
    return None if picture is None else encode_data_uri(picture, alt, side)


def encode_data_uri(picture: Pillow.Image, alt: str, side: int = SIDE) -> Image:
    """Return a picture as a PNG in a `data:` URI.

    Args:
        side: Largest width and height; smaller pictures are enlarged by a whole factor.
    """
    picture = fit_picture(picture, side)
    if picture.mode == "RGB" and picture.getcolors(_COLOURS) is None:
        picture = picture.quantize(_COLOURS, dither=Pillow.Dither.NONE)
    uri = "data:image/png;base64," + base64.b64encode(encode_png(picture, optimize=True)).decode("ascii")
    return Image(uri, alt, *picture.size)


def draw_overlay(data: object, saliency: Floats, shape: tuple[int, ...], alt: str) -> Image | None:
    """Return the picture, faded, with the saliency over it; None where one does not fit the other.

    Args:
        saliency: (features,) derivative of the influence with respect to each value of the input.
        shape: Shape of the input: (height, width) or (height, width, channels).
    """
    picture, field = decode_picture(data, SIDE), sum_channels(saliency, shape)
    if picture is None or field is None:
        return None
    return encode_data_uri(tint(np.asarray(picture.convert("L"), dtype=np.float64), field), alt)


def sum_channels(saliency: Floats, shape: tuple[int, ...]) -> Floats | None:
    """Return the saliency as (height, width), colour channels summed; None where the shape is not a picture's.

    Args:
        saliency: (features,) a value for each number of the input.
        shape: Shape of the input: (height, width) or (height, width, channels).

    >>> sum_channels(np.ones(12), (2, 2, 3)).tolist(), sum_channels(np.ones(3), (3,)) is None
    ([[3.0, 3.0], [3.0, 3.0]], True)
    """
    if len(shape) not in (2, 3) or int(np.prod(shape)) != saliency.size:
        return None
    values = saliency.reshape(shape)
    return values if len(shape) == 2 else np.asarray(values.sum(axis=2))


def tint(gray: Floats, field: Floats) -> Pillow.Image:
    """Return a gray picture with a signed field over it, as strong as the field is against its own magnitudes.

    Args:
        gray: (height, width) in 0..255.
        field: (rows, columns), brought to the size of the picture.
    """
    relative = _scale(np.nan_to_num(field, posinf=0.0, neginf=0.0))
    size = (gray.shape[1], gray.shape[0])
    smooth = Pillow.Resampling.NEAREST if field.shape == gray.shape else Pillow.Resampling.BILINEAR
    resized = np.asarray(Pillow.fromarray(relative.astype(np.float32)).resize(size, smooth), dtype=np.float64)
    alpha = np.abs(resized)[..., None] * 0.85
    colour = np.where(resized[..., None] < 0, HARMFUL, HELPFUL)
    # The picture itself steps back to the middle grays, so that both colours show on dark and on light parts of it.
    faded = 96 + 0.45 * gray[..., None]
    return Pillow.fromarray(np.uint8(np.clip(alpha * colour + (1 - alpha) * faded, 0, 255)))


def _scale(field: Floats) -> Floats:
    """Return a signed field as shares of its own large magnitudes, -1 to 1."""
    magnitude = np.abs(field)
    strength = np.quantile(magnitude[magnitude > 0], SATURATION) if magnitude.any() else 1.0
    return np.clip(field / strength, -1, 1)


def write_safe_png(data: bytes) -> bytes | None:
    """Decode an image and return it as a new PNG of at most `MAX_SIDE` pixels; None if it cannot be shown.

    Nothing of the original file survives but its pixels: no metadata, no trailing bytes, no script in
    disguise.

    >>> write_safe_png(b"<svg onload=alert(1)>") is None
    True
    """
    shown = _shrink_to(data, MAX_SIDE)
    return None if shown is None else encode_png(shown)


def encode_for_web(data: bytes, side: int) -> tuple[bytes, str] | None:
    """Return the same as a page loads it, with its media type: a small picture exactly, a larger one as a JPEG."""
    shown = _shrink_to(data, side)
    if shown is None:
        return None
    if max(shown.size) <= EXACT_SIDE:
        return encode_png(shown), "image/png"
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue(), "image/jpeg"


def measure_picture(data: bytes) -> tuple[int, int]:
    """Return width and height of an encoded picture of our own making."""
    with Pillow.open(io.BytesIO(data)) as opened:
        return opened.size


def _shrink_to(data: bytes, side: int) -> Pillow.Image | None:
    shown = decode_picture(data, side)
    if shown is not None:
        shown.thumbnail((side, side), reducing_gap=2)
    return shown


def draw_saliency(saliency: Floats, shape: Sequence[int], size: tuple[int, int]) -> bytes | None:
    r"""Draw how each pixel moves the sample's influence, in the colours of `tint`: the stronger, the more opaque.

    Args:
        saliency: Derivative of the influence with respect to the input, (product of shape,).
        shape: Height and width, with or without channels.
        size: Width and height of the picture that it is over.

    >>> draw_saliency(np.array([0.0, 1.0, 0.5, 0.0]), (2, 2), (2, 2))[:4]
    b'\x89PNG'
    """
    values = sum_channels(saliency, tuple(shape))  # (height, width)
    if values is None or not np.isfinite(values).all():
        return None
    pixels = np.zeros((*values.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where(values[..., None] < 0, HARMFUL, HELPFUL)
    pixels[..., 3] = np.round(220 * np.abs(_scale(values)))
    return encode_png(Pillow.fromarray(pixels, "RGBA").resize(size, Pillow.Resampling.NEAREST))
