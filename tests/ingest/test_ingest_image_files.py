"""Columns of images: paths as people write them, addresses, base64, and pixels written as numbers."""

import base64
import functools
import http.server
import io
import json
import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.errors import InputError, StoreError
from tasks.ingest import ingest
from tasks.ingest.images.decode import decode_image
from tasks.ingest.source import digest_files
from tasks.records import Source

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (4, 5, 5), dtype=np.uint8)
PIXELS[0, 0, 0] = 255


def encoded(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def table_of(tmp_path, values, kind=None):
    path = tmp_path / "i.parquet"
    labels = ["a", "b"] * (len(values) // 2)
    pq.write_table(pa.table({"pic": pa.array(values, kind), "label": labels}), path)
    return path


def ingested(path, tmp_path, image="pic"):
    """Return the pixels of the images, and the data set."""
    dataset = ingest(Source(uri=str(path), image=image), tmp_path / "run")
    features = np.array(pq.read_table(dataset.path)["features"].to_pylist(), np.float32)
    return features.reshape(-1, *dataset.feature_shape), dataset


def reasons(dataset) -> list[str]:
    return pq.read_table(dataset.unreadable)["reason"].to_pylist() if dataset.unreadable else []


def refused(path, tmp_path, image="pic") -> str:
    with pytest.raises(InputError) as caught:
        ingest(Source(uri=str(path), image=image), tmp_path / "run")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_images(folder, names=("0.png", "1.png", "2.png", "3.png")):
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in zip(names, PIXELS, strict=True):
        (folder / name).write_bytes(encoded(pixels))


def listing(tmp_path, names):
    path = tmp_path / "i.csv"
    rows = "".join(f"{name},{'ab'[at % 2]}\n" for at, name in enumerate(names))
    path.write_text("pic,label\n" + rows)
    return path


@pytest.mark.parametrize(
    "values",
    [
        PIXELS.tolist(),
        (PIXELS / np.float32(255)).tolist(),
        PIXELS.reshape(4, 25).tolist(),
        PIXELS[..., None].tolist(),
        [" ".join(map(str, one.ravel())) for one in PIXELS],
        [json.dumps(one.tolist()) for one in PIXELS],
        [str(one) for one in PIXELS],
        [base64.b64encode(encoded(one)).decode() for one in PIXELS],
        [f"data:image/png;base64,{base64.b64encode(encoded(one)).decode()}" for one in PIXELS],
    ],
    ids=["nested", "0 to 1", "flat", "one channel", "text", "JSON", "numpy", "base64", "data URI"],
)
def test_images_written_as_numbers_or_text_are_read_when_asked_for(values, tmp_path):
    features, dataset = ingested(table_of(tmp_path, values), tmp_path)
    np.testing.assert_allclose(features, PIXELS / 255, atol=1e-6)
    assert reasons(dataset) == []
    assert pq.read_table(dataset.path)["image"][0].as_py().startswith(b"\x89PNG")


def test_channels_may_be_first_or_last(tmp_path):
    colour = RNG.integers(2, 256, (2, 6, 5, 3), dtype=np.uint8)
    for values in (colour, colour.transpose(0, 3, 1, 2)):
        features, _ = ingested(table_of(tmp_path, values.tolist()), tmp_path)
        np.testing.assert_allclose(features, colour / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            [[0] * 75] * 2,
            "75 pixels in a row are no square of gray ones (its channels could be first or last)",
        ),
        ([[0] * 7] * 2, "7 pixels in a row are no square"),
        ([[[0, 1], [2]]] * 2, "its rows differ in length"),
        ([[[-1.5, 0.5], [0, 1]]] * 2, "pixels go from -1.5 to 1; write them as 0..1, 0..255 or 0..65535"),
    ],
)
def test_numbers_that_are_no_image_are_refused_in_one_line(values, said, tmp_path):
    assert said in refused(table_of(tmp_path, values), tmp_path)


def test_one_missing_file_is_set_aside_with_its_reason(tmp_path):
    write_images(tmp_path / "pics")
    names = ["pics/0.png", "pics\\1.png", str(tmp_path / "pics" / "2.png"), "pics/gone.png"]
    features, dataset = ingested(listing(tmp_path, names), tmp_path)
    np.testing.assert_allclose(features[:3], PIXELS[:3] / 255, atol=1e-6)
    assert reasons(dataset) == ["no such image file 'pics/gone.png'"]


