"""Images become pixels in 0..1 of one shape, upright, and what a reviewer sees is the original file."""

import io
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.ingest import ingest
from tasks.ingest.images.decode import choose_common_shape, decode_image
from tasks.records import Source

RNG = np.random.default_rng(0)
RIGHT_TURN = 6  # EXIF: the top of the scene is at the right of the stored pixels


def encoded(pixels: np.ndarray, kind="PNG", mode=None, **options) -> bytes:
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def gray(height=4, width=6) -> np.ndarray:
    return RNG.integers(0, 256, (height, width), dtype=np.uint8)


def colour(height=4, width=6) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def ingested(tmp_path, images, **columns):
    table = pa.table({"image": images, "label": ["a", "b"] * (len(images) // 2) + ["a"] * (len(images) % 2)})
    path = tmp_path / "i.parquet"
    pq.write_table(table, path)
    dataset = ingest(Source(uri=str(path), **columns), tmp_path / "run")
    out = pq.read_table(dataset.path)
    features = np.array(out["features"].to_pylist(), np.float32).reshape(-1, *dataset.feature_shape)
    return dataset, out, features


def test_gray_images_of_one_size_keep_every_pixel(tmp_path):
    pixels = [gray(), gray(), gray()]
    files = [encoded(one) for one in pixels]
    dataset, table, features = ingested(tmp_path, pa.array(files, pa.binary()))
    assert (dataset.payload, dataset.feature_shape) == ("image", (4, 6))
    np.testing.assert_array_equal(features, np.stack(pixels) / np.float32(255))
    assert table["image"].to_pylist() == files
    assert dataset.feature_names[:2] == ("pixel 0,0", "pixel 0,1")
    assert len(dataset.feature_names) == 24


def test_one_colour_image_makes_all_three_channels(tmp_path):
    first, second = gray(), colour()
    dataset, _, features = ingested(tmp_path, pa.array([encoded(first), encoded(second)], pa.binary()))
    assert dataset.feature_shape == (4, 6, 3)
    np.testing.assert_array_equal(features[0], np.repeat(first[..., None], 3, axis=2) / np.float32(255))
    np.testing.assert_array_equal(features[1], second / np.float32(255))
    assert dataset.feature_names[:3] == ("pixel 0,0 red", "pixel 0,0 green", "pixel 0,0 blue")


def test_images_of_uneven_sizes_get_the_most_frequent_one(tmp_path):
    images = [encoded(gray(8, 10)), encoded(gray(8, 10)), encoded(gray(50, 40))]
    dataset, table, features = ingested(tmp_path, pa.array(images, pa.binary()))
    assert dataset.feature_shape == (8, 10)
    assert features.shape == (3, 8, 10)
    assert table["image"].to_pylist() == images


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ({(64, 64): 9, (28, 28): 3}, (32, 32)),
        ({(64, 20): 9, (28, 28): 3}, (32, 20)),
        ({(28, 28): 2, (16, 16): 2}, (28, 28)),
        ({(200, 300): 5}, (200, 300)),
        ({(1000, 1000): 5}, (32, 32)),
    ],
)
def test_the_common_shape_is_the_size_of_all_or_the_most_frequent_at_most_32(sizes, shape):
    assert choose_common_shape(Counter(sizes), gray=True) == shape
    reversed_sizes = Counter(dict(reversed(list(sizes.items()))))
    assert choose_common_shape(reversed_sizes, gray=True) == shape


def test_orientation_is_applied_to_pixels_and_to_the_common_size(tmp_path):
    upright = np.zeros((8, 16), np.uint8)
    upright[:, 8:] = 255
    exif = Image.Exif()
    exif[0x0112] = RIGHT_TURN
    stored = np.rot90(upright)  # turned left, to be turned right when it is shown
    files = [
        encoded(upright),
        encoded(np.ascontiguousarray(stored), "JPEG", quality=100, exif=exif.tobytes()),
    ]
    dataset, table, features = ingested(tmp_path, pa.array(files, pa.binary()))
    assert dataset.feature_shape == (8, 16)
    np.testing.assert_allclose(features[1], features[0], atol=0.05)
    assert table["image"].to_pylist() == files


def test_orientation_in_png_is_applied_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = RIGHT_TURN
    files = [encoded(gray(4, 6), exif=exif.tobytes()), encoded(gray(4, 6), exif=exif.tobytes())]
    assert ingested(tmp_path, pa.array(files, pa.binary()))[0].feature_shape == (6, 4)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_other_formats_are_shown_as_png(kind, tmp_path):
    pixels = gray()
    files = [encoded(pixels, kind, **({"lossless": True} if kind == "WEBP" else {})), encoded(pixels)]
    _, table, features = ingested(tmp_path, pa.array(files, pa.binary()))
    assert table["image"][0].as_py().startswith(b"\x89PNG")
    np.testing.assert_array_equal(features[0], features[1])


def test_sixteen_bits_are_scaled_not_cut():
    values = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)
    image = decode_image(encoded(values), (2, 2))
    np.testing.assert_allclose(image.pixels, np.array([[0, 100], [200, 255]]) / 255)


def test_what_is_transparent_shows_white():
    pixels = np.zeros((1, 2, 4), np.uint8)
    pixels[0, 1] = (255, 0, 0, 255)
    np.testing.assert_array_equal(decode_image(encoded(pixels), (1, 2, 3)).pixels, [[[1, 1, 1], [1, 0, 0]]])


