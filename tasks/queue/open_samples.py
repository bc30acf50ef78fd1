"""What a queue need not show: what was decided, and what an earlier queue shows already.

A row is *new* if its id was not there before, *changed* if its content or given label was another one, and *the same* otherwise.
A column more or less changes no row: then the columns that both runs have tell the content (`tasks.queue.earlier_hashes`).
Flagged rows that are new, changed or were not flagged before are shown, and where few are flagged the most doubtful others. The
rest were shown by an earlier queue and are still open: `open.parquet` lists them with the run that showed them first and the
evidence of this one, so that none is lost.

What people have decided is asked again where the label or the content changed (`--reask content`, the default), only where the
label changed (`label`), or not at all (`never`). The last two follow a row by the user's id; without ids the content is the row.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.arrays import Array
from tasks.flag.verified import read_verified
from tasks.queue import earlier_hashes
from tasks.queue.rows import order_worst_first, take_rows
from tasks.records import Dataset, Reask, Scores
from tasks.storage import read_parquet, write_json

DECIDED = "decided.parquet"
OPEN = "open.parquet"
SINCE = "since.json"

NEW, CHANGED, SAME = 0, 1, 2
# What the queue says of a row: whether a person has been asked before.
SEEN = ("new", "changed", "still open")


@dataclass(frozen=True)
class ShownSamples:
    """What becomes of each of n samples in the queue.

    Attributes:
        shown: (n,) bool, in the queue of this run.
        still_open: (n,) bool, shown by an earlier queue, and not decided.
        seen: (n,) place in `SEEN`.
        run: (n,) the run that showed what is still open first; None where nothing is.
    """

    shown: Array
    still_open: Array
    seen: Array
    run: pa.ChunkedArray | None = None


@dataclass(frozen=True)
class WantedSamples:
    """What a queue would show to people who have decided nothing.

    Attributes:
        flagged: (n,) bool.
        least: Samples that are shown at least, where fewer are flagged.
    """

    flagged: Array
    doubtful: Array
    least: int

    @property
    def asked(self) -> Array:
        """(n,) bool, of which samples it matters whether people have decided."""
        asked = self.flagged.copy()
        asked[self.doubtful] = True
        return asked

    def drop_answered(self, decided: Array) -> Array:
        """Return what is left to look at, (n,) bool."""
        left: Array = self.flagged & ~decided
        doubtful = self.doubtful[~decided[self.doubtful]]
        left[doubtful[: max(0, self.least - int(left.sum()))]] = True
        return left


def choose_shown(
    scores: Scores,
    dataset: Dataset,
    folder: Path,
    previous: Path | None,
    least: int = 0,
    *,
    anew: bool = False,
    reask: Reask = "content",
) -> ShownSamples:
    """Return which samples the queue shows, and which are open from earlier runs; write the counts.

    Args:
        scores: The scores, in the order of the data set.
        folder: The run folder; `decided.parquet` in it holds what people have decided.
        previous: Folder of the last finished run of the same data set, if there is one.
        least: Samples that are open at least: where fewer flagged ones are, the most doubtful others are shown too.
        anew: Whether all that is flagged and not decided is shown, as if there were no run before.
        reask: What has to change of a row that people have decided on for it to be shown again.
    """
    flagged: Array = read_parquet(scores.path, columns=["flagged"])["flagged"].to_numpy()
    wanted = WantedSamples(flagged, _pick_doubtful(scores, dataset, flagged, folder, least), least)
    if previous is None:
        decided = _is_decided(dataset.path, wanted.asked, folder / DECIDED, None, reask)
        return _show_all(wanted, np.full(len(flagged), NEW, np.int8), decided, folder)
    rows = read_parquet(dataset.path, columns=earlier_hashes.KEYS)
    last = read_parquet(previous / "dataset.parquet", columns=earlier_hashes.KEYS)
    shared = earlier_hashes.number_shared_values(dataset.path, dataset.columns, previous)
    matched = earlier_hashes.match_rows(rows, last, shared)
    known, earlier = _read_known_hashes(previous, folder), earlier_hashes.read_earlier_hashes(previous)
    former = earlier_hashes.list_earlier_hashes(matched, reask, rows, known, earlier)
    earlier_hashes.write_earlier_hashes(former, folder)
    decided = _is_decided(dataset.path, wanted.asked, folder / DECIDED, former, reask)
    compared = compare_rows(matched)
    asked, run = _find_asked(matched, compared == SAME, previous)
    seen = np.where(asked, SAME, np.where(compared == CHANGED, CHANGED, NEW)).astype(np.int8)
    if anew:
        return _show_all(wanted, seen, decided, folder)
    undecided = wanted.drop_answered(decided)
    still_open, shown = undecided & asked, undecided & ~asked
    formers = earlier_hashes.list_formers(earlier)
    flagged_before = _read_flagged_before(matched, previous)
    write_json(
        {
            "previous": previous.name,
            "rows": _count_rows(compared, last.num_rows, matched.renamed),
            "flagged": {"now": int(flagged.sum()), "newly": int((flagged & ~flagged_before).sum())},
            "no_longer_flagged": int((flagged_before & ~flagged).sum()),
            "shown": int(shown.sum()),
            "open": int(still_open.sum()),
            "open_flagged": int((flagged & still_open).sum()),
            "decided": int((flagged & decided).sum()),
            "asked_again": _count_asked_again(matched, shown, _read_pairs(folder / DECIDED), formers),
        },
        folder / SINCE,
    )
    return ShownSamples(shown, still_open, seen, run)


def _count_rows(compared: Array, before: int, renamed: int) -> dict[str, int]:
    """Return how many rows are what, of `before` rows of the last run."""
    new, changed, same = np.bincount(compared, minlength=3).tolist()
    removed = before - changed - same
    return {"new": new, "changed": changed, "same": same, "removed": removed, "other_ids": renamed}


def _show_all(wanted: WantedSamples, seen: Array, decided: Array, folder: Path) -> ShownSamples:
    """Return what a queue shows that looks at no queue before it: all but what was decided; write how much that was."""
    if (count := int((wanted.flagged & decided).sum())) > 0:
        write_json({"previous": None, "decided": count}, folder / SINCE)
    shown = wanted.drop_answered(decided)
    return ShownSamples(shown, np.zeros_like(shown), seen)


def _pick_doubtful(scores: Scores, dataset: Dataset, flagged: Array, folder: Path, least: int) -> Array:
    """Return enough of the most doubtful samples that are not flagged, worst first, whatever of them people have decided.

    Those with a verified label are left out.
    """
    if not least:
        return np.empty(0, np.int64)
    known = pq.read_metadata(folder / DECIDED).num_rows if (folder / DECIDED).exists() else 0
    verified = read_verified(dataset)
    others = ~flagged if verified is None else ~flagged & ~verified
    return order_worst_first(scores.path, others, least + known)


def compare_rows(matched: earlier_hashes.MatchedRows) -> Array:
    """Return for each row whether it is new, changed or the same, (n,) int8."""
    kinds = np.where(matched.same_content & matched.same_label, SAME, CHANGED)
    return np.where(matched.place < 0, NEW, kinds).astype(np.int8)


def _read_known_hashes(previous: Path, folder: Path) -> set[str]:
    """Return the contents that the last queue or one before it shows, or that people have decided on."""
    known: set[str] = set()
    for path in (previous / "queue.parquet", previous / OPEN, folder / DECIDED):
        if path.exists():
            known.update(read_parquet(path, columns=["content_hash"])["content_hash"].to_pylist())
    return known


def _is_decided(dataset: Path, flagged: Array, path: Path, former: pa.Table | None, reask: Reask) -> Array:
    """Return which flagged rows have a decision on their content, or on what it was before, under their label, (n,) bool.

    Where nothing is asked again, the label that was decided on need not be the present one.
    """
    decided = np.zeros(len(flagged), dtype=bool)
    pairs = _read_pairs(path)
    contents = {content for content, _ in pairs} if reask == "never" else set()
    before = earlier_hashes.list_formers(former)
    index = np.flatnonzero(flagged)
    some = take_rows(dataset, index, ["content_hash", "label"])
    keys = zip(some["content_hash"].to_pylist(), some["label"].to_pylist(), strict=True)
    decided[index] = [
        any((one, label) in pairs or one in contents for one in (content, *before.get(content, ())))
        for content, label in keys
    ]
    return decided


def _read_pairs(path: Path) -> set[tuple[str, str]]:
    """Return contents and labels that people have decided on."""
    if not path.exists():
        return set()
    table = read_parquet(path)
    return set(zip(table["content_hash"].to_pylist(), table["label"].to_pylist(), strict=True))


def _find_asked(
    matched: earlier_hashes.MatchedRows, same: Array, previous: Path
) -> tuple[Array, pa.ChunkedArray]:
    """Return which unchanged rows an earlier queue shows and nobody has answered, and the run that shows each."""
    queued = read_parquet(previous / "queue.parquet", columns=["sample_id"])["sample_id"]
    ids, runs = queued.chunks, [pa.array([previous.name] * len(queued), pa.string())]
    if (previous / OPEN).exists():
        # Joined by column: whether a column may hold nulls is part of a table's schema, and differs between the two files.
        still_open = read_parquet(previous / OPEN, columns=["sample_id", "run"])
        ids, runs = [*ids, *still_open["sample_id"].chunks], [*runs, *still_open["run"].chunks]
    known = pa.chunked_array(ids, pa.string()).combine_chunks()
    # Null where it is missing or not known.
    place = pc.index_in(matched.before_id, value_set=known, skip_nulls=True)
    run = pa.chunked_array(runs, pa.string()).take(place)
    return same & pc.is_valid(place).to_numpy(), run


def _count_asked_again(
    matched: earlier_hashes.MatchedRows,
    asked: Array,
    pairs: Collection[tuple[str, str]],
    formers: Mapping[str, Collection[str]],
) -> dict[str, int]:
    """Count the samples that people are asked about once more although somebody has decided on them, by what changed since.

    Args:
        asked: (n,) bool, whom the queue or an earlier one asks about.
        pairs: Content hashes and labels that people have decided on.
        formers: Hashes that the contents of the last run had before, by hash.
    """
    index = np.flatnonzero(asked & (matched.place >= 0))
    some = pa.array(index)
    columns = (matched.before_hash.take(some).to_pylist(), matched.before_label.take(some).to_pylist())
    found = (
        any((one, label) in pairs for one in (content, *formers.get(content, ())))
        for content, label in zip(*columns, strict=True)
    )
    was_decided = np.array(list(found), bool)
    content = was_decided & ~matched.same_content[index]
    label = was_decided & ~content & ~matched.same_label[index]
    return {"content": int(content.sum()), "label": int(label.sum())}


def _read_flagged_before(matched: earlier_hashes.MatchedRows, previous: Path) -> Array:
    scores = read_parquet(previous / "scores.parquet", columns=["sample_id", "flagged"])
    ids = scores.filter(scores["flagged"])["sample_id"].combine_chunks()
    return pc.is_in(matched.before_id, value_set=ids).to_numpy()
