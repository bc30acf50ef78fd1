"""Where every item of the deck stands, kept up to date row by row.

An item with answers has a public state: a verdict, or `disagree`. One that waits for a blind second opinion
is still to do for everybody but the one who gave the first. Asking about one position costs no look at the
others.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tasks.review.agreement import wants_second_opinion
from tasks.review.deck import Item
from tasks.review.ledger import Key, Ledger, key_of
from tasks.review.log import Decision


class Board:
    """The state of each position of a deck.

    Args:
        items: The deck, by position.
        ledger: The standing answers; it must have taken in a row before the board hears of it.
        second_opinion: Share of samples that two reviewers decide.
    """

    def __init__(self, items: Sequence[Item], ledger: Ledger, second_opinion: float) -> None:
        self._items = items
        self._ledger = ledger
        self._share = second_opinion
        self._places: dict[Key, list[int]] = defaultdict(list)
        for item in items:
            self._places[item.key].append(item.position)
        self._public: dict[int, str] = {}
        self._first: dict[int, str] = {}  # who gave the first of two blind opinions
        for key in self._places:
            self._look(key)
        settled = ledger.settled()
        unanswered = (item for item in items if item.position not in self._public and not item.is_control)
        self._settled = {item.position for item in unanswered if item.key[:2] in settled}

    def update(self, rows: Iterable[Decision]) -> None:
        """Take note of new rows of the log."""
        for key in {key_of(row) for row in rows}:
            self._look(key)

    def _look(self, key: Key) -> None:
        opinions = self._ledger.opinions(key)
        settled = self._ledger.adjudication(key)
        alone = len(opinions) == 1 and settled is None and wants_second_opinion(key, self._share)
        for place in self._places.get(key, ()):
            self._public.pop(place, None)
            self._first.pop(place, None)
            if opinions or settled is not None:
                self._public[place] = self._state(key)
            if alone:
                self._first[place] = next(iter(opinions))

    def _state(self, key: Key) -> str:
        if self._ledger.disagrees(key):
            return "disagree"
        resolved = self._ledger.resolve(key)
        if resolved.label is None:
            return resolved.outcome or "disagree"
        return "keep" if resolved.label == key.given_label else "relabel"

    def places(self, keys: Iterable[Key]) -> list[int]:
        """Return the positions of some keys."""
        return sorted(place for key in set(keys) for place in self._places.get(key, ()))

    def is_blind(self, place: int, reviewer: str) -> bool:
        """Whether this reviewer is asked for a second opinion, and must not know the first."""
        return self._first.get(place, reviewer) != reviewer

    def status(self, place: int, reviewer: str) -> str:
        """Return what a position is to a reviewer: todo, settled (earlier), disagree, or a verdict."""
        if self.is_blind(place, reviewer):
            return "todo"
        return self._public.get(place, "settled" if place in self._settled else "todo")

    def todo(self, reviewer: str) -> int:
        """Return how many positions wait for this reviewer."""
        settled = sum(place not in self._public for place in self._settled)
        blind = sum(first != reviewer for first in self._first.values())
        return len(self._items) - len(self._public) - settled + blind

    def is_finished(self) -> bool:
        """Whether nothing waits for anybody: no sample, no second opinion, no disagreement."""
        answered = len(self._public) + sum(place not in self._public for place in self._settled)
        return answered == len(self._items) and not self._first and not self.disagreements

    @property
    def disagreements(self) -> int:
        """How many positions the reviewers disagree about."""
        return Counter(self._public.values())["disagree"]
