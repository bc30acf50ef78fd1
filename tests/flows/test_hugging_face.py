"""A Hugging Face data set goes through the command and comes back as one: swept, decided, applied, loaded by `datasets` itself."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.cli import run

os.environ.setdefault("HF_HUB_OFFLINE", "1")
datasets = pytest.importorskip("datasets")

NAMES = ["zero", "one", "two"]


@pytest.fixture(scope="module")
def digits():
    """Real digits with class names, of which nine are wrong, and columns that nobody asked for."""
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, true = load_digits(n_class=3, return_X_y=True)
    pixels, true = pixels[:180], true[:180]
    given = np.where(np.arange(180) % 20 == 3, (true + 1) % 3, true)
    label = datasets.ClassLabel(names=[*NAMES, "never seen"])
    features = {
        "image": datasets.Image(),
        "label": label,
        "true": label,
        "note": datasets.Value("string"),
        "box": datasets.Sequence(datasets.Value("float32")),
    }
    columns = {
        "image": [Image.fromarray(np.uint8(row.reshape(8, 8) * 15)) for row in pixels],
        "label": given.tolist(),
        "true": true.tolist(),
        "note": [f"scan {n}" for n in range(180)],
        "box": [[float(n), 1.0] for n in range(180)],
    }
    whole = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    parts = {"train": whole.select(range(150)), "test": whole.select(range(150, 180))}
    return datasets.DatasetDict(parts)


def corrected(source: Path, out: Path, capsys) -> Path:
    """Sweep a source, take every suggestion but one, which is dropped, and return the folder in its layout."""
    options = ["--image", "image", "--truth", "true", "--out", str(out), "--quiet", "--controls", "0"]
    assert run(["clean", str(source), *options]) == 0, capsys.readouterr().err
    return decided(out, capsys)


def decided(out: Path, capsys) -> Path:
    queue = (out / "runs" / "latest" / "queue.csv").resolve()
    with queue.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["decision"] = "relabel" if number else "drop"
        row["new_label"] = row["suggested_label"] if number else ""
    with (out / "edited.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert run(["import", str(out / "edited.csv"), "--reviewer", "Ada", "--out", str(out)]) == 0, (
        capsys.readouterr()
    )
    capsys.readouterr()
    assert run(["apply", "--yes", "--json", "--out", str(out)]) == 0, capsys.readouterr().err
    return Path(json.loads(capsys.readouterr().out)["layout"])


def check(found, before) -> None:
    """The corrected splits against the source: rows, features, every other column, and labels."""
    dropped = 0
    for split, rows in before.items():
        now = found[split]
        assert now.features == rows.features
        place = {note: number for number, note in enumerate(rows["note"])}
        kept = [place[note] for note in now["note"]]
        assert kept == sorted(kept)
        dropped += len(rows) - len(kept)
        there = rows.select(kept)
        assert now["box"] == there["box"]
        assert [image.tobytes() for image in now["image"]] == [image.tobytes() for image in there["image"]]
        assert now["true"] == there["true"]
        assert np.mean(np.array(now["label"]) == np.array(now["true"])) > 0.98
        assert np.mean(np.array(there["label"]) == np.array(there["true"])) < 0.97
    assert dropped == 1


def test_a_saved_dictionary_of_splits_comes_back_as_one_and_can_be_swept_again(
    prefect_server, digits, tmp_path, capsys
):
    digits.save_to_disk(tmp_path / "saved", num_shards={"train": 2, "test": 1})
    layout = corrected(tmp_path / "saved", tmp_path / "out", capsys)
    found = datasets.load_from_disk(layout)
    check(found, digits)
    assert [path.name for path in sorted((layout / "train").glob("*.arrow"))] == [
        "data-00000-of-00002.arrow",
        "data-00001-of-00002.arrow",
    ]
    assert found["train"]._fingerprint != datasets.load_from_disk(tmp_path / "saved")["train"]._fingerprint
    out = ["--out", str(tmp_path / "out")]
    latest = tmp_path / "out" / "datasets" / "saved" / "latest"
    assert run(["clean", str(latest), "--quiet", "--controls", "0", *out]) == 0, capsys.readouterr().err
    swept = pq.read_table(tmp_path / "out" / "runs" / "latest" / "dataset.parquet").to_pylist()
    last = next(row for row in reversed(swept) if row["label"] == "two")
    (tmp_path / "edited.csv").write_text(f"sample_id,decision,new_label\n{last['sample_id']},relabel,zero\n")
    assert run(["import", str(tmp_path / "edited.csv"), "--reviewer", "Bob", *out]) == 0, capsys.readouterr()
    assert run(["apply", "--yes", *out]) == 0, capsys.readouterr().err
    again = datasets.load_from_disk(tmp_path / "out" / "datasets" / "saved" / "v0002" / "huggingface")
    differ = [
        note
        for split in found
        for note, was, now in zip(
            found[split]["note"], found[split]["label"], again[split]["label"], strict=True
        )
        if was != now
    ]
    assert differ == [last["note"]]


def test_parquet_with_image_structs_comes_back_as_such(prefect_server, digits, tmp_path, capsys):
    (tmp_path / "pets" / "data").mkdir(parents=True)
    for split, rows in digits.items():
        rows.to_parquet(tmp_path / "pets" / "data" / f"{split}-00000-of-00001.parquet")
    counts = "\n".join(f"  - name: {split}\n    num_examples: {len(rows)}" for split, rows in digits.items())
    (tmp_path / "pets" / "README.md").write_text(f"---\ndataset_info:\n  splits:\n{counts}\n---\n# Digits\n")
    layout = corrected(tmp_path / "pets", tmp_path / "out", capsys)
    # The library compares the rows with the counts of the card.
    found = datasets.load_dataset(str(layout), cache_dir=str(tmp_path / "cache"))
    check(found, digits)
    assert (layout / "README.md").read_text().endswith("\n---\n# Digits\n")


def test_a_source_that_changed_since_is_not_written_over_with_old_decisions(
    prefect_server, digits, tmp_path, capsys
):
    digits["train"].save_to_disk(tmp_path / "saved")
    options = [
        "--image",
        "image",
        "--truth",
        "true",
        "--out",
        str(tmp_path / "out"),
        "--quiet",
        "--controls",
        "0",
    ]
    assert run(["clean", str(tmp_path / "saved"), *options]) == 0, capsys.readouterr().err
    (file,) = (tmp_path / "saved").glob("*.arrow")
    digits["train"].select(range(149, -1, -1)).save_to_disk(tmp_path / "other")
    file.write_bytes((tmp_path / "other" / file.name).read_bytes())
    queue = tmp_path / "out" / "runs" / "latest" / "queue.csv"
    text = queue.read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    rows[0]["new_label"] = rows[0]["suggested_label"]
    with (tmp_path / "edited.csv").open("w", newline="") as edited:
        writer = csv.DictWriter(edited, rows[0].keys())
        writer.writeheader()
        writer.writerow(rows[0])
    out = ["--out", str(tmp_path / "out")]
    assert run(["import", str(tmp_path / "edited.csv"), "--reviewer", "Ada", *out]) == 0
    assert run(["apply", "--yes", *out]) == 0
    said = capsys.readouterr().out
    assert "Your own files were not written" in said
    assert "changed since it was swept" in said
    assert not (tmp_path / "out" / "datasets" / "saved" / "v0001" / "huggingface").exists()
