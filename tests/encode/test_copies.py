"""Copies are found where somebody made some, and nothing is taken for copies where nobody did."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris

from tasks.encode.copies import are_coincidences, drop_whole_classes, find_copy_sets, find_identical
from tasks.encode.featurize import featurize
from tasks.encode.groups import find_groups
from tasks.heads.neighbours import find_neighbours
from tasks.ingest import ingest
from tasks.options import AuditOptions
from tasks.records import Source


def scaled(points: np.ndarray) -> np.ndarray:
    return (points / np.where(points.std(axis=0) > 0, points.std(axis=0), 1)).astype(np.float32)


def cloud(rows: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


UNTOUCHED = {
    "a line": cloud(800, 1),
    "a plane": np.concatenate([cloud(400, 2), cloud(400, 2, 1) + 4]),
    "eight dimensions": cloud(800, 8),
    "long tails": np.exp(cloud(800, 4)),
    "iris": scaled(load_iris().data),
    "breast cancer": scaled(load_breast_cancer().data),
    "digits": load_digits().data.astype(np.float32),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_data_without_copies_have_none(name):
    assert find_copy_sets(find_neighbours(UNTOUCHED[name], 32), np.arange(len(UNTOUCHED[name]))) == []


@pytest.mark.parametrize("width", [2, 4, 16])
@pytest.mark.parametrize("copies", [2, 5, 20])
def test_copies_with_a_little_noise_are_found_whole(width, copies):
    original = cloud(300, width)
    points = np.repeat(original, copies, axis=0)
    points += 0.001 * np.random.default_rng(1).normal(size=points.shape).astype(np.float32)
    sets = find_copy_sets(find_neighbours(points, 32), np.arange(len(points)))
    whole = [len(rows) == copies * len(np.unique(rows // copies)) for rows in sets]
    assert np.mean(whole) > 0.95  # in a plane some originals lie as near each other as copies do
    assert sum(map(len, sets)) > 0.9 * len(points)


def test_a_few_copies_among_many_samples_are_found():
    points = cloud(1_000, 6)
    points[:20] = points[20:40] + 0.02
    sets = find_copy_sets(find_neighbours(points, 32), np.arange(1_000))
    assert {(row, row + 20) for row in range(20)} <= {tuple(rows.tolist()) for rows in sets}
    assert len(sets) < 25


@pytest.mark.parametrize(
    ("values", "chance"),
    [
        (np.random.default_rng(0).integers(4, size=(900, 5)), True),
        (np.random.default_rng(0).integers(4, size=(900, 1)).repeat(20, axis=1), False),
        (cloud(300, 3).repeat(3, axis=0), False),
        (np.where(cloud(300, 3) > 1, np.nan, cloud(300, 3)).repeat(2, axis=0), False),
    ],
)
def test_identical_rows_of_few_values_are_coincidences_and_those_of_many_are_copies(values, chance):
    assert are_coincidences(values.astype(float)) is chance


def test_no_set_takes_more_of_a_class_than_its_share_of_a_fold():
    labels = np.array([0] * 20 + [1] * 40)
    sets = [np.arange(4), np.arange(4, 9), np.arange(20, 28), np.arange(28, 37)]
    kept = drop_whole_classes(sets, labels, np.ones(60, bool), 5)
    assert [rows.tolist() for rows in kept] == [sets[0].tolist(), sets[2].tolist()]
    assert find_identical(np.arange(5)) == []


@pytest.mark.parametrize("column", ["text", "x"])
def test_identical_and_near_texts_and_rows_share_a_group_and_predictions_do_not(tmp_path, column):
    import pandas as pd

    words = [f"word{number}" for number in range(300)]
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(words, 15)) for _ in range(150)]
    frame = pd.DataFrame({"text": texts, "label": np.arange(150) % 2})
    frame["x"] = random.normal(size=150)
    frame["y"] = random.normal(size=150)
    retweets = frame[:20].assign(text=[f"RT @user{row}: {texts[row]}" for row in range(20)])
    frame = pd.concat([frame, retweets, frame[20:40]], ignore_index=True)
    frame = frame[[*(["text"] if column == "text" else ["x", "y"]), "label"]]
    frame.to_parquet(tmp_path / "t.parquet")
    dataset = ingest(Source(uri=str(tmp_path / "t.parquet")), tmp_path / "run")
    groups = find_groups(dataset, featurize(dataset, tmp_path / "run" / "model"), tmp_path, AuditOptions())
    assert groups is not None
    code = np.load(groups.path)
    assert (code[20:40] == code[170:190]).all()
    assert (code[:20] == code[150:170]).mean() > 0.8
    assert 76 <= groups.shared <= 90
    predictions = dataset.model_copy(update={"probabilities": True})
    assert find_groups(predictions, featurize(dataset, tmp_path), tmp_path, AuditOptions()) is None
