"""A text beside numbers, by the command: the labels follow from both, and both are learned from."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flows.cli import run
from tasks.storage import read_json, read_parquet

WORDS = {
    "food": "goal soup oven plate spoon taste bread cheese salad fruit",
    "trip": "train hotel beach flight map luggage island road tent ferry",
}


def reviews(rows: int = 240) -> tuple[pd.DataFrame, np.ndarray]:
    """Return reviews whose class is the topic of the text and the sign of a number, and which labels are wrong."""
    random = np.random.default_rng(0)
    topic, stars = random.choice(list(WORDS), rows), random.choice([-1, 1], rows)
    texts = [" ".join(random.choice(WORDS[name].split(), 9)) for name in topic]
    true = np.array(
        [f"{name} {'good' if star > 0 else 'bad'}" for name, star in zip(topic, stars, strict=True)]
    )
    given, wrong = true.copy(), np.arange(rows) % 16 == 0
    given[wrong] = np.roll(np.unique(true), 1)[np.searchsorted(np.unique(true), true[wrong])]
    numbers = 3 * stars + random.normal(size=rows)
    return pd.DataFrame({"stars": numbers, "review": texts, "label": given}), wrong


@pytest.mark.parametrize("named", [[], ["--text", "review", "--features", "stars"]])
def test_text_and_numbers_are_learned_from_together(named, prefect_server, tmp_path):
    frame, wrong = reviews()
    frame.to_csv(tmp_path / "x.csv", index=False)
    arguments = [
        "clean",
        str(tmp_path / "x.csv"),
        "--out",
        str(tmp_path / "out"),
        "--quiet",
        "--controls",
        "0",
        *named,
    ]
    assert run(arguments) == 0
    folder = tmp_path / "out" / "runs" / "latest"
    rows = read_parquet(folder / "dataset.parquet")["source_row"].to_numpy()
    queued = read_parquet(folder / "scores.parquet")["flagged"].to_numpy()
    assert queued[wrong[rows]].mean() > 0.9
    assert queued[~wrong[rows]].mean() < 0.05
    assert read_json(folder / "summary.json")["data"]["features"] == 2
    assert "review" in read_parquet(folder / "queue.parquet").column_names


def test_an_image_and_its_metadata_are_learned_from_together(tmp_path):
    random, rows = np.random.default_rng(0), 160
    bright, site = random.integers(2, size=(2, rows))
    pixels = np.clip(60 + 120 * bright[:, None, None] + 30 * random.normal(size=(rows, 6, 6)), 0, 255)
    files = []
    for picture in pixels.astype(np.uint8):
        Image.fromarray(picture).save(file := io.BytesIO(), "PNG")
        files.append(file.getvalue())
    true = 2 * bright + site
    wrong = np.arange(rows) % 16 == 0
    given = np.where(wrong, (true + 1) % 4, true).astype(str)
    frame = pd.DataFrame({"photo": files, "site": np.where(site, "Bonn", "Rome"), "label": given})
    frame["age"] = random.normal(size=rows)
    frame.to_parquet(tmp_path / "x.parquet")
    command = ["clean", str(tmp_path / "x.parquet"), "--image", "photo", "--features", "site,age", "--quiet"]
    assert run([*command, "--out", str(tmp_path / "out"), "--controls", "0"]) == 0
    folder = tmp_path / "out" / "runs" / "latest"
    rows_of = read_parquet(folder / "dataset.parquet")["source_row"].to_numpy()
    flagged = read_parquet(folder / "scores.parquet")["flagged"].to_numpy()
    assert flagged[wrong[rows_of]].mean() > 0.8
    assert flagged[~wrong[rows_of]].mean() < 0.1
    assert "images seen at 6 × 6 pixels beside site and age" in (folder / "report.html").read_text()
    members = [member["name"] for member in read_json(folder / "summary.json")["audit"]["members"]]
    assert any(name.startswith("together") for name in members)
