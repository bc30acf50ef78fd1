"""The figures of a review are kept up to date answer by answer, and an answer costs no look at the rest of the queue."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_folder import stretched

from tasks.review.log import DecisionLog
from tasks.review.queue import ReviewQueue, load_queue
from tasks.review.state import STEP, Answer, Review, ReviewOptions

REVIEWERS = ("Ada", "Bo", "Cy")
steps = st.tuples(
    st.sampled_from(REVIEWERS),
    st.integers(0, 5),
    st.sampled_from(["keep", "suggestion", "drop", "unsure", "undo"]),
    st.booleans(),
)


def figures(review: Review) -> tuple[Any, ...]:
    """Everything that a page shows of the whole queue."""
    return (
        [
            (review.count_open(name), [review.status(item, name) for item in review.queue.items])
            for name in REVIEWERS
        ],
        review.disagreements,
        review.is_finished(),
        review.count(),
    )


@given(st.lists(steps, max_size=20), st.sampled_from([0.0, 0.5, 1.0]))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_figures_kept_up_row_by_row_are_those_counted_anew(
    queue: ReviewQueue, tmp_path_factory: pytest.TempPathFactory, history: list[Any], share: float
) -> None:
    log = DecisionLog(tmp_path_factory.mktemp("log") / "decisions.sqlite")
    options = ReviewOptions(second_opinion=share)
    review = Review(queue, log, options)
    for reviewer, place, verdict, seen in history:
        if verdict == "undo":
            review.undo(reviewer, "")
        else:
            review.decide([queue.items[place]], Answer(verdict, seen=seen), reviewer)
        # The order of the items gives the todo count a second, independent way: by looking at every one.
        for name in REVIEWERS:
            waiting = [item for item in queue.items if review.status(item, name) == "todo"]
            assert review.count_open(name) == len(waiting)
    assert figures(review) == figures(Review(queue, log, options))
    log.close()


@pytest.fixture
def queue(digits: Path) -> ReviewQueue:
    return load_queue(digits, control_share=0.2)


def test_a_selection_of_seen_and_blind_samples_settles_no_blind_one(
    queue: ReviewQueue, tmp_path: Path
) -> None:
    review = Review(queue, DecisionLog(tmp_path / "log.sqlite"), ReviewOptions(second_opinion=1.0))
    review.decide(queue.items[:2], Answer("keep"), "Ada")
    review.decide(queue.items[:1], Answer("drop"), "Bo")
    rows = review.decide(queue.items[:2], Answer("drop", seen=True), "Bo")
    assert [row.role for row in rows] == ["adjudication", "second"]


def test_an_answer_costs_no_look_at_the_rest_of_the_queue(digits: Path, tmp_path: Path) -> None:
    calls = []
    for rows in (200, 2_000):
        stretched(digits, rows)
        queue = load_queue(digits)
        review = Review(queue, DecisionLog(tmp_path / f"{rows}.sqlite"))
        review.decide(queue.items[: rows // 2], Answer("keep"), "Ada")
        calls.append(max(_calls(review, place) for place in range(rows // 2, rows // 2 + 2 * STEP)))
    few, many = calls
    assert many < 1.1 * few


def _calls(review: Review, place: int) -> int:
    """Return how many functions and methods of ours one answer and the page's figures call."""
    count = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and "tasks/review" in frame.f_code.co_filename

    sys.setprofile(note)
    try:
        review.decide([review.queue.items[place]], Answer("suggestion"), "Bo")
        review.list_changed(review.ledger.seq - 1, "Bo")
        review.count_open("Bo")
        review.pace()
    finally:
        sys.setprofile(None)
    return count
