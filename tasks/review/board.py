"""Where every item of the deck stands, kept up to date row by row.

An item with answers has a public state: a verdict, or `disagree`. One that waits for a blind second opinion
is still to do for everybody but the one who gave the first. Asking about one position costs no look at the
others, and neither does a count.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

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
        others: Hashes that a content has in other runs: a decision on one of them settles it too.
    """

    def __init__(
        self,
        items: Sequence[Item],
        ledger: Ledger,
        second_opinion: float,
        others: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        self._items = items
        self._ledger = ledger
        self._share = second_opinion
        self._places: dict[Key, list[int]] = defaultdict(list)
        for item in items:
            self._places[item.key].append(item.position)
        self._public: dict[int, str] = {}
        self._first: dict[int, str] = {}  # who gave the first of two blind opinions
        self._firsts: Counter[str] = Counter()  # and how many each of them gave
        self._disagreements = 0
        self._settled: frozenset[int] = frozenset()
        self._silent: set[int] = set()  # settled earlier, and not answered again since
        for key in self._places:
            self._look(key)
        settled = ledger.settled()
        unanswered = (item for item in items if item.position not in self._public and not item.is_control)
        self._settled = frozenset(
            item.position
            for item in unanswered
            for one in (item.key.content_hash, *others.get(item.key.content_hash, ()))
            if (one, item.key.given_label) in settled
        )
        self._silent = set(self._settled)

    def update(self, rows: Iterable[Decision]) -> None:
        """Take note of new rows of the log."""
        for key in {key_of(row) for row in rows}:
            self._look(key)

    def _look(self, key: Key) -> None:
        opinions = self._ledger.opinions(key)
        settled = self._ledger.adjudication(key)
        alone = len(opinions) == 1 and settled is None and wants_second_opinion(key, self._share)
        state = self._state(key) if opinions or settled is not None else ""
        first = next(iter(opinions)) if alone else ""
        for place in self._places.get(key, ()):
            self._put(place, state, first)

    def _put(self, place: int, state: str, first: str) -> None:
        """Put down the state of a position, empty where nobody answered, and who gave its first opinion, if one waits."""
        self._disagreements += (state == "disagree") - (self._public.pop(place, "") == "disagree")
        if (before := self._first.pop(place, "")) != "":
            self._firsts[before] -= 1
        if state:
            self._public[place] = state
            self._silent.discard(place)
        elif place in self._settled:
            self._silent.add(place)
        if first:
            self._first[place] = first
            self._firsts[first] += 1

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
        blind = len(self._first) - self._firsts[reviewer]
        return len(self._items) - len(self._public) - len(self._silent) + blind

    def is_finished(self) -> bool:
        """Whether nothing waits for anybody: no sample, no second opinion, no disagreement."""
        answered = len(self._public) + len(self._silent)
        return answered == len(self._items) and not self._first and not self._disagreements

    @property
    def disagreements(self) -> int:
        """How many positions the reviewers disagree about."""
        return self._disagreements