def test_bare_names_are_found_below_the_folder_of_the_table(tmp_path):
    write_images(tmp_path / "train_images", ("0000.png", "0001.png", "0002.png", "0003.png"))
    features, dataset = ingested(listing(tmp_path, ["0000", "0001", "0002", "0003"]), tmp_path)
    np.testing.assert_allclose(features, PIXELS / 255, atol=1e-6)
    assert "found by their names" in "; ".join(dataset.notes)


def test_a_column_of_paths_has_the_images_when_they_are_there(tmp_path):
    write_images(tmp_path / "pics")
    path = listing(tmp_path, [f"pics/{number}.png" for number in range(4)])
    _, dataset = ingested(path, tmp_path, image=None)
    assert dataset.payload == "image"
    assert "column 'pic' has the images; --image names another" in dataset.notes


@pytest.mark.parametrize("column", ["id", "file"])
def test_names_without_their_endings_have_the_images_that_are_there(column, tmp_path):
    (tmp_path / "pets" / "train").mkdir(parents=True)
    for number in range(24):
        Image.fromarray(PIXELS[number % 4]).save(tmp_path / "pets" / "train" / f"p{number:03}.png")
    rows = "".join(f"p{number:03},{'ab'[number % 2]}\n" for number in range(24))
    (tmp_path / "pets" / "labels.csv").write_text(f"{column},breed\n{rows}")
    for source in (tmp_path / "pets" / "labels.csv", tmp_path / "pets"):
        dataset = ingest(Source(uri=str(source), label="breed"), tmp_path / "run")
        assert (dataset.payload, dataset.rows) == ("image", 24)
        assert f"column '{column}' has the images; --image names another" in dataset.notes


@pytest.mark.parametrize("before", ["/home/bob/", "C:\\bob\\", "\\\\server\\share\\"])
def test_paths_of_another_machine_are_read_by_their_ends(before, tmp_path):
    write_images(tmp_path / "pics")
    names = [before + name for name in ("pics/0.png", "pics\\1.png", "pics/2.png", "pics/gone.png")]
    features, dataset = ingested(listing(tmp_path, names), tmp_path, image=None)
    np.testing.assert_allclose(features[:3], PIXELS[:3] / 255, atol=1e-6)
    assert f"'{before}' of the paths in 'pic' is not there" in "; ".join(dataset.notes)
    assert reasons(dataset) == [f"no such image file '{names[3]}'"]


def test_a_list_of_files_and_classes_has_no_header(tmp_path):
    write_images(tmp_path / "pics", [f"{n}.png" for n in range(4)])
    (tmp_path / "val.txt").write_text("".join(f"pics/{n % 4}.png {n % 2}\n" for n in range(12)))
    with pytest.raises(InputError, match=r"it has no header, .* such as --label c1"):
        ingest(Source(uri=str(tmp_path / "val.txt")), tmp_path / "run")


def test_images_that_a_table_does_not_name_are_said(tmp_path):
    write_images(tmp_path / "in" / "pics")
    (tmp_path / "in" / "t.csv").write_text(
        "age,label\n" + "".join(f"{n % 7},{'ab'[n % 2]}\n" for n in range(40))
    )
    _, dataset = ingested(tmp_path / "in", tmp_path, image=None)
    assert dataset.payload == "tabular"
    assert "4 image files beside the table are not read" in dataset.notes[0]
    names = "".join(f"gone/{n}.png,{n % 7},{'ab'[n % 2]}\n" for n in range(40))
    (tmp_path / "u.csv").write_text(f"pic,age,label\n{names}")
    _, dataset = ingested(tmp_path / "u.csv", tmp_path, image=None)
    assert "column 'pic' names image files, and those of the first rows are not there" in dataset.notes[0]


