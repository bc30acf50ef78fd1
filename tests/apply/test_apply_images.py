"""A folder of images or texts comes back as a list of moves, and as a copy where that is asked for."""

import csv
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_apply_source import corrected, swept

from tasks.apply.moved_images import MOVES
from tasks.storage import write_json

FILES = ["cat/1.png", "cat/2.png", "dog/1.png", "dog/1-2.png", "dog/3.png", "dog/sub/4.png"]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for number, name in enumerate(FILES):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number * 20).save(path)
    (tmp_path / "pets" / "LICENSE.txt").write_text("free\n")
    return tmp_path / "pets"


def row(run: Path, file: str) -> int:
    table = pq.read_table(run / "dataset.parquet", columns=["file", "source_row"]).to_pylist()
    return next(one["source_row"] for one in table if one["file"] == file)


def moves(version: Path) -> list[list[str]]:
    with (version / "source" / MOVES).open(newline="") as file:
        return list(csv.reader(file))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("copy_images", [False, True])
def test_moves_say_where_each_image_goes_and_the_copy_is_the_folder_then(pets, tmp_path, copy_images):
    run, before = swept(pets, tmp_path / "run"), files(pets)
    changes = {
        row(run, "cat/1.png"): "dog",
        row(run, "dog/sub/4.png"): "new one",
        row(run, "dog/3.png"): None,
    }
    assert corrected(run, changes, tmp_path / "v1", copy_images=copy_images) == ""
    assert moves(tmp_path / "v1") == [
        ["from", "to", "old_label", "new_label"],
        ["cat/1.png", "dog/1-3.png", "cat", "dog"],  # 1.png and 1-2.png are there
        ["dog/3.png", "", "dog", ""],
        ["dog/sub/4.png", "new one/sub/4.png", "dog", "new one"],
    ]
    assert files(pets) == before
    copy = tmp_path / "v1" / "source" / "pets"
    assert copy.exists() == copy_images
    if copy_images:
        expected = before | {
            "dog/1-3.png": before.pop("cat/1.png"),
            "new one/sub/4.png": before.pop("dog/sub/4.png"),
        }
        for gone in ("cat/1.png", "dog/sub/4.png", "dog/3.png"):
            expected.pop(gone, None)
        assert files(copy) == expected


def test_a_second_version_lists_the_moves_from_the_folder_that_was_swept_first(pets, tmp_path):
    run, out = swept(pets, tmp_path / "run"), tmp_path
    changes = {row(run, "cat/1.png"): "dog", row(run, "dog/3.png"): None, row(run, "dog/1.png"): "cat"}
    version = out / "v0001"
    assert corrected(run, changes, version) == ""
    table = pq.read_table(run / "dataset.parquet")
    kept = table.filter([name != "dog/3.png" for name in table["file"].to_pylist()])
    new = {"cat/1.png": "dog", "dog/1.png": "cat"}
    labels = [new.get(one["file"], one["label"]) for one in kept.to_pylist()]
    pq.write_table(kept.set_column(1, "label", [labels]), version / "dataset.parquet")
    write_json({"source_label": "label", "source_uri": str(pets)}, version / "version.json")
    again = swept(version / "dataset.parquet", tmp_path / "again", id="sample_id", image="image")
    # One goes back to where it was, one is new, two stay as they moved.
    assert (
        corrected(again, {row(again, "dog/1.png"): "dog", row(again, "cat/2.png"): "dog"}, out / "v2") == ""
    )
    assert moves(out / "v2")[1:] == [
        ["cat/1.png", "dog/1-3.png", "cat", "dog"],
        ["cat/2.png", "dog/2.png", "cat", "dog"],
        ["dog/3.png", "", "dog", ""],
    ]


def test_an_image_stays_in_its_split(tmp_path):
    for number, name in enumerate(
        ["train/cat/1.png", "train/dog/2.png", "test/cat/1.png", "test/dog/cat/1.png"]
    ):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number * 20).save(path)
    run = swept(tmp_path / "pets", tmp_path / "run")
    changes = {row(run, "test/cat/1.png"): "dog", row(run, "test/dog/cat/1.png"): "cat"}
    assert corrected(run, changes, tmp_path / "v1") == ""
    assert [line[:2] for line in moves(tmp_path / "v1")[1:]] == [
        ["test/cat/1.png", "test/dog/1.png"],
        ["test/dog/cat/1.png", "test/cat/cat/1.png"],
    ]


def test_texts_move_as_images_do(tmp_path):
    root = tmp_path / "mails"
    for n in range(24):
        label = ("ham", "spam")[n % 2]
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / f"{n // 2}.txt").write_text(f"the text of mail number {n}, which is {label}")
    run, before = swept(root, tmp_path / "run"), files(root)
    assert corrected(run, {row(run, "ham/3.txt"): "spam"}, tmp_path / "v1", copy_images=True) == ""
    assert moves(tmp_path / "v1")[1:] == [["ham/3.txt", "spam/3-2.txt", "ham", "spam"]]
    expected = before | {"spam/3-2.txt": before.pop("ham/3.txt")}
    assert files(tmp_path / "v1" / "source" / "mails") == expected


def test_labels_in_a_table_beside_the_images_are_changed_there(pets, tmp_path):
    lines = [f"{name},{n % 2}" for n, name in enumerate(FILES)]
    (pets / "metadata.csv").write_text("\n".join(["file_name,fluffy", *lines]))
    run = swept(pets, tmp_path / "run", label="fluffy")
    assert corrected(run, {0: "1", 5: None}, tmp_path / "v1") == ""
    expected = "\n".join(["file_name,fluffy", "cat/1.png,1", *lines[1:5]])
    assert files(tmp_path / "v1") == {"source/metadata.csv": expected.encode()}


@pytest.mark.parametrize("change", ["removed", "moved"])
def test_a_folder_that_changed_is_not_written(pets, tmp_path, change):
    run = swept(pets, tmp_path / "run")
    if change == "removed":
        (pets / "dog" / "3.png").unlink()
    else:
        shutil.move(pets / "dog" / "3.png", pets / "cat" / "3.png")
    said = corrected(run, {row(run, "cat/1.png"): "dog"}, tmp_path / "v1")
    assert "the source has changed since it was swept" in said
    assert not list((tmp_path / "v1").iterdir())


def test_a_label_that_is_no_name_of_a_folder_is_said(pets, tmp_path):
    run = swept(pets, tmp_path / "run")
    said = corrected(run, {row(run, "cat/1.png"): "../../etc"}, tmp_path / "v1")
    assert said == "Your own files were not written: the label '../../etc' cannot be the name of a folder\n"
