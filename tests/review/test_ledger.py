from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.review.insights import compare_reviewers
from tasks.review.ledger import Key, Ledger
from tasks.review.log import Decision

CAT = Decision(sample_id="a", content_hash="h", given_label="cat", decision="keep", reviewer="Ada")
KEY = Key("h", "cat")


def answers(*given_answers: tuple[str, str]) -> list[Decision]:
    """Rows from (reviewer, verdict or label)."""
    rows = []
    for seq, (reviewer, answer) in enumerate(given_answers, start=1):
        label = None if answer in ("keep", "drop", "unsure") else answer
        rows.append(
            replace(CAT, seq=seq, reviewer=reviewer, decision="relabel" if label else answer, new_label=label)
        )
    return rows


steps = st.tuples(
    st.sampled_from(["Ada", "Bo"]), st.sampled_from(["keep", "drop", "dog", "undo"]), st.sampled_from("ab")
)
histories = st.lists(steps, max_size=25)


def written(history: list[tuple[str, str, str]]) -> list[Decision]:
    """A log that follows a history; an undo takes back the reviewer's last standing row, as the log does."""
    rows: list[Decision] = []
    standing: dict[str, list[int]] = {"Ada": [], "Bo": []}
    for reviewer, answer, content in history:
        seq = len(rows) + 1
        if answer != "undo":
            row = answers((reviewer, answer))[0]
            rows.append(replace(row, seq=seq, content_hash=content))
            standing[reviewer].append(seq)
        elif standing[reviewer]:
            rows.append(
                replace(CAT, seq=seq, reviewer=reviewer, decision="undo", undoes=standing[reviewer].pop())
            )
    return rows


@given(histories, st.integers(0, 25))
@settings(max_examples=60, deadline=None)
def test_the_ledger_is_the_same_read_at_once_or_in_pieces(
    history: list[tuple[str, str, str]], cut: int
) -> None:
    rows = written(history)
    pieces = Ledger(rows[:cut])
    pieces.add(rows[cut:])
    whole = Ledger(rows)
    assert set(pieces) == set(whole)
    assert all(pieces.find_standing(key) == whole.find_standing(key) for key in whole)


@given(histories)
@settings(max_examples=60, deadline=None)
def test_undoing_everything_leaves_nothing(history: list[tuple[str, str, str]]) -> None:
    rows = written([*history, *[(name, "undo", "a") for name in ("Ada", "Bo") for _ in history]])
    assert list(Ledger(rows)) == []


def test_majority_decides_and_a_tie_does_not() -> None:
    assert Ledger(answers(("Ada", "dog"), ("Bo", "keep"), ("Cy", "dog"))).resolve(KEY).label == "dog"
    assert Ledger(answers(("Ada", "dog"), ("Bo", "keep"))).resolve(KEY).outcome is None


def test_only_the_latest_answer_of_a_reviewer_counts() -> None:
    assert Ledger(answers(("Ada", "dog"), ("Ada", "drop"))).resolve(KEY).outcome == "drop"


def test_unsure_abstains_unless_all_are() -> None:
    assert Ledger(answers(("Ada", "unsure"), ("Bo", "dog"))).resolve(KEY).label == "dog"
    assert Ledger(answers(("Ada", "unsure"))).resolve(KEY).outcome == "unsure"


def test_the_rule_can_be_stricter_or_simpler() -> None:
    ledger = Ledger(answers(("Ada", "dog"), ("Bo", "dog"), ("Cy", "keep")))
    assert ledger.resolve(KEY, "unanimous").outcome is None
    assert ledger.resolve(KEY, "latest").outcome == "label:cat"


def test_an_adjudication_settles_a_disagreement() -> None:
    rows = answers(("Ada", "dog"), ("Bo", "keep"), ("Bo", "dog"))
    ledger = Ledger(rows[:2])
    assert ledger.is_disputed(KEY)
    ledger.add([replace(rows[2], role="adjudication")])
    assert not ledger.is_disputed(KEY)
    assert ledger.resolve(KEY).label == "dog"
    ledger.add([replace(answers(("Bo", "cow"))[0], seq=4, role="second")])
    assert ledger.resolve(KEY).label == "cow", "whoever settled it has changed their mind"


def test_what_was_decided_and_what_it_became_are_not_asked_again() -> None:
    assert Ledger(answers(("Ada", "dog"))).list_settled() == {("h", "cat"), ("h", "dog")}
    assert Ledger([replace(row, control="flip") for row in answers(("Ada", "dog"))]).list_settled() == set()


def test_agreement_is_cohens_kappa_of_the_blind_answers() -> None:
    rows = []
    for number, (a, b) in enumerate(
        [("keep", "keep")] * 20 + [("keep", "dog")] * 5 + [("dog", "keep")] * 10 + [("dog", "dog")] * 15
    ):
        for reviewer, answer in (("Ada", a), ("Bo", b)):
            row = answers((reviewer, answer))[0]
            rows.append(replace(row, seq=len(rows) + 1, content_hash=str(number)))
    # The adjudication that follows a disagreement is no opinion of its own.
    rows.append(replace(rows[45], seq=len(rows) + 1, role="adjudication"))
    ledger = Ledger(rows)
    found = compare_reviewers(ledger, ledger)[0]
    # The worked example of Cohen's kappa: observed 0.7, expected 0.5.
    assert (found.samples, found.agreed, round(found.kappa or 0, 6)) == (50, 35, 0.4)


def test_kappa_of_one_single_answer_is_not_defined() -> None:
    ledger = Ledger(answers(("Ada", "keep"), ("Bo", "keep")))
    assert compare_reviewers(ledger, ledger)[0].kappa is None
