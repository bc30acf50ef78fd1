"""A text beside numbers, by the command: the labels follow from both, and both are learned from."""

import numpy as np
import pandas as pd

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


def test_text_and_numbers_are_learned_from_together(prefect_server, tmp_path):
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
    ]
    assert run(arguments) == 0
    folder = tmp_path / "out" / "runs" / "latest"
    rows = read_parquet(folder / "dataset.parquet")["source_row"].to_numpy()
    queued = read_parquet(folder / "scores.parquet")["flagged"].to_numpy()
    assert queued[wrong[rows]].mean() > 0.9
    assert queued[~wrong[rows]].mean() < 0.05
    assert read_json(folder / "summary.json")["data"]["features"] == 2
    assert "review" in read_parquet(folder / "queue.parquet").column_names
