"""The curve of the review benchmark."""

import numpy as np
import pytest

from tasks.bench.review.gain import Curves, follow_queue, format_curve, make_judge, play_reviewer
from tasks.errors import InputError


@pytest.fixture
def found() -> Curves:
    shares = np.array([0.0, 0.1, 0.2, 1.0])
    ours = np.array([[0.8, 0.9, 0.90, 0.9], [0.8, 0.88, 0.9, 0.9]])
    chance = np.array([[0.8, 0.8, 0.85, 0.9], [0.8, 0.8, 0.81, 0.9]])
    return Curves(shares, {"labelsweep": ours, "random order": chance}, 100, 30, 10.0)


def test_the_share_for_a_goal_is_where_the_mean_curve_first_reaches_it(found: Curves) -> None:
    assert found.share_for("labelsweep", 0.9) == 0.1
    assert found.share_for("labelsweep", 0.95) == 0.2
    assert found.share_for("random order", 0.95) == 1.0


def test_the_table_names_every_queue_and_the_share(found: Curves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.bench.tables.version", lambda _: "1")  # cleanlab belongs to another extra
    text = " ".join(format_curve(found, "labelsweep bench review").split())
    assert "| reviewed | share | labelsweep | random order |" in text
    assert "| 0 | 0.0 % | 80.00 % ± 0.00 % | 80.00 % ± 0.00 % |" in text
    assert "| **share for 95 % of the possible gain** | | 20.0 % | 100.0 % |" in text


def test_reviewing_gives_the_true_labels_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    true = np.arange(60) % 2
    features = rng.normal(true[:, None] * 3.0, 1.0, (60, 2))
    given = true.copy()
    wrong = np.flatnonzero(true == 0)[:20]
    given[wrong] = 1
    stretches = [np.arange(0), wrong, np.arange(60)]
    accuracy = follow_queue(true, given, stretches, make_judge(features, features, true))
    assert accuracy[0] < accuracy[1] == accuracy[2] > 0.9


def test_a_data_set_without_errors_of_its_own_is_refused() -> None:
    with pytest.raises(InputError, match="'wine' ships with no errors; choose digits_bundled"):
        play_reviewer("wine", 1)
