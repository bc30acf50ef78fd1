"""Images as features: pixels scaled to 0..1.

Where all images have the same size, that is the size; else every image is resized to the most frequent size,
at most 32 x 32: what a linear head on pixels can use, and the size of CIFAR's images. One channel where all
images are grayscale, else RGB.
"""

import io
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from tasks.errors import InputError, take_first_line
from tasks.ingest.content import Content, EncodedBatch
from tasks.ingest.identity import hash_contents
from tasks.ingest.images import depth
from tasks.ingest.images.files import ImageFiles, UnreadImage, find_image_files
from tasks.ingest.table import SourceTable

SIDE = 32
# 256 x 256 gray or 147 x 147 RGB: a row of more features outgrows most image files; they count as uneven.
MOST_FEATURES = 2**16
# The size at which Pillow begins to warn, 256 MiB of RGB: a few kilobytes can unfold to far more.
MOST_PIXELS = 2**28 // 3
# Formats without programs in them: Pillow would hand an EPS file to Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", *(["AVIF"] if features.check("avif") else []))
# How the files of phones begin, behind four bytes of length (ISO/IEC 23008-12).
_HEIC = tuple(
    f"ftyp{brand}".encode() for brand in ("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1")
)
# How files of sound begin: Hugging Face keeps them as it keeps images.
_SOUND = (b"ID3", b"fLaC", b"OggS")
_KEPT = ("PNG", "JPEG", "MPO")  # MPO: a JPEG as phones write it, with a preview behind it
_GRAY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
_ORIENTATION = 0x0112  # EXIF tag; from 5 on, width and height change places
_NAME_ANOTHER = "name another with --image"
# Values that a column of bytes is told by: a broken image may come first, ten of them do not.
_LOOKED_AT = 10


@dataclass(frozen=True)
class Decoded:
    """One image.

    Attributes:
        pixels: Values 0..1, of the shape that all images get.
        stored: PNG or JPEG bytes to show to a person.
    """

    pixels: NDArray[np.float32]
    stored: bytes


def _encode(
    batch: pa.RecordBatch, first_row: int, files: ImageFiles, shape: tuple[int, ...], levels: depth.Levels
) -> EncodedBatch:
    """Return pixels, hashes and files; an image that is missing or does not decode is all NaN.

    The hash is that of the file: it does not depend on the decoder's version or on the common size.
    """
    found = files.read(batch.column(files.column), first_row)
    matrix = np.full((len(found), int(np.prod(shape))), np.nan, np.float32)
    stored: list[bytes | None] = [None] * len(found)
    problems = {offset: file.why for offset, file in enumerate(found) if isinstance(file, UnreadImage)}
    there = {offset: file for offset, file in enumerate(found) if isinstance(file, bytes)}
    decoder = partial(decode_image, shape=shape, levels=levels)
    # Pillow decodes outside the interpreter's lock.
    with _silence_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for offset, image in zip(there, pool.map(decoder, there.values()), strict=True):
            if isinstance(image, str):
                problems[offset] = f"the image does not decode ({image})"
            else:
                matrix[offset], stored[offset] = image.pixels.ravel(), image.stored
    hashes = hash_contents("image", (), [there.get(offset, b"") for offset in range(len(found))])
    return EncodedBatch(matrix, hashes, pa.array(stored, pa.binary()), problems)


