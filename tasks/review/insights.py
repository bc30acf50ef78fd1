"""The figures of a review: errors found, errors left, and how far the answers can be relied on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tasks.arrays import Array
from tasks.review.estimate import (
    WINDOW,
    WORTH,
    Accuracy,
    ErrorsLeft,
    Outlook,
    Rate,
    estimate_errors_left,
    estimate_outlook,
    estimate_rate,
    judge_reviewer,
)
from tasks.review.ledger import Key, Ledger
from tasks.review.log import Decision
from tasks.review.queue import Item
from tasks.review.tally import DROP, KEEP, RELABEL, TODO, Tally, count_states


@dataclass(frozen=True, slots=True)
class ReviewStanding:
    """Where the review stands; planted controls are counted in `known` alone.

    Attributes:
        left: Errors that are likely left among the undecided samples.
        outlook: Whether the next samples are likely to pay.
        tally: The samples of the queue by state.
        known: The planted controls by state.
    """

    overall: Rate | None
    running: Rate | None
    left: ErrorsLeft | None
    outlook: Outlook | None
    tally: Tally
    known: Tally


def measure_review(state: Array, when: Array, counts: Array, worth: float = WORTH) -> ReviewStanding:
    """Compute where a review stands.

    Args:
        state: (n,) what each item is, as indices into `STATES`.
        when: (n,) the row of the log that decided.
        counts: (n,) bool, False for planted controls.
        worth: Share of wrong labels from which looking pays.
    """
    decided = np.flatnonzero(np.isin(state, (KEEP, RELABEL, DROP)) & counts)
    decided = decided[np.lexsort((decided, when[decided]))]  # in the order of the decisions
    wrong = (state[decided] != KEEP).tolist()
    undecided = np.flatnonzero((state == TODO) & counts)
    return ReviewStanding(
        estimate_rate(wrong),
        estimate_rate(wrong[-WINDOW:]),
        estimate_errors_left(decided.tolist(), wrong, undecided.tolist()),
        estimate_outlook(wrong, len(undecided), worth),
        count_states(state[counts].tolist()),
        count_states(state[~counts].tolist()),
    )


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What one reviewer did."""

    name: str
    decisions: int
    overall: Rate | None
    median_seconds: float | None
    accuracy: Accuracy


def list_reviewers(items: Sequence[Item], ledger: Ledger) -> list[Reviewer]:
    """Return what each reviewer did in this queue, and how they answered the controls, by name."""
    answers: dict[str, list[tuple[Item, Decision]]] = {}
    for item in items:
        for name, row in ledger.find_standing(item.key).items():
            answers.setdefault(name, []).append((item, row))
    return [_describe_reviewer(name, rows) for name, rows in sorted(answers.items())]


def _describe_reviewer(name: str, rows: Sequence[tuple[Item, Decision]]) -> Reviewer:
    judged = [(item, row) for item, row in rows if row.decision != "unsure"]
    overall = estimate_rate([row.label != item.given for item, row in judged if not item.is_control])
    flips = [row.label == item.suggested for item, row in judged if item.key.control == "flip"]
    clean = [row.label == item.given for item, row in judged if item.key.control == "clean"]
    seconds = sorted(row.seconds for _, row in rows if row.seconds is not None)
    median = seconds[len(seconds) // 2] if seconds else None
    decisions = sum(not item.is_control for item, _ in rows)
    return Reviewer(name, decisions, overall, median, judge_reviewer(flips, clean, overall))


class Agreement(NamedTuple):
    """How two reviewers agree on the samples that both decided blind.

    `kappa` is None where it is not defined: nothing in common, or both gave one and the same answer
    throughout.
    """

    first: str
    second: str
    samples: int
    agreed: int
    kappa: float | None


def compare_reviewers(ledger: Ledger, keys: Iterable[Key]) -> list[Agreement]:
    """Compare every pair of reviewers over `keys`, where they have some in common.

    Kappa is Cohen's (1960, "A coefficient of agreement for nominal scales"): (observed − expected agreement)
    / (1 − expected), on the answers: each label, drop, and unsure.
    """
    answers: dict[str, dict[Key, str]] = {}
    for key in keys:
        for reviewer, row in ledger.list_opinions(key).items():
            answers.setdefault(reviewer, {})[key] = row.outcome
    pairs = (_measure_agreement(a, b, answers[a], answers[b]) for a, b in combinations(sorted(answers), 2))
    return [pair for pair in pairs if pair.samples]


def _measure_agreement(a: str, b: str, of_a: dict[Key, str], of_b: dict[Key, str]) -> Agreement:
    shared = sorted(of_a.keys() & of_b.keys())
    left, right = [of_a[key] for key in shared], [of_b[key] for key in shared]
    agreed = sum(x == y for x, y in zip(left, right, strict=True))
    if len({*left, *right}) < 2:
        return Agreement(a, b, len(shared), agreed, None)
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 (a second to import, and only needed with two reviewers)

    return Agreement(a, b, len(shared), agreed, float(cohen_kappa_score(left, right)))
