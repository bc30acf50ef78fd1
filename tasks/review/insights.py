"""The figures of a review: errors found, errors left, and how far the answers can be relied on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tasks.review.agreement import Agreement, agreement
from tasks.review.deck import Item
from tasks.review.estimate import (
    WORTH,
    Accuracy,
    Left,
    Outlook,
    Rate,
    errors_left,
    outlook,
    rate,
    reviewer_accuracy,
    running_precision,
)
from tasks.review.ledger import Ledger
from tasks.review.log import Decision


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the review stands; planted controls do not count.

    Attributes:
        overall: Precision of everything that was decided.
        running: Precision of the last decisions.
        left: Errors that are likely left among the undecided samples.
        outlook: Whether the next samples are likely to pay.
        outcomes: Number of samples by outcome: keep, relabel, drop, unsure, disagree.
    """

    overall: Rate | None
    running: Rate | None
    left: Left | None
    outlook: Outlook | None
    outcomes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What one reviewer did."""

    name: str
    decisions: int
    overall: Rate | None
    median_seconds: float | None
    accuracy: Accuracy


# What the reviewers of a sample say together; a sample that nobody answered comes first.
_OUTCOMES: Final = ("", "keep", "relabel", "drop", "unsure", "disagree")
_UNDECIDED, _KEEP, _RELABEL, _DROP, _UNSURE, _DISAGREE = range(len(_OUTCOMES))


class Tally:
    """The outcome of each position of a deck, kept up to date place by place: an answer costs no look at the others.

    Args:
        items: The deck, by position.
        ledger: The standing answers; it must have taken in a row before the tally hears of its places.
    """

    def __init__(self, items: Sequence[Item], ledger: Ledger) -> None:
        self._items = items
        self._ledger = ledger
        self._counts = np.array([not item.is_control for item in items], dtype=bool)  # (items,)
        self._outcome = np.zeros(len(items), dtype=np.int8)
        self._when = np.zeros(len(items), dtype=np.int64)  # the row that decided; 0 while it is open
        self.update(range(len(items)))

    def update(self, places: Iterable[int]) -> None:
        """Look at some positions again."""
        for place in places:
            item = self._items[place]
            resolved = self._ledger.resolve(item.key)
            self._when[place] = resolved.votes[-1].seq if resolved.votes else 0
            if not resolved.votes:
                outcome = _UNDECIDED
            elif resolved.outcome is None:
                outcome = _DISAGREE
            elif resolved.outcome == "unsure":
                outcome = _UNSURE
            elif resolved.label is None:
                outcome = _DROP
            else:
                outcome = _RELABEL if resolved.label != item.given else _KEEP
            self._outcome[place] = outcome

    def standing(self, worth: float = WORTH) -> Standing:
        """Compute where the review stands.

        Args:
            worth: Share of wrong labels from which looking pays.
        """
        judged = np.isin(self._outcome, (_KEEP, _RELABEL, _DROP)) & self._counts
        decided = np.flatnonzero(judged)
        decided = decided[np.lexsort((decided, self._when[decided]))]  # in the order of the decisions
        wrong = (self._outcome[decided] != _KEEP).tolist()
        undecided = np.flatnonzero((self._outcome == _UNDECIDED) & self._counts)
        numbers = np.bincount(self._outcome[self._counts], minlength=len(_OUTCOMES)).tolist()
        return Standing(
            rate(wrong),
            running_precision(wrong),
            errors_left(decided.tolist(), wrong, undecided.tolist()),
            outlook(wrong, len(undecided), worth),
            dict(zip(_OUTCOMES[1:], numbers[1:], strict=True)),
        )


def reviewers_of(items: Sequence[Item], ledger: Ledger) -> list[Reviewer]:
    """Return what each reviewer did in this deck, and how they answered the controls, by name."""
    answers: dict[str, list[tuple[Item, Decision]]] = {}
    for item in items:
        for name, row in ledger.standing(item.key).items():
            answers.setdefault(name, []).append((item, row))
    return [_reviewer(name, rows) for name, rows in sorted(answers.items())]


def _reviewer(name: str, rows: Sequence[tuple[Item, Decision]]) -> Reviewer:
    judged = [(item, row) for item, row in rows if row.decision != "unsure"]
    overall = rate([row.label != item.given for item, row in judged if not item.is_control])
    flips = [row.label == item.suggested for item, row in judged if item.key.control == "flip"]
    clean = [row.label == item.given for item, row in judged if item.key.control == "clean"]
    seconds = sorted(row.seconds for _, row in rows if row.seconds is not None)
    median = seconds[len(seconds) // 2] if seconds else None
    decisions = sum(1 for item, _ in rows if not item.is_control)
    return Reviewer(name, decisions, overall, median, reviewer_accuracy(flips, clean, overall))


def agreements_of(items: Sequence[Item], ledger: Ledger) -> list[Agreement]:
    """Compare the blind answers of every pair of reviewers in this deck."""
    return [pair for pair in agreement(ledger, [item.key for item in items]) if pair.samples]
