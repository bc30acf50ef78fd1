"""What the rows of the log amount to: which answers stand, and what they say together.

A decision speaks of *content and given label*, not of a row number: the key of everything here is (content
hash, given label), so an answer holds in the next run, for a re-ordered file, and for every copy of the same
content with the same label. Answers to planted controls are kept apart and never mix with those that change
data.

All of it is a fold over rows in order: reading the log twice, or in two processes, gives the same ledger.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, NamedTuple

from tasks.review.log import UNDO, Decision

Rule = Literal["majority", "unanimous", "latest"]


class Key(NamedTuple):
    """What a decision is about."""

    content_hash: str
    given_label: str
    control: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the reviewers of one sample say together.

    `outcome` is `label:…`, `drop` or `unsure`; None when they disagree and the rule does not settle it.
    """

    outcome: str | None
    votes: tuple[Decision, ...]

    @property
    def label(self) -> str | None:
        """The label that the reviewers settled on."""
        prefix = "label:"
        return self.outcome[len(prefix) :] if self.outcome and self.outcome.startswith(prefix) else None


class Ledger:
    """The standing answers, kept up to date row by row.

    >>> from dataclasses import replace
    >>> key = {"sample_id": "a", "content_hash": "h", "given_label": "cat"}
    >>> first = Decision(seq=1, decision="keep", reviewer="Ada", **key)
    >>> ledger = Ledger([first, replace(first, seq=2, decision="drop", reviewer="Bo", role="second")])
    >>> sorted(ledger.find_standing(Key("h", "cat"))), ledger.is_disputed(Key("h", "cat"))
    (['Ada', 'Bo'], True)
    >>> ledger.add([replace(first, seq=3, decision="undo", reviewer="Bo", undoes=2)])
    >>> sorted(ledger.find_standing(Key("h", "cat")))
    ['Ada']
    """

    def __init__(self, rows: Iterable[Decision] = ()) -> None:
        self.seq = 0
        self._rows: dict[int, Decision] = {}
        self._stacks: dict[Key, dict[str, list[Decision]]] = defaultdict(dict)
        self.add(rows)

    def add(self, rows: Iterable[Decision]) -> None:
        """Take in rows that follow the ones already taken in."""
        for row in rows:
            self.seq = max(self.seq, row.seq)
            if row.decision == UNDO:
                self._take_back(row)
            else:
                self._rows[row.seq] = row
                self._stacks[make_key(row)].setdefault(row.reviewer, []).append(row)

    def _take_back(self, undo: Decision) -> None:
        row = self._rows.pop(undo.undoes or 0, None)
        if row is None:
            return
        stacks = self._stacks[make_key(row)]
        stacks[row.reviewer].remove(row)
        if not stacks[row.reviewer]:
            del stacks[row.reviewer]
        if not stacks:
            del self._stacks[make_key(row)]

    def __iter__(self) -> Iterator[Key]:
        """Yield what has at least one standing answer."""
        return iter(list(self._stacks))

    def rows(self) -> list[Decision]:
        """Return the rows that no undo took back, oldest first."""
        return [self._rows[seq] for seq in sorted(self._rows)]

    def find_standing(self, key: Key) -> dict[str, Decision]:
        """Return the latest answer of each reviewer."""
        return {reviewer: stack[-1] for reviewer, stack in self._stacks.get(key, {}).items()}

    def list_opinions(self, key: Key) -> dict[str, Decision]:
        """Return the latest answer of each reviewer that was given without seeing the others'."""
        blind = {
            reviewer: list(takewhile(lambda row: row.role != "adjudication", stack))
            for reviewer, stack in self._stacks.get(key, {}).items()
        }
        return {reviewer: stack[-1] for reviewer, stack in blind.items() if stack}

    def find_adjudication(self, key: Key) -> Decision | None:
        """Return the latest standing answer of whoever settled a disagreement: another one of theirs replaces it."""
        settled = [
            stack[-1]
            for stack in self._stacks.get(key, {}).values()
            if any(row.role == "adjudication" for row in stack)
        ]
        return max(settled, key=lambda row: row.seq, default=None)

    def is_disputed(self, key: Key) -> bool:
        """Whether reviewers gave different answers and nobody has settled it yet."""
        outcomes = {row.outcome for row in self.list_opinions(key).values()}
        return len(outcomes) > 1 and self.find_adjudication(key) is None

    def resolve(self, key: Key, rule: Rule = "majority") -> Resolution:
        """Return what the answers say together.

        An adjudication settles everything. Otherwise each reviewer has one vote, the latest answer; `unsure`
        abstains unless all are. `majority`: the most frequent answer, a tie settles nothing. `unanimous`: any
        difference settles nothing. `latest`: the newest answer counts.
        """
        answers = self.list_opinions(key)
        votes = tuple(sorted(answers.values(), key=lambda row: row.seq))
        if (settled := self.find_adjudication(key)) is not None:
            return Resolution(settled.outcome, (*votes, settled))
        if not votes:
            return Resolution(None, ())
        if rule == "latest":
            return Resolution(votes[-1].outcome, votes)
        counts = Counter(vote.outcome for vote in votes)
        if len(counts) > 1 and rule == "majority":
            counts.pop("unsure", None)
        leaders = [outcome for outcome, count in counts.items() if count == max(counts.values())]
        settles = len(leaders) == 1 and (rule == "majority" or len(counts) == 1)
        return Resolution(leaders[0] if settles else None, votes)

    def list_settled(self) -> set[tuple[str, str]]:
        """Return the (content hash, label) pairs not to be asked again: as decided on, and as decided.

        What the reviewers disagree about is not settled.
        """
        pairs: set[tuple[str, str]] = set()
        for key in self._stacks:
            if key.control or self.is_disputed(key):
                continue
            pairs.add((key.content_hash, key.given_label))
            if (label := self.resolve(key).label) is not None:
                pairs.add((key.content_hash, label))
        return pairs


def make_key(row: Decision) -> Key:
    """Return what `row` is about."""
    return Key(row.content_hash, row.given_label, row.control)
