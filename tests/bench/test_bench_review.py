"""The curve of the review benchmark."""

import numpy as np
import pandas as pd
import pytest

from tasks.bench.review.gain import correct_labels, find_share, format_curve, make_judge, play_reviewer
from tasks.errors import InputError

SHARES = (0.0, 0.1, 0.2, 1.0)
CURVES = {
    "labelsweep": ((0.8, 0.9, 0.90, 0.9), (0.8, 0.88, 0.9, 0.9)),
    "random order": ((0.8, 0.8, 0.85, 0.9), (0.8, 0.8, 0.81, 0.9)),
}


def test_the_share_for_a_goal_is_where_the_mean_curve_first_reaches_it() -> None:
    ours, chance = (pd.Series(np.mean(curves, axis=0), SHARES) for curves in CURVES.values())
    assert [find_share(ours, 0.9), find_share(ours, 0.95), find_share(chance)] == [0.1, 0.2, 1.0]


def test_the_table_names_every_queue_and_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.bench.tables.version", lambda _: "1")  # cleanlab belongs to another extra
    about = {"samples": 100, "tested": 30, "wrong": 10}
    rows = [
        about | {"seed": seed, "queue": queue, "share": share, "accuracy": accuracy}
        for queue, curves in CURVES.items()
        for seed, curve in enumerate(curves)
        for share, accuracy in zip(SHARES, curve, strict=True)
    ]
    text = " ".join(format_curve(rows).split())
    assert "| reviewed | share | labelsweep | random order |" in text
    assert "| 0 | 0.0% | 80.00% ± 0.00% | 80.00% ± 0.00% |" in text
    assert "| **share for 95% of the possible gain** | | 20.0% | 100.0% |" in text


def test_reviewing_gives_the_true_labels_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    true = np.arange(60) % 2
    features = rng.normal(true[:, None] * 3.0, 1.0, (60, 2))
    given = true.copy()
    wrong = np.flatnonzero(true == 0)[:20]
    given[wrong] = 1
    judge = make_judge(features, features, true)
    accuracy = [
        judge(correct_labels(given, true, rows).tobytes()) for rows in (np.arange(0), wrong, np.arange(60))
    ]
    assert accuracy[0] < accuracy[1] == accuracy[2] > 0.9


def test_a_data_set_without_errors_of_its_own_is_refused() -> None:
    with pytest.raises(InputError, match="'wine' ships with no errors; choose digits_bundled"):
        list(play_reviewer("wine", 0))