def test_cmyk_and_palettes_become_rgb():
    for file in (encoded(colour(), "JPEG", mode="CMYK"), encoded(colour(), mode="P")):
        image = decode_image(file, (4, 6, 3))
        assert image.pixels.shape == (4, 6, 3)
        assert image.stored == file


def test_black_and_white_is_zero_and_one():
    file = encoded(np.array([[0, 255]], np.uint8), mode="1")
    np.testing.assert_array_equal(decode_image(file, (1, 2)).pixels, [[0, 1]])


def test_the_hugging_face_layout_is_read_without_being_named(tmp_path):
    pixels = gray()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.png").write_bytes(encoded(pixels))
    rows = [{"bytes": encoded(pixels), "path": "a.png"}, {"bytes": None, "path": "sub/b.png"}]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    dataset, table, features = ingested(tmp_path, pa.array(rows, kind))
    assert dataset.payload == "image"
    np.testing.assert_array_equal(features[0], features[1])
    assert table["image"].to_pylist() == [encoded(pixels)] * 2
    assert table["content_hash"][0] == table["content_hash"][1]


def test_paths_are_relative_to_the_folder_of_the_source(tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    for name, level in (("a", 0), ("b", 255)):
        (tmp_path / "pictures" / f"{name}.png").write_bytes(encoded(np.full((2, 2), level, np.uint8)))
    absolute = tmp_path / "pictures" / "b.png"
    (tmp_path / "list.csv").write_text(f"file,label\npictures/a.png,x\n{absolute},y\n")
    monkeypatch.chdir("/")
    dataset = ingest(Source(uri=str(tmp_path / "list.csv"), image="file"), tmp_path / "run")
    table = pq.read_table(dataset.path)
    assert [max(row) for row in table["features"].to_pylist()] == [0, 1]
    assert dataset.display_columns == ()


def test_a_missing_image_is_missing_not_black(tmp_path):
    _, table, features = ingested(tmp_path, pa.array([encoded(gray()), None, encoded(gray())], pa.binary()))
    assert np.isnan(features[1]).all()
    assert not np.isnan(features[[0, 2]]).any()
    assert table["image"][1].as_py() is None


def test_an_image_comes_before_numbers_unless_these_are_named(tmp_path):
    files = pa.array([encoded(gray()), encoded(gray())], pa.binary())
    path = tmp_path / "n.parquet"
    pq.write_table(pa.table({"photo": files, "size": [1, 2], "label": ["a", "b"]}), path)
    assert ingest(Source(uri=str(path), features=("size",)), tmp_path / "a").payload == "tabular"
    dataset = ingest(Source(uri=str(path)), tmp_path / "b")
    assert dataset.payload == "image"
    assert "not the numbers beside them ('size')" in dataset.notes[-1]
    assert dataset.display_columns == ("size",)
    assert "photo" not in pq.read_schema(dataset.path).names


@pytest.mark.parametrize(
    ("kind", "white"), [(np.uint16, 4095), (np.int32, 255), (np.uint16, 65535), (np.float32, 4095)]
)
def test_images_of_more_than_8_bits_keep_their_contrast(kind, white, tmp_path):
    pixels = [(np.array([[0, 0.25], [0.5, 1]]) * white * share).astype(kind) for share in (1, 0.5)]
    files = pa.array([encoded(one, "TIFF") for one in pixels], pa.binary())
    _, table, features = ingested(tmp_path, files)
    np.testing.assert_allclose(features[1], [[0, 0.125], [0.25, 0.5]], atol=0.01)
    with Image.open(io.BytesIO(table["image"][0].as_py())) as shown:
        assert (shown.mode, shown.getextrema()) == ("L", (0, 255))


def test_a_white_drawing_on_nothing_is_seen(tmp_path):
    drawing = np.full((4, 6, 4), 255, np.uint8)
    drawing[:, :3, 3] = 0
    _, _, features = ingested(tmp_path, pa.array([encoded(drawing), encoded(drawing)], pa.binary()))
    np.testing.assert_array_equal(features[0, 0, :, 0], [0, 0, 0, 1, 1, 1])


def test_paths_of_images_come_before_numbers(tmp_path):
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(encoded(gray()))
    (tmp_path / "p.csv").write_text("path,age,label\n1.png,3,a\n2.png,4,b\n")
    dataset = ingest(Source(uri=str(tmp_path / "p.csv")), tmp_path / "run")
    assert (dataset.payload, dataset.display_columns) == ("image", ("age",))


def test_ingested_images_can_be_ingested_again(tmp_path):
    first, table, _ = ingested(tmp_path, pa.array([encoded(gray()), encoded(gray())], pa.binary()))
    again = ingest(Source(uri=str(first.path), id="sample_id"), tmp_path / "again")
    assert (again.payload, again.digest) == ("image", first.digest)
    assert pq.read_table(again.path)["image"].equals(table["image"])


def test_many_images_are_decoded_in_their_order(tmp_path):
    pixels = [np.full((3, 3), value % 256, np.uint8) for value in range(3000)]
    _, table, features = ingested(tmp_path, pa.array([encoded(one) for one in pixels], pa.binary()))
    np.testing.assert_array_equal(
        features[:, 0, 0], (np.arange(3000) % 256).astype(np.float32) / np.float32(255)
    )
    assert table["source_row"].to_pylist() == list(range(3000))
