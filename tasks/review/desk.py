"""A review under way: the deck, the ledger, and who is looking at what. It knows nothing of HTTP.

Several reviewers work on one desk, and several desks (processes) on one log: before every answer the desk
reads the rows that others wrote. A decision is never taken away or overwritten: where two people answer, both
answers stand.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from tasks.errors import InputError, listed
from tasks.queue.former import hashes_among
from tasks.records import VERDICTS, Record
from tasks.review.agreement import wants_second_opinion
from tasks.review.board import Board
from tasks.review.deck import Deck, Item
from tasks.review.estimate import WORTH
from tasks.review.insights import Standing, Tally
from tasks.review.ledger import Ledger, key_of
from tasks.review.log import Decision, DecisionLog

State = Literal["todo", "done", "keep", "relabel", "drop", "unsure", "disagree", "all"]
Sort = Literal["rank", "influence", "gain", "class"]

# A sample that somebody has had open this long is offered to others again: several times what a decision
# takes.
_LEASE_S: Final = 120.0
# The figures move in steps of this many rows of the log: a counter that stood still for one answer would give a
# control away.
STEP: Final = 10


class Filter(Record):
    """Which part of the queue, in which order."""

    state: State = "todo"
    given: str = ""
    suggested: str = ""
    low: float | None = None
    high: float | None = None
    sort: Sort = "rank"


class ReviewOptions(Record):
    """How a review is held.

    >>> ReviewOptions(second_opinion=0.1).hide_suggestion
    False
    """

    second_opinion: float = Field(
        0.0, ge=0, le=1, description="share of samples that two reviewers decide, blind"
    )
    hide_suggestion: bool = Field(
        default=False, description="the second reviewer does not see the suggestion either"
    )
    worth: float = Field(WORTH, gt=0, lt=1, description="share of wrong labels from which looking pays")
    guideline: str = Field("", description="labelling guideline, shown on the page")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer said; `seen` is whether other people's answers were shown."""

    verdict: str
    new_label: str | None = None
    comment: str = ""
    seconds: float | None = None
    seen: bool = False
    action: str = ""


