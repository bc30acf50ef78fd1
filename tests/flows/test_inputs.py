"""Each kind of input goes through the command from the file to the queue, as a person would hand it over."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.cli import run
from tasks.storage import read_json

PENGUINS = Path(__file__).parents[2] / "data" / "penguins.csv"


def with_errors(labels: list[str], share: float, seed: int = 0) -> list[str]:
    """Return the labels with some of them exchanged for another class."""
    generator = np.random.default_rng(seed)
    classes = sorted(set(labels))
    wrong = generator.random(len(labels)) < share
    return [
        str(generator.choice([c for c in classes if c != label])) if bad else label
        for label, bad in zip(labels, wrong, strict=True)
    ]


def swept(tmp_path, capsys, source, *options) -> Path:
    """Run the command and return the folder of the run."""
    assert run(["clean", str(source), "--out", str(tmp_path / "out"), "--quiet", *options]) == 0, (
        capsys.readouterr().err
    )
    return (tmp_path / "out" / "runs" / "latest").resolve()


def test_a_mixed_table_is_swept_as_it_is(prefect_server, tmp_path, capsys):
    with PENGUINS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    given = with_errors([row["species"] for row in rows], 0.06)
    frame = pd.DataFrame(rows).assign(
        true=[row["species"] for row in rows], species=given, nest=[f"nest {n}" for n in range(len(rows))]
    )
    frame.to_csv(tmp_path / "penguins.csv", index=False)
    folder = swept(tmp_path, capsys, tmp_path / "penguins.csv", "--label", "species", "--truth", "true")
    summary = read_json(folder / "summary.json")
    assert summary["data"]["rows"] == len(
        rows
    )  # two penguins without any measurement but their island are kept
    assert summary["quality"]["average_precision"] > 0.9
    queue = pq.read_table(folder / "queue.parquet").to_pylist()
    assert {"island", "sex", "bill_length_mm", "nest"} <= queue[0].keys()
    page = (folder / "report.html").read_text()
    assert "What the columns are" in page
    assert "nearly every value is different" in page
    assert "island" in json.loads((folder / "model" / "features.json").read_text())[0]


def docstrings() -> tuple[list[str], list[str]]:
    """Return what functions of three libraries say of themselves, with the library: real texts that are at hand."""
    import scipy.stats

    kept: dict[str, str] = {}
    for label, home in {"numpy": np, "pandas": pd.DataFrame, "scipy": scipy.stats}.items():
        for name in sorted(dir(home)):
            text = (getattr(getattr(home, name, None), "__doc__", None) or "").strip()
            if not name.startswith("_") and len(text) > 80:
                kept.setdefault(" ".join(text.split())[:600], label)
    return list(kept), list(kept.values())


def test_texts_are_swept_and_shown_to_people(prefect_server, tmp_path, capsys):
    texts, true = docstrings()
    given = with_errors(true, 0.06)
    frame = pd.DataFrame({"doc": texts, "library": given, "true": true, "length": [len(t) for t in texts]})
    frame.to_csv(tmp_path / "docs.csv", index=False)
    options = ("--label", "library", "--truth", "true", "--text", "doc")
    folder = swept(tmp_path, capsys, tmp_path / "docs.csv", *options)
    assert read_json(folder / "summary.json")["quality"]["average_precision"] > 0.6
    queue = pq.read_table(folder / "queue.parquet").to_pylist()
    assert queue[0]["text"] in texts
    with (folder / "queue.csv").open(encoding="utf-8-sig", newline="") as file:
        first = next(csv.DictReader(file))
    assert first["text"].lstrip("'")[:40] == queue[0]["text"][:40]
    page = (folder / "report.html").read_text()
    assert "texts" in page
    assert queue[0]["text"][:30].split()[0] in page


def test_a_folder_of_pictures_is_swept(prefect_server, tmp_path, capsys):
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    for number in range(400):
        wrong = number % 40 == 0
        digit = (int(labels[number]) + 1) % 10 if wrong else int(labels[number])
        side = 8 if number % 3 else 24  # sizes and modes differ, as they do in a folder that people filled
        image = Image.fromarray(np.uint8(pixels[number].reshape(8, 8) * 15)).resize((side, side))
        path = tmp_path / "digits" / f"class {digit}" / f"{'wrong' if wrong else 'right'} {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        (image.convert("RGBA") if number % 5 == 0 else image).save(path)
    folder = swept(tmp_path, capsys, tmp_path / "digits", "--id", "file")
    queue = pq.read_table(folder / "queue.parquet").to_pylist()
    assert sum("wrong" in row["sample_id"] for row in queue[:10]) >= 7
    assert queue[0]["image"].startswith(b"\x89PNG")
    assert "data:image/png;base64" in (folder / "report.html").read_text()


def test_raters_and_probabilities_are_swept_and_shown(prefect_server, tmp_path, capsys):
    generator = np.random.default_rng(0)
    true = np.array(["no", "yes"])[np.arange(200) % 2]
    sure = np.clip(np.where(true == "yes", 0.9, 0.1) + generator.normal(0, 0.05, 200), 0.01, 0.99)
    votes = {name: with_errors(true.tolist(), 0.15, seed) for seed, name in enumerate(("ann", "bob", "eve"))}
    frame = pd.DataFrame({**votes, "p_no": 1 - sure, "p_yes": sure, "true": true})
    frame.to_csv(tmp_path / "votes.csv", index=False)
    options = ("--raters", "ann,bob,eve", "--pred-probs", "p_no,p_yes", "--truth", "true")
    folder = swept(tmp_path, capsys, tmp_path / "votes.csv", *options)
    queue = pq.read_table(folder / "queue.parquet").to_pylist()
    assert read_json(folder / "summary.json")["quality"]["average_precision"] > 0.9
    assert {"ann", "bob", "eve", "raters_agree"} <= queue[0].keys()
    assert "raters_agree" in (folder / "report.html").read_text()
