"""Folders of images: class folders, splits, `metadata.csv`, and layouts that have no class for an image."""

import io
import json
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Source


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def folder(tmp_path, *files: str, **texts: str):
    """Write images under these names, and files with these texts; each image differs."""
    root = tmp_path / "pets"
    for number, name in enumerate(files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def ingested(root, tmp_path, **columns):
    """Return the rows without pixels, and what was said."""
    dataset = ingest(Source(uri=str(root), **columns), tmp_path / "run")
    assert dataset.payload == "image"
    table = pq.read_table(dataset.path)
    assert len(table) == dataset.rows
    return table.drop_columns(["features", "image"]).to_pylist(), "; ".join(dataset.notes)


def placed(rows) -> dict[str, tuple[str, str | None]]:
    return {row["file"]: (row["label"], row.get("split")) for row in rows}


def refused(root, tmp_path) -> str:
    with pytest.raises(InputError) as caught:
        ingest(Source(uri=str(root)), tmp_path / "run")
    line = str(caught.value)
    assert "\n" not in line
    return line


BOTH = ("cats/1.png", "dogs/2.png")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (BOTH, {"cats/1.png": ("cats", None), "dogs/2.png": ("dogs", None)}),
        # Kaggle's cats and dogs: the test images have no class.
        (
            ("train/cats/1.png", "validation/dogs/2.png", "test/3.png"),
            {"train/cats/1.png": ("cats", "train"), "validation/dogs/2.png": ("dogs", "validation")},
        ),
        # Archives on Kaggle hold each split in a folder of its own name.
        (
            ("training_set/training_set/cats/1.png", "test_set/test_set/dogs/2.png"),
            {
                "training_set/training_set/cats/1.png": ("cats", "training_set"),
                "test_set/test_set/dogs/2.png": ("dogs", "test_set"),
            },
        ),
        # ImageNet: one folder in the other, and validation images without a class.
        (
            ("ILSVRC/Data/CLS-LOC/train/n01/a.JPEG", "ILSVRC/Data/CLS-LOC/train/n02/b.JPEG"),
            {
                "ILSVRC/Data/CLS-LOC/train/n01/a.JPEG": ("n01", "train"),
                "ILSVRC/Data/CLS-LOC/train/n02/b.JPEG": ("n02", "train"),
            },
        ),
        # A class may be called like a split.
        (("car/1.png", "train/2.png"), {"car/1.png": ("car", None), "train/2.png": ("train", None)}),
        (
            ("test_positive/1.png", "test_negative/2.png"),
            {"test_positive/1.png": ("test_positive", None), "test_negative/2.png": ("test_negative", None)},
        ),
        # The class first, then the split.
        (
            ("cats/train/1.png", "dogs/test/2.png"),
            {"cats/train/1.png": ("cats", "train"), "dogs/test/2.png": ("dogs", "test")},
        ),
        # Class folders may be nested deeper.
        (("cats/a/1.png", "dogs/b/2.png"), {"cats/a/1.png": ("cats", None), "dogs/b/2.png": ("dogs", None)}),
        # Masks beside images of classes are no samples.
        (
            ("images/cats/1.png", "images/dogs/2.png", "masks/cats/1.png"),
            {"images/cats/1.png": ("cats", None), "images/dogs/2.png": ("dogs", None)},
        ),
        # PlantVillage: the same leaves in another look.
        (
            ("color/scab/1.png", "color/rust/2.png", "grayscale/scab/1.png", "grayscale/rust/2.png"),
            {
                "color/scab/1.png": ("scab", "color"),
                "color/rust/2.png": ("rust", "color"),
                "grayscale/scab/1.png": ("scab", "grayscale"),
                "grayscale/rust/2.png": ("rust", "grayscale"),
            },
        ),
        # CVAT's folder of images without a class.
        (
            (*BOTH, "no_label/3.png"),
            {"cats/1.png": ("cats", None), "dogs/2.png": ("dogs", None)},
        ),
    ],
)
def test_folders_are_classes_or_splits(files, expected, tmp_path):
    rows, _ = ingested(folder(tmp_path, *files), tmp_path)
    assert placed(rows) == expected


def test_a_zip_archive_of_class_folders_is_read_as_the_folder(tmp_path):
    root = folder(tmp_path, "train/cats/1.png", "test/dogs/2.png")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, path.relative_to(tmp_path))
    rows, _ = ingested(tmp_path / "pets.zip", tmp_path)
    assert placed(rows) == {"train/cats/1.png": ("cats", "train"), "test/dogs/2.png": ("dogs", "test")}


def test_links_to_class_folders_are_followed_but_not_in_a_circle(tmp_path):
    root = folder(tmp_path, "cat/1.png", "cat/2.png")
    (tmp_path / "dogs").mkdir()
    (tmp_path / "dogs" / "3.png").write_bytes(png(3))
    (root / "dog").symlink_to(tmp_path / "dogs")
    (root / "cat" / "again").symlink_to(root)
    rows, _ = ingested(root, tmp_path)
    assert [(row["file"], row["label"]) for row in rows] == [
        ("cat/1.png", "cat"),
        ("cat/2.png", "cat"),
        ("dog/3.png", "dog"),
    ]


