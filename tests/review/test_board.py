"""The figures of a review are kept up to date answer by answer, and an answer costs no look at the rest of the queue."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_folder import stretched

from tasks.review.deck import Deck, load_deck
from tasks.review.desk import STEP, Answer, Desk, ReviewOptions
from tasks.review.log import DecisionLog

REVIEWERS = ("Ada", "Bo", "Cy")
steps = st.tuples(
    st.sampled_from(REVIEWERS),
    st.integers(0, 5),
    st.sampled_from(["keep", "suggestion", "drop", "unsure", "undo"]),
    st.booleans(),
)


def figures(desk: Desk) -> tuple[Any, ...]:
    """Everything that a page shows of the whole queue."""
    board, places = desk.board, range(len(desk.deck.items))
    return (
        [(board.todo(name), [board.status(place, name) for place in places]) for name in REVIEWERS],
        board.disagreements,
        board.is_finished(),
        desk._tally.standing(),
    )


@given(st.lists(steps, max_size=20), st.sampled_from([0.0, 0.5, 1.0]))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_figures_kept_up_row_by_row_are_those_counted_anew(
    deck: Deck, tmp_path_factory: pytest.TempPathFactory, history: list[Any], share: float
) -> None:
    log = DecisionLog(tmp_path_factory.mktemp("log") / "decisions.sqlite")
    options = ReviewOptions(second_opinion=share)
    desk = Desk(deck, log, options)
    for reviewer, place, verdict, seen in history:
        if verdict == "undo":
            desk.undo(reviewer, "")
        else:
            desk.decide([deck.items[place]], Answer(verdict, seen=seen), reviewer)
        # The order of the items gives the todo count a second, independent way: by looking at every one.
        for name in REVIEWERS:
            waiting = [item for item in deck.items if desk.status(item, name) == "todo"]
            assert desk.board.todo(name) == len(waiting)
    assert figures(desk) == figures(Desk(deck, log, options))
    log.close()


@pytest.fixture
def deck(digits: Path) -> Deck:
    return load_deck(digits, control_share=0.2)


def test_an_answer_costs_no_look_at_the_rest_of_the_queue(digits: Path, tmp_path: Path) -> None:
    calls = []
    for rows in (200, 2_000):
        stretched(digits, rows)
        deck = load_deck(digits)
        desk = Desk(deck, DecisionLog(tmp_path / f"{rows}.sqlite"))
        desk.decide(deck.items[: rows // 2], Answer("keep"), "Ada")
        calls.append(max(_calls(desk, place) for place in range(rows // 2, rows // 2 + 2 * STEP)))
    few, many = calls
    assert many < 1.1 * few


def _calls(desk: Desk, place: int) -> int:
    """Return how many functions and methods of ours one answer and the page's figures call."""
    count = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and "tasks/review" in frame.f_code.co_filename

    sys.setprofile(note)
    try:
        desk.decide([desk.deck.items[place]], Answer("suggestion"), "Bo")
        desk.changed(desk.ledger.seq - 1, "Bo")
        desk.board.todo("Bo")
        desk.standing()
    finally:
        sys.setprofile(None)
    return count