def open_image_column(table: SourceTable, column: str) -> Content:
    """Return how an image column is encoded, after a look at the size and mode of every image.

    An image that is missing or does not decode has no say; it is set aside later, and the others continue.

    Raises:
        InputError: There is no image, or none can be read.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    levels: list[depth.Levels] = []
    gray = True
    first: InputError | None = None
    files = find_image_files(table, column)
    with _silence_warnings():
        for row, file in files.numbered():
            seen = file if isinstance(file, UnreadImage) else inspect_image(file)
            if not isinstance(seen, tuple):
                first = first or _make_unreadable_error(table, column, row, seen)
                continue
            size, is_gray, found = seen
            sizes[size] += 1
            gray = gray and is_gray
            levels += [found] if found else []
    if not sizes:
        raise first or table.problem(f"column '{column}' has no image at all", fix=_NAME_ANOTHER)
    shape = choose_common_shape(sizes, gray=gray)
    names = ["pixel {},{}".format(*place) for place in np.ndindex(shape[:2])]
    if len(shape) == 3:
        names = [f"{name} {channel}" for name in names for channel in ("red", "green", "blue")]
    encode = partial(_encode, files=files, shape=shape, levels=depth.merge_levels(levels))
    return Content(tuple(names), shape, encode, files.notes)


def _make_unreadable_error(table: SourceTable, column: str, row: int, why: str | UnreadImage) -> InputError:
    if isinstance(why, UnreadImage):
        what = f"{why.why}, and no other image in column '{column}' can be read"
        return table.problem(what, fix=why.fix, row=row)
    what = f"no image in column '{column}' decodes, this one neither ({why})"
    return table.problem(what, fix=_NAME_ANOTHER, row=row)


def choose_common_shape(sizes: Counter[tuple[int, int]], *, gray: bool) -> tuple[int, ...]:
    """Return the shape that all images get.

    Args:
        sizes: How often each (height, width) occurs.

    >>> choose_common_shape(Counter({(28, 28): 10}), gray=True)
    (28, 28)
    >>> choose_common_shape(Counter({(48, 20): 10, (28, 28): 3}), gray=False)
    (32, 20, 3)
    """
    channels = () if gray else (3,)
    height, width = max(sizes, key=lambda size: (sizes[size], size))
    if len(sizes) > 1 or int(np.prod((height, width, *channels))) > MOST_FEATURES:
        height, width = min(height, SIDE), min(width, SIDE)
    return (height, width, *channels)


def holds_images(table: SourceTable, column: str) -> bool:
    """Return whether one of the first values of a column of bytes decodes; other kinds of columns are taken at their word."""
    if not pa.types.is_binary(table.schema.field(column).type):
        return True
    for batch in table.scan([column], _LOOKED_AT):
        values = batch.column(0).drop_null()[:_LOOKED_AT].to_pylist()
        if values:
            return any(not isinstance(inspect_image(value), str) for value in values)
    return True


def inspect_image(file: bytes) -> tuple[tuple[int, int], bool, depth.Levels | None] | str:
    """Return (height, width) upright, whether it is gray, and the range of a deep image; or why that cannot be read."""
    try:
        with _open_image(file) as image:
            # The base class looks at what the header said; PNG's own would decode the image to look further.
            orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
            size = image.size if orientation >= 5 else (image.height, image.width)
            return size, image.mode in _GRAY, depth.measure_levels(image) if depth.is_deep(image) else None
    except Exception as error:  # noqa: BLE001 (on broken bytes the decoders raise nearly anything)
        return _shorten_reason(error)


def decode_image(file: bytes, shape: tuple[int, ...], levels: depth.Levels | None = None) -> Decoded | str:
    """Return an image in the given shape, or why it does not decode."""
    try:
        with _open_image(file) as image:
            kept = image.format in _KEPT and not depth.is_deep(image)
            upright = ImageOps.exif_transpose(image)
            if depth.is_deep(image):
                upright = depth.convert_to_8_bits(
                    upright, levels or depth.merge_levels(filter(None, [depth.measure_levels(upright)]))
                )
            return Decoded(_read_pixels(upright, shape), file if kept else _encode_png(upright))
    except Exception as error:  # noqa: BLE001 (on broken bytes the decoders raise nearly anything)
        return _shorten_reason(error)


@contextmanager
def _silence_warnings() -> Iterator[None]:
    """Keep what Pillow says about odd metadata off the terminal; what it says about bombs is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _open_image(file: bytes) -> Iterator[Image.Image]:
    if file.startswith(_SOUND) or file[8:12] == b"WAVE":
        raise ValueError("it is sound, which labelsweep does not read")
    with Image.open(io.BytesIO(file), formats=(*_FORMATS, *_choose_phone_formats(file[4:12]))) as image:
        if image.width * image.height > MOST_PIXELS:
            raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels are too many")
        yield image


def _choose_phone_formats(brand: bytes) -> tuple[str, ...]:
    """Return what reads a file of this brand beside the usual formats.

    Raises:
        ValueError: It takes a package that is not installed.
    """
    if brand not in _HEIC:
        return ()
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ValueError("a HEIC image: pip install 'labelsweep[heic]'") from error
    register_heif_opener()
    return ("HEIF",)


def _read_pixels(image: Image.Image, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return values 0..1 of the given shape; what is transparent shows white, as on a page."""
    mode = "L" if len(shape) == 2 else "RGB"
    if image.has_transparency_data:
        image = depth.paint_on_white(image)
    image = image.convert(mode)
    size = (shape[1], shape[0])
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32) / np.float32(255)


def _encode_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    (image if image.mode in _PNG_MODES else image.convert("RGB")).save(buffer, format="PNG")
    return buffer.getvalue()


def _shorten_reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    return take_first_line(error, 120)
