"""A file on an object store comes back there as it was, but for the corrections; so does what is swept from there again."""

import csv
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq

from flows.cli import run as labelsweep
from tasks.addresses import work_folder

OUT = "s3://labels/team"


def decide(folder: Path, file: Path, answers: dict[int, str]) -> None:
    rows = pq.read_table(folder / "runs" / "latest" / "dataset.parquet").to_pylist()
    of = {row["source_row"]: row["sample_id"] for row in rows}
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["sample_id", "decision", "new_label"])
        writer.writerows([of[row], "relabel", label] for row, label in answers.items())
    assert labelsweep(["import", str(file), "--reviewer", "Ada", "--out", OUT]) == 0


def test_a_csv_file_on_a_store_comes_back_there_twice(s3, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path / "here"))
    rng = np.random.default_rng(0)
    lines = [b"x;y;label"]
    for n in range(120):
        x, y = rng.normal(3 * (n % 2), 0.5, 2)
        lines.append(f"{x:.3f};{y:.2e};{'cat' if n % 2 else 'dog'}".encode())
    with fsspec.open("s3://labels/in/pets.csv", "wb") as file:
        file.write(b"\r\n".join(lines))
    options = ["--quiet", "--controls", "0", "--out", OUT]
    assert labelsweep(["clean", "s3://labels/in/pets.csv", *options]) == 0, capsys.readouterr().err
    decide(work_folder(OUT), tmp_path / "edited.csv", {3: "dog"})
    assert labelsweep(["apply", "--yes", "--no-gain", "--out", OUT]) == 0, capsys.readouterr().err
    lines[4] = lines[4].replace(b"cat", b"dog")
    with fsspec.open(f"{OUT}/datasets/pets/v0001/source/pets.csv", "rb") as file:
        assert file.read() == b"\r\n".join(lines)

    assert labelsweep(["clean", f"{OUT}/datasets/pets/latest", *options]) == 0, capsys.readouterr().err
    decide(work_folder(OUT), tmp_path / "edited.csv", {8: "cat"})
    monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path / "there"))  # applied on another machine
    assert labelsweep(["apply", "--yes", "--no-gain", "--out", OUT]) == 0, capsys.readouterr().err
    lines[9] = lines[9].replace(b"dog", b"cat")
    with fsspec.open(f"{OUT}/datasets/pets/v0002/source/pets.csv", "rb") as file:
        assert file.read() == b"\r\n".join(lines)