class Desk:
    """One deck, one log, any number of reviewers; safe to call from several threads.

    Attributes:
        when_finished: Called by whoever's decision leaves nothing open, for anybody.
    """

    def __init__(self, deck: Deck, log: DecisionLog, options: ReviewOptions | None = None) -> None:
        self.deck = deck
        self.log = log
        self.options = options or ReviewOptions()
        self.lock = threading.RLock()
        self.when_finished: Callable[[], None] | None = None
        self._open: dict[str, tuple[int, float]] = {}
        self._others = hashes_among(deck.run.parent)
        self._take_in_all()

    def _take_in_all(self) -> None:
        self._heard = self.log.since(0)  # every row taken in so far, undos too, in order
        self.ledger = Ledger(self._heard)
        self.board = Board(self.deck.items, self.ledger, self.options.second_opinion, self._others)
        self._tally = Tally(self.deck.items, self.ledger)
        self._standing: Standing | None = None
        self._counted = -1
        self._torn = False

    def refresh(self) -> None:
        """Take in what others have written to the log."""
        with self.lock:
            if self._torn:
                self._take_in_all()
            rows = self.log.since(self.ledger.seq)
            self._torn = bool(rows)  # where memory runs out halfway, ledger and board are at odds: begin anew
            self.ledger.add(rows)
            self.board.update(rows)
            self._tally.update(self.board.places(key_of(row) for row in rows))
            self._heard.extend(rows)
            self._torn = False

    def changed(self, seq: int, reviewer: str) -> dict[int, str]:
        """Return what each position is to this reviewer that others have decided on after row `seq`."""
        with self.lock:
            rows = self._heard[bisect_right(self._heard, seq, key=lambda row: row.seq) :]
            places = self.board.places(key_of(row) for row in rows if row.reviewer != reviewer)
            return {place: self.board.status(place, reviewer) for place in places}

    def status(self, item: Item, reviewer: str) -> str:
        """Return what the item is to this reviewer: todo, settled (earlier), disagree, or a verdict."""
        return self.board.status(item.position, reviewer)

    def others(self, item: Item, reviewer: str) -> list[Decision]:
        """Return the answers of other people that this reviewer may see."""
        if self.board.is_blind(item.position, reviewer):
            return []
        mine = self.ledger.opinions(item.key).get(reviewer)
        blind_pair = mine is not None and wants_second_opinion(item.key, self.options.second_opinion)
        if blind_pair and not self.ledger.disagrees(item.key):
            return []
        return [row for name, row in sorted(self.ledger.standing(item.key).items()) if name != reviewer]

    def select(self, wanted: Filter, reviewer: str) -> list[Item]:
        """Return the items that match, in order."""
        with self.lock:
            items = [item for item in self.deck.items if self._matches(item, wanted, reviewer)]
        if wanted.sort == "influence":
            items.sort(key=lambda item: item.influence)
        elif wanted.sort == "gain":
            items.sort(key=lambda item: -item.gain)
        elif wanted.sort == "class":
            items.sort(key=lambda item: (item.given, item.suggested))
        return items

    def _matches(self, item: Item, wanted: Filter, reviewer: str) -> bool:
        if (wanted.given and item.given != wanted.given) or (
            wanted.suggested and item.suggested != wanted.suggested
        ):
            return False
        if (wanted.low is not None and item.score < wanted.low) or (
            wanted.high is not None and item.score > wanted.high
        ):
            return False
        if wanted.state == "all":
            return True
        status = self.status(item, reviewer)
        return status != "todo" if wanted.state == "done" else status == wanted.state

    def decide(self, items: Sequence[Item], answer: Answer, reviewer: str) -> list[Decision]:
        """Write one answer for all `items`, in one action, and return its rows; when this returns, they are on the disk.

        Args:
            items: What was decided on.
            answer: The same for all of them.
            reviewer: Who decided.

        Raises:
            InputError: No such decision or class, or the log cannot be written.
        """
        if answer.verdict not in (*VERDICTS, "suggestion"):
            raise InputError(
                f"no decision {answer.verdict!r}", fix=f"use one of: {', '.join((*VERDICTS, 'suggestion'))}"
            )
        if answer.verdict == "relabel" and answer.new_label not in self.deck.classes:
            raise InputError(
                f"no class {answer.new_label!r} in this data set",
                fix=f"choose one of its classes: {listed(self.deck.classes)}",
            )
        with self.lock:
            self.refresh()
            before = self.board.is_finished()
            rows = self.log.append(
                [self._draft(item, answer, reviewer) for item in items], action=answer.action
            )
            self.refresh()
            done = self.board.is_finished() and not before
        if done and self.when_finished is not None:
            self._tell(self.when_finished)
        return rows

    @staticmethod
    def _tell(finished: Callable[[], None]) -> None:
        """Tell whoever wants to know; that may take a second, for which the reviewer does not wait."""
        try:
            threading.Thread(target=finished, name="finished").start()
        except RuntimeError:  # no memory for a thread, and nobody will finish this queue a second time
            finished()

    def _draft(self, item: Item, answer: Answer, reviewer: str) -> Decision:
        others = [name for name in self.ledger.standing(item.key) if name != reviewer]
        suggestion = answer.verdict == "suggestion"
        return Decision(
            sample_id=item.sample_id,
            content_hash=item.key.content_hash,
            given_label=item.given,
            suggested_label=item.suggested,
            decision="relabel" if suggestion else answer.verdict,
            new_label=item.suggested if suggestion else answer.new_label,
            reviewer=reviewer,
            seconds=answer.seconds,
            run=self.deck.run_id,
            evidence_hash=item.evidence_hash,
            comment=answer.comment,
            role="first" if not others else "adjudication" if answer.seen else "second",
            control=item.key.control,
        )

    def undo(self, reviewer: str, action: str = "") -> tuple[list[Decision], list[Item]]:
        """Take back this reviewer's last action; return the undo rows and the items they speak of."""
        with self.lock:
            rows = self.log.undo(reviewer, self.deck.run_id, action=action)
            self.refresh()
            items = [self.deck.items[place] for place in self.board.places(key_of(row) for row in rows)]
        return rows, items

    def open(self, item: Item, reviewer: str) -> None:
        """Note that this reviewer has the item before them."""
        self._open[reviewer] = (item.position, time.monotonic())

    def busy(self, reviewer: str) -> set[int]:
        """Return the positions that others have before them just now."""
        since = time.monotonic() - _LEASE_S
        return {at for name, (at, when) in list(self._open.items()) if name != reviewer and when > since}

    def standing(self) -> Standing:
        """Return the figures of the review, brought up to date every `STEP` rows of the log."""
        with self.lock:
            if self._standing is None or self.ledger.seq // STEP != self._counted:
                self._standing = self._tally.standing(self.options.worth)
                self._counted = self.ledger.seq // STEP
            return self._standing