def test_a_bare_name_that_two_files_have_is_set_aside(tmp_path):
    write_images(tmp_path / "train")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "1.png").write_bytes(encoded(PIXELS[0]))
    _, dataset = ingested(listing(tmp_path, ["0", "1", "2", "3"]), tmp_path)
    assert reasons(dataset) == ["2 image files are called '1'"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["/home/bob/x.png", "/home/bob/y.png"], "this path is of another machine: write paths relative to"),
        (["C:\\bob\\x.png", "C:\\bob\\y.png"], "this path is of another machine: write paths relative to"),
        (["pics/x.png", "pics/y.png"], "paths are relative to the folder of the source"),
    ],
)
def test_paths_of_which_none_is_there_are_refused_with_what_to_do(names, said, tmp_path):
    write_images(tmp_path / "imgs")
    line = refused(listing(tmp_path, names), tmp_path)
    assert "line 2: no such image file '" in line
    assert said in line


def test_addresses_are_fetched_and_a_missing_one_is_set_aside(tmp_path):
    write_images(tmp_path / "www")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        names = [f"http://127.0.0.1:{server.server_port}/{name}.png" for name in ("0", "1", "2", "gone")]
        features, dataset = ingested(listing(tmp_path, names), tmp_path)
        server.shutdown()
    np.testing.assert_allclose(features[:3], PIXELS[:3] / 255, atol=1e-6)
    assert reasons(dataset) == [f"no such image file '{names[3]}'"]


def test_a_file_of_a_server_is_another_one_where_only_its_date_or_its_content_is(tmp_path):
    class Undated(http.server.SimpleHTTPRequestHandler):
        def send_header(self, keyword: str, value: str) -> None:
            if keyword not in ("Last-Modified", "Content-Length"):
                super().send_header(keyword, value)

    (tmp_path / "a.csv").write_text("x,label\n1,cat\n")
    os.utime(tmp_path / "a.csv", (0, 0))
    for handler in (http.server.SimpleHTTPRequestHandler, Undated):
        served = functools.partial(handler, directory=str(tmp_path))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            source = f"http://127.0.0.1:{server.server_port}/a.csv"
            before = digest_files(source)
            assert digest_files(source) == before
            (tmp_path / "a.csv").write_text("x,label\n1,dog\n")
            assert digest_files(source) != before
            (tmp_path / "a.csv").write_text("x,label\n1,cat\n")
            server.shutdown()


def test_a_server_that_does_not_answer_is_no_missing_image(tmp_path):
    with pytest.raises(StoreError, match="cannot be reached"):
        ingested(listing(tmp_path, ["http://127.0.0.1:9/0.png", "http://127.0.0.1:9/1.png"]), tmp_path)


def test_files_of_phones_and_browsers_are_read(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    heic = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(heic)
    root = tmp_path / "photos"
    for name, file in (
        ("a/1.heic", heic.getvalue()),
        ("a/2.jfif", encoded(pixels, "JPEG")),
        ("b/3.avif", encoded(pixels, "AVIF")),
        ("b/4.JPEG", encoded(pixels, "JPEG", mode="CMYK")),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(file)
    features, dataset = ingested(root, tmp_path, image=None)
    assert reasons(dataset) == []
    np.testing.assert_allclose(features, np.broadcast_to(pixels / 255, features.shape), atol=0.06)


def test_heic_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    assert (
        decode_image(b"\0\0\0\x18ftypheic" + b"\0" * 40, (4, 4))
        == "a HEIC image: pip install 'labelsweep[heic]'"
    )


def test_float_images_keep_their_shades():
    values = np.array([[0.0, 0.5], [0.75, 1.0]], np.float32)
    np.testing.assert_allclose(decode_image(encoded(values, "TIFF"), (2, 2)).pixels, values, atol=0.01)


def test_the_first_picture_of_an_animation_is_taken():
    frames = [Image.fromarray(one) for one in PIXELS[:2]]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decode_image(buffer.getvalue(), (5, 5)).pixels, PIXELS[0] / 255, atol=1e-6)


def test_a_file_is_found_where_its_name_is_spelled_otherwise_on_disk(tmp_path):
    (tmp_path / "Ka\u0308se").mkdir()  # as macOS writes it
    for number, one in enumerate(PIXELS[:2]):
        (tmp_path / "Ka\u0308se" / f"{number}.PNG").write_bytes(encoded(one))
    (tmp_path / "t.csv").write_text("path,label\nk\u00e4se/0.png,a\nk\u00e4se\\1.png,b\nk\u00e4se/2.png,b\n")
    dataset = ingest(Source(uri=str(tmp_path / "t.csv"), image="path"), tmp_path / "run")
    assert pq.read_table(dataset.unreadable)["source_row"].to_pylist() == [2]
