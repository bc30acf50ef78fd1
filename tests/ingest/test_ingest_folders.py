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
