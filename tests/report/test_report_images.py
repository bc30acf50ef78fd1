"""Pictures on the page are PNGs that this program drew."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tasks.pictures import decode_picture
from tasks.show.images import HARMFUL, HELPFUL, draw_overlay, draw_thumbnail, write_safe_png


def encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def decoded(uri: str) -> Image.Image:
    return Image.open(
        io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))), formats=["PNG"]
    )


def test_a_tiny_picture_is_enlarged_by_whole_pixels() -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    found = draw_thumbnail(encoded(Image.fromarray(pixels), "PNG"), "digit")
    assert found is not None
    assert (found.width, found.height) == (96, 96)
    assert np.array_equal(np.asarray(decoded(found.uri)), pixels.repeat(12, axis=0).repeat(12, axis=1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_large_picture_is_reduced_and_re_encoded(kind: str) -> None:
    data = encoded(Image.new("RGB", (640, 480), "red"), kind)
    found = draw_thumbnail(data, "red")
    assert found is not None
    assert (found.width, found.height) == (96, 72)
    assert found.uri.startswith("data:image/png;base64,")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_of_picture_can_be_shown(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "F") else "PNG"
    picture = Image.new("RGB", (5, 4), "white").convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        picture = Image.fromarray(np.full((4, 5), 4_000, dtype=np.uint16))
    found = draw_thumbnail(encoded(picture, kind), mode)
    assert found is not None
    assert (found.width, found.height) == (95, 76)


def test_a_photograph_taken_sideways_is_shown_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its right side
    taken = Image.new("RGB", (80, 40), "white")
    taken.paste("red", (0, 0, 40, 40))  # its left half, which is above
    buffer = io.BytesIO()
    taken.save(buffer, "JPEG", exif=exif, quality=95)
    for picture in (
        decoded(draw_thumbnail(buffer.getvalue(), "photograph").uri),
        Image.open(io.BytesIO(write_safe_png(buffer.getvalue()))),
    ):
        assert picture.height == 2 * picture.width
        red, white = (picture.convert("RGB").getpixel((20, y * picture.height // 4)) for y in (1, 3))
        assert red[1] < 60 < 200 < white[1]


def test_sixteen_bits_of_gray_show_more_than_white() -> None:
    ramp = np.linspace(1_000, 60_000, 64, dtype=np.uint16).reshape(8, 8)
    data = encoded(Image.fromarray(ramp), "PNG")
    for picture in (decoded(draw_thumbnail(data, "x-ray").uri), Image.open(io.BytesIO(write_safe_png(data)))):
        values = np.asarray(picture.convert("L"))
        assert values.min() < 10 < 240 < values.max()
        assert len(np.unique(values)) > 30


def test_a_photograph_is_decoded_no_larger_than_it_is_shown() -> None:
    data = encoded(Image.new("RGB", (4_000, 3_000), "red"), "JPEG")
    for side, size in ((1_000, (1_000, 750)), (999, (1_000, 750)), (256, (500, 375))):
        picture = decode_picture(data, side)
        assert picture is not None
        assert picture.size == size


def test_metadata_of_a_photograph_does_not_reach_the_page() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "blue").save(buffer, "JPEG", exif=exif)
    found = draw_thumbnail(buffer.getvalue(), "blue")
    assert found is not None
    assert b"taken at home" not in base64.b64decode(found.uri.split(",")[1])


def test_a_decompression_bomb_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    assert draw_thumbnail(encoded(Image.new("L", (40, 40)), "PNG"), "bomb") is None


def test_overlay_colours_tell_the_sign() -> None:
    data = encoded(Image.new("L", (2, 1), 128), "PNG")
    found = draw_overlay(data, np.array([-1.0, 1.0]), (1, 2), "saliency")
    assert found is not None
    pixels = np.asarray(decoded(found.uri).convert("RGB"), dtype=np.float64)
    left, right = pixels[0, 0], pixels[0, -1]
    assert np.abs(left - HARMFUL).sum() < np.abs(left - HELPFUL).sum()
    assert np.abs(right - HELPFUL).sum() < np.abs(right - HARMFUL).sum()


def test_saliency_of_another_size_is_not_drawn() -> None:
    assert draw_overlay(encoded(Image.new("L", (4, 4)), "PNG"), np.ones(5), (4, 4), "") is None
