"""What a queue shows over many nights, whatever happens to rows and columns: histories drawn at random, without a model."""

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingest.content import encode_columns
from tasks.ingest.identity import make_sample_id
from tasks.queue.earlier_hashes import read_earlier_hashes
from tasks.queue.open_samples import DECIDED, OPEN, choose_shown
from tasks.records import Column, Dataset, Reask, Scores
from tasks.review.ledger import Ledger
from tasks.review.log import Decision
from tasks.storage import read_json, write_json, write_table

CLASSES = ("cat", "dog")


@dataclass
class Row:
    """A row as the user knows it: who it is, a value that no other row has, its label, and what other columns say."""

    uid: int
    value: float
    label: str
    more: int = 0


@dataclass
class History:
    """A data set that lives, and what its queues should show."""

    folder: Path
    ids: bool
    rng: np.random.Generator
    reask: str = "content"
    rows: list[Row] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=lambda: {"n": "int64", "town": "string"})
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    runs: list[Path] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    decided: set[tuple[float, str | None]] = field(default_factory=set)
    known: dict[int, tuple[float, str]] = field(default_factory=dict)
    shown_in: dict[int, Path] = field(default_factory=dict)
    asked: dict[int, str] = field(default_factory=dict)
    given: dict[int, str] = field(default_factory=dict)

    def add(self) -> None:
        for _ in range(4):
            label = str(self.rng.choice(CLASSES))
            self.rows.append(
                Row(next(self.numbers), float(self.rng.normal()), label, int(self.rng.integers(3)))
            )

    def remove(self) -> None:
        self.rows = self.rows[2:]

    def relabel(self) -> None:
        row = self.rows[len(self.rows) // 2]
        row.label = CLASSES[1 - CLASSES.index(row.label)]
        row.uid = row.uid if self.ids else next(self.numbers)  # an id made of the content is another one

    def change(self) -> None:
        row = self.rows[-1]
        row.value = float(self.rng.normal())
        row.uid = row.uid if self.ids else next(self.numbers)

    def shuffle(self) -> None:
        self.rows = [self.rows[i] for i in self.rng.permutation(len(self.rows))]

    def renumber(self) -> None:
        """Give ids anew, from the first row on: most of them were other rows' before."""
        self.given = {row.uid: f"row-{place}" for place, row in enumerate(self.rows)}

    def add_column(self) -> None:
        self.columns[f"extra{next(self.numbers)}"] = "float64"

    def remove_column(self) -> None:
        self.columns.pop(next(iter(self.columns), ""), None)

    def rename_column(self) -> None:
        if self.columns:
            name = next(iter(self.columns))
            self.columns[f"new{next(self.numbers)}"] = self.columns.pop(name)

    def change_type(self) -> None:
        for name, kind in list(self.columns.items())[:1]:
            self.columns[name] = {"int64": "string", "string": "int64", "float64": "int64"}[kind]

    def _table(self) -> pa.Table:
        """Return the rows as a source has them; a column says the same of a row whatever its type."""
        data = {"x": pa.array([row.value for row in self.rows], pa.float64())}
        for name, kind in self.columns.items():
            values = [row.more for row in self.rows]
            data[name] = pa.array(
                [f"t{v}" for v in values] if kind == "string" else values, pa.type_for_alias(kind)
            )
        return pa.table(data)

    def _columns(self) -> tuple[Column, ...]:
        categories = ("t0", "t1", "t2")
        return (
            Column(name="x", kind="number"),
            *(
                Column(name=name, kind="category", categories=categories)
                if kind == "string"
                else Column(name=name, kind="number")
                for name, kind in self.columns.items()
            ),
        )

    def sweep(self) -> tuple[set[int], dict[int, str]]:
        """Write what the steps before the queue leave, and return what it shows and what is open, by row."""
        folder = self.folder / f"run-{len(self.runs):03}"
        folder.mkdir()
        table, columns = self._table(), self._columns()
        hashes = encode_columns(table.combine_chunks().to_batches()[0], columns).hashes
        labels = [row.label for row in self.rows]
        made = [make_sample_id(*pair) for pair in zip(hashes, labels, strict=True)]
        own = [self.given.get(row.uid, f"row-{row.uid}") for row in self.rows]
        names = own if self.ids else made
        keys = pa.schema([pa.field("sample_id", pa.string(), nullable=False), pa.field("label", pa.string())])
        data = pa.Table.from_arrays([pa.array(names), pa.array(labels)], schema=keys)
        data = data.append_column(pa.field("content_hash", pa.string(), nullable=False), pa.array(hashes))
        for name in table.column_names:
            data = data.append_column(name, table[name])
        path = write_table(data, folder / "dataset.parquet")
        dataset = Dataset(
            path=path, name="pets", uri="pets.csv", rows=len(data), classes=CLASSES, payload="tabular",
            feature_names=tuple(table.column_names), feature_shape=(len(columns),), columns=columns, digest="",
        )  # fmt: skip
        write_json(
            {"record": {"dataset": dataset.model_dump(mode="json")}}, folder / "steps" / "validate.json"
        )
        flagged = self.rng.random(len(self.rows)) < 0.5
        scores = write_table(pa.table({"sample_id": names, "flagged": flagged}), folder / "scores.parquet")
        pairs = sorted(Ledger(self.decisions).list_settled())
        if pairs:
            settled = {"content_hash": [c for c, _ in pairs], "label": [y for _, y in pairs]}
            write_table(pa.table(settled), folder / DECIDED)
        record = Scores(
            path=scores, round=1, rows=len(data), flagged=int(flagged.sum()), residual=0, converged=True
        )
        found = choose_shown(record, dataset, folder, self.runs[-1] if self.runs else None, reask=self.reask)
        shown, still_open = found.shown, []
        if found.run is not None:
            open_rows = data.append_column("run", found.run).filter(pa.array(found.still_open))
            still_open = pq.read_table(write_table(open_rows, folder / OPEN)).to_pylist()
        write_table(data.filter(pa.array(shown)), folder / "queue.parquet")
        place = {name: row.uid for name, row in zip(names, self.rows, strict=True)}
        self.runs.append(folder)
        self._flagged = {row.uid for row, is_flagged in zip(self.rows, flagged, strict=True) if is_flagged}
        return (
            {row.uid for row, is_shown in zip(self.rows, shown, strict=True) if is_shown},
            {place[row["sample_id"]]: row["run"] for row in still_open},
        )

    def expected(self) -> tuple[set[int], dict[int, str]]:
        """Return what the queue should show, and what is open from which run."""
        now = {row.uid: (row.value, row.label) for row in self.rows}
        undecided = {uid for uid in self._flagged if self.answered(uid, *now[uid]) not in self.decided}
        still_open = {
            uid: self.asked[uid] for uid in undecided & self.asked.keys() if self.known.get(uid) == now[uid]
        }
        shown = undecided - still_open.keys()
        self.known = now
        self.asked = still_open | dict.fromkeys(shown, self.runs[-1].name)
        self.shown_in |= dict.fromkeys(shown, self.runs[-1])
        return shown, still_open

    def answered(self, uid: int, value: float, label: str) -> tuple[float, str | None]:
        """Return what an answer belongs to: the row that the user's id names, or the content; and the label."""
        who = uid if self.ids and self.reask != "content" else value
        return who, None if self.reask == "never" else label

    def decide(self, uids: Sequence[int]) -> None:
        """Decide on samples where they were shown, however long ago that was, and whatever their columns were then."""
        for uid in uids:
            folder = self.shown_in[uid]
            row = next(row for row in self.rows if row.uid == uid)
            shown = pq.read_table(folder / "queue.parquet").to_pylist()
            asked = next((one for one in shown if one["x"] == row.value and one["label"] == row.label), None)
            if asked is None:  # it was another row then: nobody is shown this one
                continue
            new = CLASSES[1 - CLASSES.index(row.label)]
            self.decisions.append(
                Decision(
                    seq=len(self.decisions) + 1, sample_id=asked["sample_id"], content_hash=asked["content_hash"],
                    given_label=row.label, decision="relabel", new_label=new, reviewer="Ada", run=folder.name,
                )
            )  # fmt: skip
            self.decided |= {self.answered(uid, row.value, label) for label in (row.label, new)}


EVENTS = (
    "add",
    "remove",
    "relabel",
    "change",
    "shuffle",
    "renumber",
    "add_column",
    "remove_column",
    "rename_column",
    "change_type",
)
# One thing happens in a night, or two, or nothing.
nights = st.lists(st.lists(st.sampled_from(EVENTS), max_size=2, unique=True), min_size=3, max_size=7)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(nights=nights, seed=st.integers(0, 2**16), ids=st.booleans(), reask=st.sampled_from(get_args(Reask)))
def test_queue_shows_what_is_new_changed_or_newly_flagged_and_nothing_that_was_decided(
    nights, seed, ids, reask
):
    with tempfile.TemporaryDirectory() as name:
        history = History(Path(name), ids, np.random.default_rng(seed), reask)
        for _ in range(4):
            history.add()
        for night, events in enumerate([[], *nights]):
            for event in events:
                # Of a row with another content and another id nobody knows that it was there.
                if event != "renumber" or "change" not in events:
                    getattr(history, event)()
            before = len(history.known)
            shown, still_open = history.sweep()
            assert (shown, still_open) == history.expected()
            assert shown | still_open.keys() <= history._flagged
            if night:
                rows = read_json(history.runs[-1] / "since.json")["rows"]
                assert rows["new"] + rows["changed"] + rows["same"] == len(history.rows)
                assert rows["changed"] + rows["same"] + rows["removed"] == before
            here = {row.uid for row in history.rows}
            history.decide(sorted(here & history.shown_in.keys())[night % 3 :: 5])


def test_rows_are_known_by_their_content_where_ids_come_and_go(tmp_path):
    history = History(tmp_path, ids=False, rng=np.random.default_rng(0))
    for _ in range(4):
        history.add()
    history.sweep()
    history.expected()
    for ids in (True, False):
        history.ids = ids
        assert history.sweep() == history.expected()
        rows = read_json(history.runs[-1] / "since.json")["rows"]
        assert rows == {"new": 0, "changed": 0, "same": 16, "removed": 0, "other_ids": 16}


def test_decisions_hold_again_for_edited_rows_once_the_label_alone_counts(tmp_path):
    history = History(tmp_path, ids=True, rng=np.random.default_rng(0))
    for _ in range(4):
        history.add()
    found = []
    for reask in ("content", "content", "label"):
        for row in history.rows:
            row.value += 10
        history.reask, history.rng = reask, np.random.default_rng(1)  # the same rows are flagged each night
        history.sweep()
        if len(history.runs) == 1:
            history.expected()
            history.decide(sorted(history.shown_in))
        else:
            since = read_json(history.runs[-1] / "since.json")
            found.append((since["decided"], since["asked_again"]["content"]))
    flagged = len(history.shown_in)
    assert found == [(0, flagged), (flagged, 0)]


def test_two_contents_that_become_one_keep_no_decision_of_either(tmp_path):
    history = History(tmp_path, ids=True, rng=np.random.default_rng(0))
    history.rows = [Row(0, 1.0, "cat", 0), Row(1, 1.0, "cat", 1), Row(2, 2.0, "dog")]
    history.sweep()
    history.remove_column()
    history.remove_column()
    history.sweep()
    followed = read_earlier_hashes(history.runs[-1])
    hashes = pq.read_table(history.runs[-1] / "dataset.parquet")["content_hash"].to_pylist()
    assert hashes[0] == hashes[1] != hashes[2]
    assert followed is None or hashes[0] not in followed["content_hash"].to_pylist()
