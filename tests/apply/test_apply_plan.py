from dataclasses import replace

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.apply.messages import plan_text
from tasks.apply.plan import make_plan
from tasks.review.log import Decision

# Three contents; `x` occurs twice as a cat and once as a dog.
DATA = pa.table(
    {
        "sample_id": ["a", "b", "c", "d", "e"],
        "content_hash": ["x", "x", "x", "y", "z"],
        "label": ["cat", "cat", "dog", "cat", "dog"],
    }
)
ON_A = Decision(
    seq=1, sample_id="a", content_hash="x", given_label="cat", decision="keep", reviewer="Ada", run="r"
)


def log(*answers: tuple[str, str], on: Decision = ON_A) -> list[Decision]:
    """Rows from (reviewer, verdict or label)."""
    rows = []
    for seq, (reviewer, answer) in enumerate(answers, start=1):
        label = None if answer in ("keep", "drop", "unsure") else answer
        rows.append(
            replace(on, seq=seq, reviewer=reviewer, decision="relabel" if label else answer, new_label=label)
        )
    return rows


def changed(plan) -> dict[str, str | None]:
    return {change.sample_id: change.new_label for change in plan.changes}


def test_a_decision_holds_for_every_copy_with_that_label_and_for_no_other():
    plan = make_plan(DATA, log(("Ada", "dog")), "r")
    assert changed(plan) == {"a": "dog", "b": "dog"}
    assert (plan.before, plan.after) == ({"cat": 3, "dog": 2}, {"cat": 1, "dog": 4})
    assert plan.confusion == {("cat", "dog"): 2}


def test_keep_and_unsure_change_nothing():
    for answer in ("keep", "unsure"):
        plan = make_plan(DATA, log(("Ada", answer)), "r")
        assert plan.changes == ()
        assert plan.outcomes == {answer: 1}


def test_a_dropped_sample_counts_as_gone():
    plan = make_plan(DATA, log(("Ada", "drop")), "r")
    assert changed(plan) == {"a": None, "b": None}
    assert plan.dropped == {"cat": 2}
    assert plan.after == {"cat": 1, "dog": 2}


def test_a_class_that_is_no_more_is_not_written_again():
    rows = log(("Ada", "puppy"))  # decided on before puppies became dogs
    plan = make_plan(DATA, rows, "r", classes=("cat", "dog"))
    assert plan.changes == ()
    assert [(one.sample_id, one.why) for one in plan.left_out] == [
        ("a", "no sample has the label 'puppy' any more")
    ] * 2
    assert changed(make_plan(DATA, rows, "r", classes=("cat", "dog", "puppy"))) == {
        "a": "puppy",
        "b": "puppy",
    }
    assert changed(make_plan(DATA, log(("Ada", "drop")), "r", classes=("cat", "dog"))) == {
        "a": None,
        "b": None,
    }


def test_a_tie_is_left_out_and_listed_with_both_answers():
    plan = make_plan(DATA, log(("Ada", "dog"), ("Bo", "keep")), "r")
    assert plan.changes == ()
    assert [(one.sample_id, one.why, one.answers) for one in plan.left_out] == [
        ("a", "the reviewers disagree", "Ada: dog; Bo: keep")
    ]
    assert "Left out: 1" in plan_text(plan)
    assert "ties are left out" in plan_text(plan)


def test_the_rule_says_what_counts_where_reviewers_differ():
    rows = log(("Ada", "dog"), ("Bo", "dog"), ("Cy", "keep"))
    assert changed(make_plan(DATA, rows, "r", "majority")) == {"a": "dog", "b": "dog"}
    assert make_plan(DATA, rows, "r", "unanimous").changes == ()
    assert len(make_plan(DATA, rows, "r", "unanimous").left_out) == 1
    assert make_plan(DATA, rows, "r", "latest").changes == ()
    (first, *_) = make_plan(DATA, rows, "r", "majority").changes
    assert (first.reviewers, first.decisions) == (("Ada", "Bo"), (1, 2))


def test_an_undone_answer_counts_for_nothing():
    rows = log(("Ada", "dog"))
    rows.append(replace(ON_A, seq=2, decision="undo", undoes=1))
    assert make_plan(DATA, rows, "r").changes == ()


def test_answers_to_planted_controls_change_no_data_and_a_changed_clean_one_is_shown():
    for control in ("flip", "clean"):
        rows = log(("Ada", "dog"), on=replace(ON_A, control=control))
        plan = make_plan(DATA, rows, "r")
        assert plan.changes == ()
        assert [one.sample_id for one in plan.left_out] == (["a"] if control == "clean" else [])


def test_decisions_that_no_longer_fit_the_data_are_listed_with_the_reason():
    elsewhere = [
        replace(ON_A, seq=1, sample_id="gone", content_hash="w", decision="drop"),
        replace(ON_A, seq=2, sample_id="d", content_hash="old", decision="drop"),
        replace(ON_A, seq=3, sample_id="e", content_hash="z", given_label="cat", decision="drop"),
        # Applied before: the data follow it already.
        replace(
            ON_A,
            seq=4,
            sample_id="e",
            content_hash="z",
            given_label="bird",
            decision="relabel",
            new_label="dog",
        ),
        # Of another run: not this one's to account for.
        replace(ON_A, seq=5, sample_id="gone too", content_hash="v", decision="drop", run="older"),
    ]
    plan = make_plan(DATA, elsewhere, "r")
    assert plan.changes == ()
    assert {one.sample_id: one.why for one in plan.left_out} == {
        "gone": "the sample is not in the data set",
        "d": "the content has changed since",
        "e": "the label has become 'dog' since",
    }


answers = st.tuples(
    st.sampled_from(["Ada", "Bo", "Cy"]),
    st.sampled_from(["keep", "drop", "unsure", "cat", "dog", "bird"]),
    st.sampled_from(DATA.to_pylist()),
)


@given(st.lists(answers, max_size=20), st.sampled_from(["majority", "unanimous", "latest"]))
@settings(max_examples=80, deadline=None)
def test_counts_add_up_whatever_was_decided(history, rule):
    rows = [
        replace(
            log((reviewer, answer))[0],
            seq=seq,
            sample_id=row["sample_id"],
            content_hash=row["content_hash"],
            given_label=row["label"],
        )
        for seq, (reviewer, answer, row) in enumerate(history, start=1)
    ]
    plan = make_plan(DATA, rows, "r", rule)
    assert sum(plan.after.values()) == len(DATA) - sum(plan.dropped.values())
    assert sum(plan.confusion.values()) + sum(plan.dropped.values()) == len(plan.changes)
    assert all(change.new_label != change.old_label for change in plan.changes)
    assert len({change.sample_id for change in plan.changes}) == len(plan.changes)
