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
    with (folder / "queue.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert first["text"].lstrip("'")[:40] == queue[0]["text"][:40]
    page = (folder / "report.html").read_text()
    assert "texts" in page
    assert queue[0]["text"][:30].split()[0] in page
