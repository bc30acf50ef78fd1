"""How many samples of a review are in which state: the one place where decisions are counted.

Page, insights, `labelsweep status`, the trend of the report and `labelsweep apply` all ask here, when they are asked. A sample
has one state, so the counts of a queue add up to its length. Samples with known answers that the review page plants among the
queue are counted apart, and named wherever they are part of a number.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from tasks.records import Record
from tasks.review.ledger import Key, Ledger
from tasks.storage import read_parquet

# What an item can be: to do, settled in an earlier run, or what its reviewers say.
STATES: Final = ("todo", "settled", "keep", "relabel", "drop", "unsure", "disagree")
TODO, SETTLED, KEEP, RELABEL, DROP, UNSURE, DISAGREE = range(len(STATES))
_WORDS: Final = {
    "keep": "kept",
    "relabel": "relabeled",
    "drop": "dropped",
    "unsure": "unsure",
    "disagree": "where reviewers disagree",
    "settled": "decided in an earlier run",
}


class Tally(Record):
    """Samples by state.

    >>> tally = count_states([TODO, KEEP, RELABEL, DISAGREE])
    >>> tally.total, tally.todo, tally.answered, tally.judged, tally.wrong, tally.describe()
    (4, 1, 3, 2, 1, '1 kept, 1 relabeled, 1 where reviewers disagree')
    """

    todo: int = 0
    settled: int = 0
    keep: int = 0
    relabel: int = 0
    drop: int = 0
    unsure: int = 0
    disagree: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.model_dump().values())

    @property
    def answered(self) -> int:
        """Those with an answer of any kind."""
        return self.total - self.todo

    @property
    def judged(self) -> int:
        """Those of which it is decided whether the given label is wrong: kept, relabeled or dropped."""
        return self.keep + self.wrong

    @property
    def wrong(self) -> int:
        """Those whose given label was wrong: relabeled or dropped."""
        return self.relabel + self.drop

    def describe(self) -> str:
        """Say what was answered; empty where nothing was."""
        counts = self.model_dump()
        return ", ".join(f"{counts[name]:,} {word}" for name, word in _WORDS.items() if counts[name])


def combine_answers(ledger: Ledger, key: Key) -> int:
    """Return what the reviewers of a key say together, as an index into `STATES`; TODO where nobody answered.

    Reviewers disagree until one of them settles it, also where `apply` would follow the majority.
    """
    resolved = ledger.resolve(key)
    if not resolved.votes:
        return TODO
    if ledger.is_disputed(key):
        return DISAGREE
    if resolved.label is not None:
        return KEEP if resolved.label == key.given_label else RELABEL
    return STATES.index(resolved.outcome or "disagree")


def count_states(states: Iterable[int]) -> Tally:
    """Count states, given as indices into `STATES`."""
    counts = Counter(states)
    return Tally(**{name: counts[place] for place, name in enumerate(STATES)})


def is_settled(key: Key, settled: Collection[tuple[str, str]], others: Mapping[str, Collection[str]]) -> bool:
    """Whether a key that nobody answered was decided in an earlier run, under this content or what it was before.

    Args:
        settled: What `Ledger.settled` returns.
        others: Hashes of the same content in other runs, by hash.
    """
    hashes = (key.content_hash, *others.get(key.content_hash, ()))
    return not key.control and any((content, key.given_label) in settled for content in hashes)


def list_run_keys(run: Path, ledger: Ledger) -> list[Key]:
    """Return what the queue of a run asks; where the run is not here, what was answered in it."""
    path = run / "queue.parquet"
    if path.exists():
        table = read_parquet(path, columns=["content_hash", "given_label"])
        return [Key(str(row["content_hash"]), str(row["given_label"])) for row in table.to_pylist()]
    return [key for key in ledger if not key.control and _is_answered(ledger, key, run.name)]


def tally_run(run: Path, ledger: Ledger, others: Mapping[str, Collection[str]] | None = None) -> Tally:
    """Count the queue of a run as the decisions stand now.

    Args:
        others: Hashes of the same content in other runs, by hash; None where what was settled earlier need not be told from
            what is open.
    """
    settled = ledger.list_settled() if others is not None else set()
    states = []
    for key in list_run_keys(run, ledger):
        state = combine_answers(ledger, key)
        states.append(SETTLED if state == TODO and is_settled(key, settled, others or {}) else state)
    return count_states(states)


def count_known(ledger: Ledger, run_id: str) -> int:
    """Return how many samples with known answers were answered in a run."""
    return sum(_is_answered(ledger, key, run_id) for key in ledger if key.control)


def _is_answered(ledger: Ledger, key: Key, run_id: str) -> bool:
    return any(row.run == run_id for row in ledger.find_standing(key).values())
