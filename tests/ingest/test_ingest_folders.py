"""Folders as Spark, Hive and lakes write them, and archives: what is data is read, what is not is ignored or refused by name."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Dataset, Source

ROWS = 60


def example() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": generator.normal(size=ROWS).round(3),
            "z": generator.normal(size=ROWS).round(3),
            "label": ["New York", "b/c%", "ö"] * (ROWS // 3),
            "year": [2023, 2024] * (ROWS // 2),
        }
    )


def read(uri: Path, folder: Path) -> tuple[Dataset, pd.DataFrame]:
    dataset = ingest(Source(uri=str(uri)), folder / "run")
    return dataset, pq.read_table(dataset.path).to_pandas()


def test_partition_folders_are_columns(tmp_path):
    frame = example()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_to_dataset(table, str(tmp_path / "pets"), partition_cols=["label", "year"])
    missing = tmp_path / "pets" / "label=__HIVE_DEFAULT_PARTITION__" / "year=2024"
    missing.mkdir(parents=True)
    frame[["x", "z"]].head(2).to_parquet(missing / "part-0.parquet")
    (tmp_path / "pets" / "_SUCCESS").touch()
    (tmp_path / "pets" / "._SUCCESS.crc").write_bytes(b"crc")
    (missing / ".part-0.parquet.crc").write_bytes(b"crc")
    (missing / "part-1.parquet").touch()  # Spark's file of a partition without rows
    dataset, rows = read(tmp_path / "pets", tmp_path)
    assert dataset.feature_names == ("x", "z", "year")
    assert set(zip(rows["x"], rows["label"], rows["year"], strict=True)) >= set(
        zip(frame["x"], frame["label"], frame["year"], strict=True)
    )
    assert rows["label"].isna().sum() == 2
    assert len(rows) == ROWS + 2


def test_folders_that_say_what_the_files_hold_too_win_and_it_is_said(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / "pets" / f"label={label}").mkdir(parents=True)
        example().to_csv(tmp_path / "pets" / f"label={label}" / "part.csv", index=False)
    dataset, _ = read(tmp_path / "pets", tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert "column 'label' is what the folders say, and not what the files hold" in dataset.notes


def test_a_json_file_beside_tables_of_another_format_is_said_to_be_left(tmp_path):
    (tmp_path / "pets").mkdir()
    example().to_csv(tmp_path / "pets" / "a.csv", index=False)
    example().to_json(tmp_path / "pets" / "b.json", orient="records")
    (tmp_path / "pets" / "dataset_info.json").write_text("{}")
    dataset, rows = read(tmp_path / "pets", tmp_path)
    assert (len(rows), dataset.notes) == (ROWS, ("b.json beside the other files is not read",))


def test_the_test_set_of_an_archive_of_uci_is_said_to_be_left(tmp_path):
    (tmp_path / "pets").mkdir()
    for name in ("pets.data", "pets.test"):
        example().to_csv(tmp_path / "pets" / name, index=False)
    (tmp_path / "pets" / "pets.names").write_text("x: continuous.")
    dataset, rows = read(tmp_path / "pets", tmp_path)
    assert len(rows) == ROWS
    assert "pets.test beside the other files is not read" in dataset.notes


def test_csv_parts_with_partitions_keep_labels_as_they_are_written(tmp_path):
    frame = example()
    for label in ("01", "2"):
        folder = tmp_path / "pets" / f"label={label}"
        folder.mkdir(parents=True)
        for part in range(2):
            frame[["x", "z"]].to_csv(folder / f"part-0000{part}-c000.csv", index=False)
    dataset, rows = read(tmp_path / "pets", tmp_path)
    assert dataset.classes == ("01", "2")
    assert len(rows) == 4 * ROWS


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("_delta_log/00000.json", "a Delta Lake table"),
        (".hoodie/hoodie.properties", "a Hudi table"),
        ("metadata/v1.metadata.json", "an Iceberg table"),
        ("outside.parquet", "is in folders of other columns"),
    ],
)
def test_a_folder_that_is_no_plain_table_is_refused_by_name(extra, message, tmp_path):
    pets = tmp_path / "pets"
    pq.write_to_dataset(pa.Table.from_pandas(example()), str(pets), partition_cols=["label"])
    (pets / extra).parent.mkdir(parents=True, exist_ok=True)
    example().to_parquet(pets / extra)
    with pytest.raises(InputError, match=message):
        read(pets, tmp_path)


def broken(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", content)
    raw = bytearray(path.read_bytes())
    raw[60] ^= 255
    path.write_bytes(raw)


def encrypted(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", content)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)


def without_data(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.bin", content)


def cut(path: Path, content: bytes) -> None:
    without_data(path, content)
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (broken, "a.csv: damaged or truncated archive"),
        (encrypted, "'a.csv' in the archive is encrypted"),
        (without_data, "no data files"),
        (cut, "the archive cannot be read"),
    ],
)
def test_an_archive_that_cannot_be_read_is_refused(write, message, tmp_path):
    write(tmp_path / "pets.zip", example().to_csv(index=False).encode())
    with pytest.raises(InputError, match=message):
        read(tmp_path / "pets.zip", tmp_path)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_a_compressed_file_whose_end_is_missing_is_refused(suffix, tmp_path):
    text = example().to_csv(index=False).encode()
    if suffix == "zst":
        packed = pa.compress(text, codec="zstd", asbytes=True)
    else:
        example().to_csv(tmp_path / f"whole.csv.{suffix}", index=False)
        packed = (tmp_path / f"whole.csv.{suffix}").read_bytes()
    (tmp_path / f"pets.csv.{suffix}").write_bytes(packed[:-20])
    with pytest.raises(InputError, match="damaged or truncated"):
        read(tmp_path / f"pets.csv.{suffix}", tmp_path)


def test_an_archive_of_images_is_read_as_its_folder(tmp_path):
    from PIL import Image

    generator = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for label in ("cat", "dog"):
            for number in range(3):
                picture = tmp_path / "picture.png"
                Image.fromarray(generator.integers(0, 255, (8, 8), dtype=np.uint8)).save(picture)
                archive.write(picture, f"pets/{label}/{number}.png")
    dataset, rows = read(tmp_path / "pets.zip", tmp_path)
    assert dataset.payload == "image"
    assert rows["label"].tolist() == ["cat"] * 3 + ["dog"] * 3


WORDS = {"pos": "wonderful moving brilliant charming superb", "neg": "boring awful dull clumsy terrible"}


def write_texts(folder: Path, pattern: str, **words: str) -> Path:
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for number in range(12):
            for label, known in words.items():
                path = folder / pattern.format(split=split, label=label, n=number)
                path.parent.mkdir(parents=True, exist_ok=True)
                text = f"{label} {number}: " + " ".join(generator.choice(known.split(), 6))
                path.write_bytes(f"{text}, a café".encode("cp1252" if number % 2 else "utf-8"))
    return folder


@pytest.mark.parametrize("pattern", ["{split}/{label}/{n}_7.txt", "20news/{split}/{label}/{n}"])
def test_a_folder_of_texts_has_a_text_for_each_file(pattern, tmp_path):
    root = write_texts(tmp_path / "movies", pattern, **WORDS)
    (root / "README.md").write_text("A readme of this data set.")
    if pattern.endswith("txt"):
        write_texts(root, "train/{label}/{n}_0.txt", unsup="of no class")
    dataset, rows = read(root, tmp_path)
    assert (dataset.payload, dataset.classes, dataset.rows) == ("text", ("neg", "pos"), 48)
    assert [text.split()[0] for text in rows["text"]] == rows["label"].tolist()
    assert all(text.endswith(", a café") for text in rows["text"])
    assert set(rows["split"]) == {"train", "test"}
    assert any(note.startswith("not read: ") and "'README.md'" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{label}/{split}-{n}.txt", {"2019": "0.5 1e-3 17", "2020": "2.5 3.5 7"}),  # tables of numbers
        ("{split}/{n}.txt", {"a": "no folder of a class"}),
        ("{split}/{label}/{n}.mp3", WORDS),
        ("{split}/{label}/{n}.wav", WORDS),
    ],
)
def test_folders_of_other_files_are_no_texts(pattern, words, tmp_path):
    root = tmp_path / "data"
    for name in range(12):
        for split in ("train", "test"):
            for label, known in words.items():
                path = root / pattern.format(split=split, label=label, n=name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(known)
                if path.suffix == ".wav":
                    path.with_suffix(".txt").write_text("what is said in it")
    with pytest.raises(InputError, match="no data files in this folder, but"):
        read(root, tmp_path)


def test_the_encoding_of_texts_can_be_named(tmp_path):
    root = write_texts(tmp_path / "movies", "{split}/{label}/{n}.txt", **WORDS)
    with pytest.raises(InputError, match=r"1.txt: it is not utf-8: .*--encoding"):
        ingest(Source(uri=str(root), encoding="utf-8"), tmp_path / "run")
