"""Pictures of a data set as people see them: upright, on white, no larger than they are shown."""

import io
import warnings

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

# What ingest accepts and what cameras and browsers write. Formats with programs inside them (PostScript) stay out.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

# What Pillow warns of before it refuses it, a few bytes that unfold to half a gigabyte, is no picture here, and not worth a word.
warnings.filterwarnings("ignore", category=Pillow.DecompressionBombWarning)


def decode_picture(data: object, side: int) -> Pillow.Image | None:
    """Return a picture in RGB or gray, upright, transparency on white; None where the bytes are not a picture.

    Args:
        side: Side at which it is shown: a JPEG is not decoded much larger.
    """
    if not isinstance(data, bytes):
        return None
    try:
        with Pillow.open(io.BytesIO(data), formats=_FORMATS) as opened:
            if opened.width * opened.height > (Pillow.MAX_IMAGE_PIXELS or 0):
                return None
            # A JPEG is decoded at a half, a quarter or an eighth where that is still as large as it is shown.
            longest = max(opened.size)
            width, height = (-(-length * side // longest) for length in opened.size)
            opened.draft("RGB", (width, height))
            return _paint_on_white(ImageOps.exif_transpose(opened))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (on broken bytes the decoders raise nearly anything)
        return None


def _paint_on_white(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float64)
        low, high = values.min(), values.max()
        return Pillow.fromarray(np.uint8(255 * (values - low) / max(high - low, 1e-12)))
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")


def fit_picture(picture: Pillow.Image, side: int) -> Pillow.Image:
    """Return a picture whose longer side is at most `side`; smaller ones are enlarged by a whole factor, pixel by pixel."""
    width, height = picture.size
    factor = side // max(width, height)
    if factor >= 1:
        return picture.resize((width * factor, height * factor), Pillow.Resampling.NEAREST)
    small = picture.copy()
    small.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    return small


def encode_png(picture: Pillow.Image, *, optimize: bool = False) -> bytes:
    """Return a picture as a PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=optimize)
    return buffer.getvalue()
