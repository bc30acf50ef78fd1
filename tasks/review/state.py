"""A review under way: the queue, the answers so far, and who is looking at what. It knows nothing of HTTP.

Several reviewers work on one review, and several reviews (processes) on one log: before every answer the rows that others wrote
are read. A decision is never taken away or overwritten: where two people answer, both answers stand.

An item with answers has a public state: a verdict, or `disagree`. One that waits for a blind second opinion is still to do for
everybody but the one who gave the first. Asking about one position costs no look at the others.
"""

import hashlib
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import Field

from tasks.arrays import Array
from tasks.errors import InputError, list_names
from tasks.queue.earlier_hashes import find_equal_hashes
from tasks.records import VERDICTS, Record
from tasks.review.assign import deal_items
from tasks.review.estimate import WORTH
from tasks.review.filter import EVERYBODY, Filter
from tasks.review.insights import ReviewStanding, measure_review
from tasks.review.ledger import Key, Ledger, make_key
from tasks.review.log import Decision, DecisionLog
from tasks.review.queue import Item, ReviewQueue
from tasks.review.tally import DISAGREE, SETTLED, STATES, TODO, combine_answers, is_settled

# A sample that a reviewer has had open this long is offered to others again: several times what a decision takes.
_LEASE_S: Final = 120.0
# The figures move in steps of this many rows of the log: a counter that stood still for one answer would give a
# control away.
STEP: Final = 10
_SORTS: Final[dict[str, Callable[[Item], Any]]] = {
    "influence": lambda item: item.influence,
    "gain": lambda item: -item.gain,
    "class": lambda item: (item.given, item.suggested),
}


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
    worth: float = Field(
        WORTH, gt=0, lt=1, description="smallest share of wrong labels for which reviewing pays"
    )
    guideline: str = Field("", description="labelling guideline, shown on the page")
    keys: dict[str, str] = Field({}, description="keys of the user's, by action")
    class_keys: dict[str, str] = Field({}, description="keys of the user's, by class")
    audio: str = Field("", description="column that names sounds")
    audio_folder: Path | None = Field(None, description="folder that their paths start from")
    shares: dict[str, tuple[str, ...]] = Field(
        {}, description="who reviews: names, with the classes that are theirs alone"
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer said; `seen` is whether other people's answers were shown."""

    verdict: str
    new_label: str | None = None
    comment: str = ""
    seconds: float | None = None
    seen: bool = False
    action: str = ""


class Review:
    """One queue, one log, any number of reviewers; safe to call from several threads.

    Attributes:
        when_finished: Called in a thread of its own when a decision leaves nothing open, for anybody.
    """

    def __init__(self, queue: ReviewQueue, log: DecisionLog, options: ReviewOptions | None = None) -> None:
        self.queue = queue
        self.log = log
        self.options = options or ReviewOptions()
        self.lock = threading.RLock()
        self.when_finished: Callable[[], None] | None = None
        self._open: dict[str, tuple[int, float]] = {}
        self._places: dict[Key, list[int]] = defaultdict(list)
        for item in queue.items:
            self._places[item.key].append(item.position)
        self._beyond: dict[Key, Item] = {}  # samples beyond the queue with a decision
        self._counts = np.array([not item.is_control for item in queue.items], dtype=bool)  # (items,)
        self._dealt = deal_items(queue.items, self.options.shares, self._is_double)
        size = len(queue.items)
        self._rows = self.log.list_since(0)  # every row taken in so far, undos too, in order
        self.ledger = Ledger(self._rows)
        # Of each item: its state without answers (to do, or settled), its public state, and the row that decided (0: open).
        self._unanswered = np.zeros(size, np.int8)
        self._state, self._when = np.zeros(size, np.int8), np.zeros(size, np.int64)
        # Who gave the first of two blind opinions, where the second is still missing.
        self._first: dict[int, str] = {}
        self._standing: ReviewStanding | None = None
        self._counted = -1
        for key in self._places:
            self._look(key)
        settled, others = self.ledger.list_settled(), find_equal_hashes(self.queue.run.parent)
        for item in self.queue.items:
            if self._state[item.position] == TODO and is_settled(item.key, settled, others):
                self._unanswered[item.position] = self._state[item.position] = SETTLED

    def refresh(self) -> None:
        """Take in what others have written to the log."""
        with self.lock:
            rows = self.log.list_since(self.ledger.seq)
            self.ledger.add(rows)
            for key in {make_key(row) for row in rows}:
                self._look(key)
            self._rows.extend(rows)

    def _look(self, key: Key) -> None:
        """Bring the items of a key up to date."""
        if key not in self._places:
            return
        opinions, settled = self.ledger.list_opinions(key), self.ledger.find_adjudication(key)
        state, votes = combine_answers(self.ledger, key), self.ledger.resolve(key).votes
        waits = len(opinions) == 1 and settled is None and self._is_double(key)
        for place in self._places[key]:
            self._state[place] = state or self._unanswered[place]
            self._when[place] = votes[-1].seq if votes else 0
            if waits:
                self._first[place] = next(iter(opinions))
            else:
                self._first.pop(place, None)

    def _is_double(self, key: Key) -> bool:
        return wants_second_opinion(key, self.options.second_opinion)

    def is_blind(self, item: Item, reviewer: str) -> bool:
        """Whether this reviewer is asked for a second opinion, and must not know the first."""
        return self._first.get(item.position, reviewer) != reviewer

    def status(self, item: Item, reviewer: str) -> str:
        """Return what the item is to this reviewer: todo, settled (earlier), disagree, or a verdict."""
        if item.position >= len(self._state):
            return STATES[combine_answers(self.ledger, item.key)]
        return STATES[TODO if self.is_blind(item, reviewer) else self._state[item.position]]

    def share(self, reviewer: str) -> Array:
        """Return which items are dealt to a reviewer or to nobody, (items,) bool; all of them for whom nothing is dealt to."""
        if reviewer not in self.options.shares:
            return np.ones(len(self._dealt), bool)
        return np.array([not people or reviewer in people for people in self._dealt], bool)

    def count_open(self, reviewer: str) -> int:
        """Return how many items wait for this reviewer."""
        mine = self.share(reviewer)
        blind = sum(bool(mine[at]) and name != reviewer for at, name in self._first.items())
        return int(((self._state == TODO) & mine).sum()) + blind

    def count_items(self, reviewer: str) -> int:
        """Return how many items are this reviewer's."""
        return int(self.share(reviewer).sum())

    @property
    def disagreements(self) -> int:
        """How many items the reviewers disagree about."""
        return int((self._state == DISAGREE).sum())

    @property
    def waiting(self) -> int:
        """How many items wait for a second opinion."""
        return len(self._first)

    @property
    def known(self) -> int:
        """How many items are planted controls."""
        return int((~self._counts).sum())

    def is_finished(self) -> bool:
        """Whether nothing waits for anybody: no sample, no second opinion, no disagreement."""
        return not self._first and not np.isin(self._state, (TODO, DISAGREE)).any()

    def list_changed(self, seq: int, reviewer: str) -> dict[int, str]:
        """Return what each position is to this reviewer that others have decided on after row `seq`."""
        with self.lock:
            rows = self._rows[bisect_right(self._rows, seq, key=lambda row: row.seq) :]
            items = self._find_items(row for row in rows if row.reviewer != reviewer)
            return {item.position: self.status(item, reviewer) for item in items}

    def _find_items(self, rows: Iterable[Decision]) -> list[Item]:
        """Return the items that some rows speak of, in order."""
        keys = {make_key(row) for row in rows}
        queued = sorted(at for key in keys for at in self._places.get(key, ()))
        beyond = [self._beyond[key] for key in keys if key in self._beyond]
        return [*(self.queue.items[at] for at in queued), *beyond]

    def list_others(self, item: Item, reviewer: str) -> list[Decision]:
        """Return the answers of other people that this reviewer may see."""
        if self.is_blind(item, reviewer):
            return []
        mine = self.ledger.list_opinions(item.key).get(reviewer)
        blind_pair = mine is not None and self._is_double(item.key)
        if blind_pair and not self.ledger.is_disputed(item.key):
            return []
        return [row for name, row in sorted(self.ledger.find_standing(item.key).items()) if name != reviewer]

    def select(self, wanted: Filter, reviewer: str, among: Sequence[Item] | None = None) -> list[Item]:
        """Return the items that match, in order.

        Args:
            among: What is looked through; None for what is theirs of the queue.
        """
        if among is None:
            mine = self.share(wanted.whose or reviewer)
            every = self.queue.items
            among = every if wanted.whose == EVERYBODY else [item for item in every if mine[item.position]]
        with self.lock:
            items = [item for item in among if wanted.does_match(item, self.status(item, reviewer))]
        return sorted(items, key=_SORTS[wanted.sort]) if wanted.sort in _SORTS else items

    def decide(self, items: Sequence[Item], answer: Answer, reviewer: str) -> list[Decision]:
        """Write one answer for all `items`, in one action, and return its rows; when this returns, they are on the disk.

        Raises:
            InputError: No such decision or class, or the log cannot be written.
        """
        if answer.verdict not in (*VERDICTS, "suggestion"):
            fix = f"use one of: {', '.join((*VERDICTS, 'suggestion'))}"
            raise InputError(f"unknown decision {answer.verdict!r}", fix=fix)
        if answer.verdict == "relabel" and answer.new_label not in self.queue.classes:
            fix = f"choose one of its classes: {list_names(self.queue.classes)}"
            raise InputError(f"no class {answer.new_label!r} in this data set", fix=fix)
        with self.lock:
            self.refresh()
            before = self.is_finished()
            drafts = [self._draft_decision(item, answer, reviewer) for item in items]
            self._beyond |= {item.key: item for item in items if item.position >= len(self._state)}
            rows = self.log.append(drafts, action=answer.action)
            self.refresh()
            done = self.is_finished() and not before
        # That may take a second, for which the reviewer does not wait.
        if done and self.when_finished is not None:
            threading.Thread(target=self.when_finished, name="finished").start()
        return rows

    def _draft_decision(self, item: Item, answer: Answer, reviewer: str) -> Decision:
        others = [name for name in self.ledger.find_standing(item.key) if name != reviewer]
        suggestion = answer.verdict == "suggestion"
        # Of a selection some answers may have been shown: those of a sample that is still blind were not.
        seen = answer.seen and not self.is_blind(item, reviewer)
        return Decision(
            sample_id=item.sample_id,
            content_hash=item.key.content_hash,
            given_label=item.given,
            suggested_label=item.suggested,
            decision="relabel" if suggestion else answer.verdict,
            new_label=item.suggested if suggestion else answer.new_label,
            reviewer=reviewer,
            seconds=answer.seconds,
            run=self.queue.run_id,
            evidence_hash=item.evidence_hash,
            comment=answer.comment,
            role="first" if not others else "adjudication" if seen else "second",
            control=item.key.control,
        )

    def undo(self, reviewer: str, action: str = "") -> tuple[list[Decision], list[Item]]:
        """Take back this reviewer's last action; return the undo rows and the items they speak of."""
        with self.lock:
            rows = self.log.undo(reviewer, self.queue.run_id, action=action)
            self.refresh()
            return rows, self._find_items(rows)

    def open(self, item: Item, reviewer: str) -> None:
        """Note that this reviewer has the item before them."""
        with self.lock:
            self._open[reviewer] = (item.position, time.monotonic())

    def take(self, items: Sequence[Item], reviewer: str) -> Item | None:
        """Open the first item that nobody else has before them, else the first, and return it; two reviewers get two."""
        with self.lock:
            busy = self.find_busy(reviewer)
            taken = next((item for item in items if item.position not in busy), items[0] if items else None)
            if taken is not None:
                self.open(taken, reviewer)
            return taken

    def find_busy(self, reviewer: str) -> set[int]:
        """Return the positions that others have before them just now."""
        return {at for name, at in self.find_present().items() if name != reviewer}

    def find_present(self) -> dict[str, int]:
        """Return who has a sample open, and which."""
        since = time.monotonic() - _LEASE_S
        return {name: at for name, (at, when) in list(self._open.items()) if when > since}

    def pace(self) -> ReviewStanding:
        """Return the figures of the review, brought up to date every `STEP` rows of the log."""
        with self.lock:
            if self._standing is None or self.ledger.seq // STEP != self._counted:
                self._standing = self.count()
                self._counted = self.ledger.seq // STEP
            return self._standing

    def count(self) -> ReviewStanding:
        """Return the figures of the review as they are now."""
        return measure_review(self._state, self._when, self._counts, self.options.worth)


def wants_second_opinion(key: Key, share: float) -> bool:
    """Whether this sample is among the seeded `share` that two reviewers decide.

    A hash of the key decides, so two servers, a restart and a re-ordered queue all ask for the same samples.

    >>> sum(wants_second_opinion(Key(str(n), "cat"), 0.25) for n in range(1000)) in range(200, 300)
    True
    """
    text = f"second opinion\x000\0{key.content_hash}\0{key.given_label}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64
