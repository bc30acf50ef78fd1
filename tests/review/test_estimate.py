import numpy as np
import pytest

from tasks.review.estimate import (
    estimate_errors_left,
    estimate_outlook,
    estimate_rate,
    judge_reviewer,
)
from tasks.review.insights import measure_review
from tasks.review.tally import KEEP, RELABEL


def queue(rng: np.random.Generator, length: int = 1000) -> np.ndarray:
    """Wrong labels of a sorted queue: 95 % at the top, falling to 2 %."""
    chance = 0.95 / (1 + np.exp((np.arange(length) - 300) / 80)) + 0.02
    return rng.random(length) < chance


def test_the_interval_of_the_errors_left_holds_the_truth_about_as_often_as_it_says() -> None:
    held, estimates, truths = 0, [], []
    for seed in range(60):
        wrong = queue(np.random.default_rng(seed))
        depth = 500
        left = estimate_errors_left(range(depth), wrong[:depth].tolist(), range(depth, 1000))
        assert left is not None
        truth = wrong[depth:].sum()
        held += left.low <= truth <= left.high
        estimates.append(left.errors)
        truths.append(truth)
    assert held >= 51  # 95 % of 60 are 57; with a chance of 0.95 each, fewer than 51 come once in 500 times
    # The rate still falls beyond the deepest decision: the estimate errs on the high side, within reason.
    assert np.mean(truths) < np.mean(estimates) < 3 * np.mean(truths)


def test_the_errors_left_do_not_depend_on_the_order_of_the_decisions() -> None:
    wrong = queue(np.random.default_rng(0))
    order = np.random.default_rng(1).permutation(400)
    straight = estimate_errors_left(range(400), wrong[:400].tolist(), range(400, 1000))
    mixed = estimate_errors_left(order.tolist(), wrong[order].tolist(), range(400, 1000))
    assert straight == mixed


def test_skipped_samples_at_the_top_count_with_the_rate_of_the_top() -> None:
    wrong = [True] * 40 + [False] * 60
    top = estimate_errors_left(range(100), wrong, [20] * 10)
    bottom = estimate_errors_left(range(100), wrong, [99] * 10)
    assert top is not None
    assert bottom is not None
    assert top.errors > 9 > 1 > bottom.errors


def test_too_few_decisions_give_no_estimate() -> None:
    assert estimate_errors_left(range(19), [True] * 19, range(19, 100)) is None
    assert estimate_outlook([True] * 49, 100) is None


def test_the_suggestion_to_stop_comes_when_it_no_longer_pays_and_not_before() -> None:
    for seed in range(20):
        wrong = queue(np.random.default_rng(seed), 2000).tolist()
        stopped = next(
            n
            for n in range(50, 2000)
            if (found := estimate_outlook(wrong[:n], 2000 - n)) is not None and found.stop
        )
        assert 300 < stopped < 1200
        assert sum(wrong[stopped : stopped + 100]) <= 10


def test_the_running_precision_is_that_of_the_last_fifty() -> None:
    state = np.array([RELABEL] * 100 + [KEEP] * 25 + [RELABEL] * 25)
    found = measure_review(state, np.arange(150), np.ones(150, bool)).running
    assert found is not None
    assert (found.wrong, found.decided, found.value) == (25, 50, 0.5)
    assert found.low < 0.5 < found.high


def test_an_interval_holds_its_level() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        found = estimate_rate((rng.random(50) < 0.1).tolist())
        assert found is not None
        held += found.low <= 0.1 <= found.high
    assert held >= 270


def test_controls_correct_the_precision_of_a_reviewer_who_accepts_too_much() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.6
    # Finds 90 % of the errors, and takes 30 % of the right labels for wrong.
    seen = np.where(truth, rng.random(20_000) < 0.9, rng.random(20_000) < 0.3)
    flips, clean = (rng.random(5_000) < 0.9).tolist(), (rng.random(5_000) < 0.7).tolist()
    apparent = estimate_rate(seen.tolist())
    found = judge_reviewer(flips, clean, apparent)
    assert apparent is not None
    assert abs(apparent.value - 0.6) > 0.05
    assert found.precision == pytest.approx(0.6, abs=0.02)


def test_a_reviewer_who_always_says_wrong_has_no_corrected_precision() -> None:
    assert judge_reviewer([True] * 10, [False] * 10, estimate_rate([True] * 50)).precision is None
