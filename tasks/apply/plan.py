"""What the decisions would change: worked out from the log and three columns of the data set, before anything is written."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from tasks.review.ledger import Key, Ledger, Resolution, Rule
from tasks.review.log import Decision
from tasks.review.tally import count_known

KEY_COLUMNS: Final = ("sample_id", "content_hash", "label")

RULES: Final[dict[Rule, str]] = {
    "majority": "the latest answer of each reviewer, the majority of reviewers; ties are left out",
    "unanimous": "the latest answer of each reviewer; any difference is left out",
    "latest": "the newest answer",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One sample that changes; `new_label` is None where it is dropped."""

    sample_id: str
    content_hash: str
    old_label: str
    new_label: str | None
    reviewers: tuple[str, ...]
    decisions: tuple[int, ...]

    @property
    def kind(self) -> Literal["relabel", "drop"]:
        """Relabel or drop."""
        return "drop" if self.new_label is None else "relabel"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A decision that changes nothing although it might have, and why."""

    sample_id: str
    given_label: str
    why: str
    answers: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `apply` would do.

    Attributes:
        changes: Samples that get another label or go, in the order of the data set.
        left_out: Decisions that are not applied, with the reason.
        outcomes: Number of decided contents by outcome: keep, relabel, drop, unsure.
        disputed: Decided contents on which reviewers differ and nobody has settled it, but the rule does.
        known: Contents with known answers that were answered in this run; they change nothing.
    """

    changes: tuple[Change, ...]
    left_out: tuple[LeftOut, ...]
    outcomes: dict[str, int]
    before: dict[str, int]
    rule: Rule
    by_sample: dict[str, Change] = field(default_factory=dict, repr=False)
    disputed: int = 0
    known: int = 0

    def find_changes(self, ids: pa.ChunkedArray) -> Iterator[tuple[int, Change]]:
        """Yield which of some samples change, by place, and how."""
        ids = ids.cast(pa.string())
        changed = pc.is_in(ids, value_set=pa.array(self.by_sample, pa.string()))
        for place in pc.indices_nonzero(changed).to_pylist():
            yield place, self.by_sample[ids[place].as_py()]

    @property
    def after(self) -> dict[str, int]:
        """Samples of each class once the changes are made."""
        counts = Counter(self.before)
        counts.subtract(change.old_label for change in self.changes)
        counts.update(change.new_label for change in self.changes if change.new_label is not None)
        return dict(counts)

    @property
    def confusion(self) -> dict[tuple[str, str], int]:
        """How often each given label becomes which new one, most frequent first; drops are left out."""
        pairs = Counter((c.old_label, c.new_label) for c in self.changes if c.new_label is not None)
        return dict(pairs.most_common())

    @property
    def dropped(self) -> dict[str, int]:
        """How many samples of each given label are dropped."""
        return dict(Counter(c.old_label for c in self.changes if c.new_label is None).most_common())


def make_plan(
    columns: pa.Table,
    rows: Sequence[Decision],
    run_id: str,
    rule: Rule = "majority",
    classes: Collection[str] | None = None,
) -> Plan:
    """Work out what the decisions change in a data set.

    A decision holds for every sample with the content and the given label that it was made on, whichever run
    it was made in.

    Args:
        columns: `sample_id`, `content_hash` and `label` of the data set.
        run_id: The run whose decisions are accounted for one by one, also where they no longer fit the data.
        rule: How differing answers of several reviewers are resolved.
        classes: What a sample may be labeled; None lets everything pass.
    """
    ledger = Ledger(rows)
    columns = pa.table({name: columns[name].cast(pa.string()) for name in KEY_COLUMNS})
    before = {entry["values"]: entry["counts"] for entry in pc.value_counts(columns["label"]).to_pylist()}
    resolved = {key: ledger.resolve(key, rule) for key in ledger if not key.control}
    changes: list[Change] = []
    merged: list[LeftOut] = []
    present: set[Key] = set()
    contents = {key.content_hash for key in resolved}
    for sample_id, content_hash, label in _find(columns, "content_hash", contents):
        key = Key(content_hash, label)
        if key in resolved:
            present.add(key)
            change = _change(sample_id, key, resolved[key])
            if change and classes is not None and change.new_label not in (None, *classes):
                why = f"no sample has the label {change.new_label!r} any more"
                merged.append(_leave_out(key, resolved[key].votes, why))
            elif change is not None:
                changes.append(change)
    outcomes = Counter(_name_outcome(key, resolved[key]) for key in present)
    disagreed = [key for key in resolved if key in present and resolved[key].outcome is None]
    left_out = [
        *(_leave_out(key, resolved[key].votes, "the reviewers disagree") for key in disagreed),
        *merged,
        *_find_stale(columns, resolved, present, run_id),
        *_find_changed_controls(ledger, run_id),
    ]
    return Plan(
        tuple(changes),
        tuple(left_out),
        {name: outcomes[name] for name in ("keep", "relabel", "drop", "unsure") if outcomes[name]},
        before,
        rule,
        {change.sample_id: change for change in changes},
        sum(ledger.is_disputed(key) and resolved[key].outcome is not None for key in present),
        count_known(ledger, run_id),
    )