@pytest.mark.parametrize(
    ("kind", "fix"), [("wav", "reads no sound"), ("txt", "columns text and label"), ("dcm", "PNG")]
)
def test_class_folders_of_other_files_are_refused_with_what_to_do(kind, fix, tmp_path):
    texts = {f"{name}/{number}.{kind}": "x" for name in ("cat", "dog") for number in range(3)}
    with pytest.raises(InputError, match=rf"but 6 of type '\.{kind}'; .*{fix}"):
        ingest(Source(uri=str(folder(tmp_path, **texts))), tmp_path / "run")


def test_what_is_not_read_is_counted_and_named(tmp_path):
    root = folder(
        tmp_path,
        *BOTH,
        "stray.png",
        "cats/._1.png",
        "__MACOSX/cats/1.png",
        **{"cats/Thumbs.db": "", ".DS_Store": "", "notes.txt": "", "labels.csv": "a,b\n1,2\n"},
    )
    (root / "cats" / "gone.png").symlink_to(root / "nowhere.png")
    rows, said = ingested(root, tmp_path)
    assert [row["file"] for row in rows] == list(BOTH)
    assert "1 image in no class folder ('stray.png')" in said
    assert "1 table beside the images ('labels.csv')" in said
    assert "1 other file ('notes.txt')" in said
    assert "5 hidden files" in said


def test_sub_folders_that_every_class_has_are_said(tmp_path):
    root = folder(
        tmp_path, *(f"{kind}/{name}/1.png" for kind in ("apple", "grape") for name in ("rot", "well"))
    )
    rows, said = ingested(root, tmp_path)
    assert {row["label"] for row in rows} == {"apple", "grape"}
    assert "the same sub-folders ('rot', 'well')" in said


def test_metadata_beside_images_names_labels_and_splits(tmp_path):
    texts = {
        f"{split}/metadata.jsonl": "\n".join(
            json.dumps({"file_name": f"{n}.png", "label": "ab"[n % 2], "breed": "cd"[n // 2], "width": n})
            for n in range(3)
        )
        for split in ("train", "test")
    }
    root = folder(tmp_path, *(f"{split}/{n}.png" for split in ("train", "test") for n in range(4)), **texts)
    rows, said = ingested(root, tmp_path)
    assert placed(rows)["train/1.png"] == ("b", "train")
    assert len(rows) == 6
    assert rows[2]["width"] == 2
    assert "2 images that the metadata does not name ('test/3.png', 'train/3.png')" in said
    rows, _ = ingested(root, tmp_path, label="breed")
    assert placed(rows)["test/2.png"] == ("d", "test")


def test_metadata_without_labels_leaves_them_to_the_folders(tmp_path):
    text = "file_name,caption\ncats\\1.png,a cat\ndogs/2.png,a dog\n"
    rows, said = ingested(folder(tmp_path, *BOTH, **{"metadata.csv": text}), tmp_path)
    assert [(row["label"], row["caption"]) for row in rows] == [("cats", "a cat"), ("dogs", "a dog")]
    assert said == ""


def test_a_table_beside_class_folders_is_read_when_its_columns_are_named(tmp_path):
    text = "path,kind\ncats/1.png,x\ndogs/2.png,y\n"
    rows, _ = ingested(folder(tmp_path, *BOTH, **{"list.csv": text}), tmp_path, label="kind", image="path")
    assert [row["label"] for row in rows] == ["x", "y"]


NAMES = [f"{n}.png" for n in range(6)]
BOX = "0 0.5 0.5 0.1 0.2\n"
COCO = '{"info": {}, "images": [], "annotations": []}'


@pytest.mark.parametrize(
    ("files", "texts", "said"),
    [
        (
            [f"train/images/{name}" for name in NAMES],
            {"train/labels/0.txt": BOX, "data.yaml": ""},
            "an object-detection data set (YOLO",
        ),
        ([f"images/train2017/{name}" for name in NAMES], {"labels/train2017/1.txt": BOX}, "(YOLO"),
        ([f"obj_train_data/{name}" for name in NAMES], {"obj_train_data/1.txt": BOX}, "(YOLO"),
        ([f"train/{name}" for name in NAMES], {"train/_annotations.coco.json": COCO}, "(COCO"),
        ([f"val2017/{name}" for name in NAMES], {"annotations/instances_val2017.json": COCO}, "(COCO"),
        ([f"VOC/JPEGImages/{name}" for name in NAMES], {"VOC/Annotations/1.xml": "<annotation/>"}, "(VOC"),
        ([f"train/{name}" for name in NAMES], {"train/_classes.csv": "filename, cat\n"}, "several labels"),
        (NAMES, {"0.json": '{"shapes": [], "imagePath": "0.png"}'}, "(LabelMe"),
        ([f"{kind}/{name}" for kind in ("images", "masks") for name in NAMES], {}, "segmentation"),
        (
            [f"images/{breed}_{n}.jpg" for breed in ("Abyssinian", "beagle") for n in range(5)],
            {"annotations/list.txt": ""},
            "seem to begin with the class ('Abyssinian', 'beagle'); put each image into a folder",
        ),
        (
            [f"{split}/{name}" for split in ("train", "test") for name in NAMES],
            {},
            "the folders 'test', 'train' are splits",
        ),
        (NAMES, {}, "6 images are not in a class folder; put each image into a folder named after its class"),
    ],
)
def test_a_layout_without_a_class_for_each_image_is_refused_by_name(files, texts, said, tmp_path):
    assert said in refused(folder(tmp_path, *files, **texts), tmp_path)
