"""What a review is about: the queue of one run, with planted controls among it, in order."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.queue.open_samples import OPEN
from tasks.queue.rows import find_rows
from tasks.records import Dataset
from tasks.review.ledger import Key
from tasks.review.reviewer_checks import plant_controls
from tasks.runs.checksums import check_run
from tasks.runs.finished import read_dataset
from tasks.storage import read_parquet

Row = dict[str, Any]
Content = Literal["image", "text", "table"]

# A single text column whose longest entry passes this is read as prose, not as a cell of a table: a terminal
# line's width.
_PROSE = 80
_COLUMNS = (
    *("rank", "sample_id", "content_hash", "given_label", "suggested_label", "given_probability"),
    *("suggested_probability", "score", "influence", "relabel_gain", "flagged", "reason", "evidence", "seen"),
)
_SHOWN = ("queue.parquet", OPEN, "steps/ingest.json", "steps/validate.json", "validation/conflicts.parquet")


@dataclass(frozen=True, slots=True)
class Item:
    """One sample as the reviewer meets it.

    `position` is its place among the rows and controls; `borrows` names the row whose figures it shows, mostly
    itself. `seen` is new, changed, or still open; empty where the run does not say.
    """

    position: int
    rank: int
    sample_id: str
    key: Key
    suggested: str
    given_probability: float
    suggested_probability: float
    score: float
    influence: float
    gain: float
    reason: str
    evidence: Mapping[str, Any] = field(hash=False)
    borrows: str
    seen: str = ""

    @property
    def given(self) -> str:
        """The given label (of a planted error: the planted one)."""
        return self.key.given_label

    @property
    def is_control(self) -> bool:
        """Whether the answer is known and only tells how reliable the reviewer is."""
        return bool(self.key.control)

    @property
    def check(self) -> str:
        """A short mark of what is shown, so that an answer cannot reach a sample that was not seen."""
        return hashlib.sha256("\0".join((self.sample_id, *self.key)).encode()).hexdigest()[:12]

    @property
    def evidence_hash(self) -> str:
        """SHA-256 of everything that was shown beside the sample."""
        figures = self.given_probability, self.suggested_probability
        shown = [self.suggested, *figures, self.reason, self.evidence]
        return hashlib.sha256(json.dumps(shown, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class ReviewQueue:
    """The items of one run in order, and what is needed to show them.

    Attributes:
        prose: The column that is read as running text, empty if there is no such column.
        columns: The other columns that a reviewer sees.
    """

    run: Path
    dataset: Dataset
    items: tuple[Item, ...]
    content: Content
    prose: str
    columns: tuple[str, ...]
    conflicts: Mapping[str, Mapping[str, int]]
    copies: Mapping[Key, int]

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the data set."""
        return self.dataset.offered


def load_queue(run: Path, *, control_share: float = 0.0, with_open: bool = False) -> ReviewQueue:
    """Read the queue of a run and plant controls in it.

    Args:
        control_share: Share of controls, as a part of the queue; the choice is seeded by the run's name, so
            it is the same after a restart.
        with_open: Whether what earlier queues showed and nobody has decided on comes after it.

    Raises:
        InputError: A file that is shown is not what the run wrote.
    """
    check_run(run, *_SHOWN)
    dataset = read_dataset(run)
    held = pq.read_schema(run / "queue.parquet").names
    columns = tuple(name for name in dataset.display_columns if name in held)
    queue = _read_queue_rows(run / "queue.parquet") + (_read_queue_rows(run / OPEN) if with_open else [])
    items = _place_controls(queue, plant_controls(run, queue, control_share) if control_share > 0 else {})
    prose = _find_text_column(run, dataset, columns)
    content: Content = "image" if dataset.payload == "image" else "text" if prose else "table"
    rest = tuple(name for name in columns if name != prose)
    conflicts, copies = _count_conflicts(run), _count_copies(run, items)
    return ReviewQueue(run, dataset, items, content, prose, rest, conflicts, copies)


def _read_queue_rows(path: Path) -> list[Row]:
    """Return the rows of a queue, worst first; none where there is no such file."""
    return read_parquet(path, columns=_COLUMNS).to_pylist() if path.exists() else []


def _place_controls(queue: Sequence[Row], planted: Mapping[int, Sequence[Row]]) -> tuple[Item, ...]:
    """Put each control after the row whose numbers it borrows, so that only its content tells it apart."""
    rows: list[Row] = []
    for number, row in enumerate(queue):
        rows += [
            row,
            *({**row, "borrows": row["sample_id"], **control} for control in planted.get(number, ())),
        ]
    return tuple(make_item(place, row, json.loads(row["evidence"] or "{}")) for place, row in enumerate(rows))


def make_item(position: int, row: Row, evidence: Mapping[str, Any]) -> Item:
    """Return the item of a row: of the queue, or of the scores with rank, content hash and reason."""
    return Item(
        position=position,
        rank=int(row["rank"]),
        sample_id=str(row["sample_id"]),
        key=Key(str(row["content_hash"]), str(row["given_label"]), str(row.get("control", ""))),
        suggested=str(row["suggested_label"]),
        given_probability=float(row["given_probability"]),
        suggested_probability=float(row["suggested_probability"]),
        score=float(row["score"]),
        influence=float(row["influence"]),
        gain=float(row["relabel_gain"]),
        reason=str(row["reason"] or ""),
        evidence=evidence,
        borrows=str(row.get("borrows", row["sample_id"])),
        seen=str(row.get("seen") or ""),
    )


def _find_text_column(run: Path, dataset: Dataset, columns: tuple[str, ...]) -> str:
    """Return the column of running text: the text that was audited, or the one column there is, if it is long."""
    if dataset.payload == "text":
        return "text"
    if dataset.payload == "image" or len(columns) != 1:
        return ""
    column = read_parquet(run / "queue.parquet", columns=list(columns)).column(0)
    is_text = str(column.type).endswith("string") and len(column) > 0
    return columns[0] if is_text and (pc.max(pc.utf8_length(column)).as_py() or 0) > _PROSE else ""


def _count_conflicts(run: Path) -> Mapping[str, Mapping[str, int]]:
    """Return how often each label occurs with the same content, where it occurs with more than one."""
    path = run / "validation" / "conflicts.parquet"
    found: dict[str, Counter[str]] = defaultdict(Counter)
    if path.exists():
        for row in read_parquet(path, columns=["content_hash", "label"]).to_pylist():
            found[row["content_hash"]][row["label"]] += 1
    return found


def _count_copies(run: Path, items: Sequence[Item]) -> dict[Key, int]:
    """Return how many samples of the data set each item speaks of, where it is more than one."""
    wanted = [item.key.content_hash for item in items]
    rows = find_rows(run / "dataset.parquet", "content_hash", wanted, ["content_hash", "label"])
    counts = Counter(Key(row["content_hash"], str(row["label"])) for row in rows.to_pylist())
    return {key: count for key, count in counts.items() if count > 1}