def carry_decisions(rows: Sequence[Decision], others: Mapping[str, Collection[str]]) -> Sequence[Decision]:
    """Return the decisions that stand, each also on the contents that its own became when the columns of the data set changed.

    Args:
        others: Hashes of the same content in other runs, by hash.

    >>> row = Decision(seq=1, sample_id="a", content_hash="old", given_label="cat", decision="keep", reviewer="Ada")
    >>> [each.content_hash for each in carry_decisions([row], {"old": {"new"}})]
    ['old', 'new']
    """
    if not others:
        return rows
    return [
        replace(row, content_hash=content)
        for row in Ledger(rows).rows()
        for content in (row.content_hash, *sorted(others.get(row.content_hash, ())))
    ]


def _find(columns: pa.Table, name: str, values: set[str]) -> Iterable[tuple[str, str, str]]:
    """Return identifier, hash and label of the samples with one of some values, in the order of the data set."""
    part = columns.filter(pc.is_in(columns[name], value_set=pa.array(values, pa.string())))
    return zip(*(part[key].to_pylist() for key in KEY_COLUMNS), strict=True)


def _change(sample_id: str, key: Key, resolution: Resolution) -> Change | None:
    label = resolution.label
    if resolution.outcome is None or resolution.outcome == "unsure" or label == key.given_label:
        return None
    support = [vote for vote in resolution.votes if vote.outcome == resolution.outcome]
    return Change(
        sample_id,
        key.content_hash,
        key.given_label,
        label,
        tuple(vote.reviewer for vote in support),
        tuple(vote.seq for vote in support),
    )


def _name_outcome(key: Key, resolution: Resolution) -> str:
    if resolution.label is None:
        return resolution.outcome or "disagree"
    return "keep" if resolution.label == key.given_label else "relabel"


def _find_stale(
    columns: pa.Table, resolved: dict[Key, Resolution], present: set[Key], run_id: str
) -> list[LeftOut]:
    """Return decisions of this run that no longer fit the data; one that the data already follows is no such case."""
    lost = [
        (vote, key)
        for key, resolution in resolved.items()
        if key not in present
        for vote in resolution.votes
        if vote.run == run_id
    ]
    samples = {vote.sample_id for vote, _ in lost}
    now = {sample: (content, label) for sample, content, label in _find(columns, "sample_id", samples)}
    # A decision stands under each hash that its content has had: it fits where one does, else the present one tells why not.
    seen = {vote.seq for key in present for vote in resolved[key].votes}
    found = []
    for vote, key in sorted(lost, key=lambda one: now.get(one[0].sample_id, ("",))[0] != one[1].content_hash):
        votes = tuple(other for other in resolved[key].votes if other.sample_id == vote.sample_id)
        content_hash, label = now.get(vote.sample_id, ("", ""))
        follows = content_hash == key.content_hash and label == resolved[key].label
        if vote.seq not in seen and not follows:
            found.append(_leave_out(key, votes, _explain_stale(key, content_hash, label)))
        seen |= {other.seq for other in votes}
    return found


def _explain_stale(key: Key, content_hash: str, label: str) -> str:
    """Return why a decision on `key` does not fit a sample as it is now."""
    if not content_hash:
        return "the sample is not in the data set"
    if content_hash != key.content_hash:
        return "the content has changed since"
    return f"the label has become {label!r} since"


def _find_changed_controls(ledger: Ledger, run_id: str) -> list[LeftOut]:
    """Return planted clean rows that somebody changed: a slip, or an error that the audit missed; a person may look."""
    found = []
    for key in ledger:
        votes = tuple(row for row in ledger.find_standing(key).values() if row.run == run_id)
        is_changed = any(row.label != key.given_label and row.decision != "unsure" for row in votes)
        if key.control == "clean" and is_changed:
            found.append(_leave_out(key, votes, "a planted control, believed clean: look again"))
    return found


def _leave_out(key: Key, votes: Sequence[Decision], why: str) -> LeftOut:
    answers = "; ".join(f"{vote.reviewer}: {vote.new_label or vote.decision}" for vote in votes)
    return LeftOut(votes[0].sample_id, key.given_label, why, answers)
