"""The figures of a review: errors found, errors left, and how far the answers can be relied on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

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


def standing_of(items: Sequence[Item], ledger: Ledger, worth: float = WORTH) -> Standing:
    """Compute where a review stands.

    Args:
        items: The deck.
        ledger: The standing answers.
        worth: Share of wrong labels from which looking pays.
    """
    decided: list[tuple[int, int, bool]] = []  # (when, position, was wrong)
    undecided: list[int] = []
    outcomes: Counter[str] = Counter()
    for item in items:
        if item.is_control:
            continue
        resolved = ledger.resolve(item.key)
        if not resolved.votes:
            undecided.append(item.position)
        elif resolved.outcome is None:
            outcomes["disagree"] += 1
        elif resolved.outcome == "unsure":
            outcomes["unsure"] += 1
        else:
            wrong = resolved.label != item.given
            outcomes["drop" if resolved.label is None else "relabel" if wrong else "keep"] += 1
            decided.append((resolved.votes[-1].seq, item.position, wrong))
    decided.sort()
    wrong_in_order = [wrong for _, _, wrong in decided]
    left = errors_left([at for _, at, _ in decided], wrong_in_order, undecided)
    return Standing(
        rate(wrong_in_order),
        running_precision(wrong_in_order),
        left,
        outlook(wrong_in_order, len(undecided), worth),
        dict(outcomes),
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
