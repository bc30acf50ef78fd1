"""What a queue need not show: what was decided, and what an earlier queue shows already.

A row is *new* if its id was not there before, *changed* if its content or given label was another one, and *the same* otherwise.
Flagged rows that are new, changed or were not flagged before are shown. The others were shown by an earlier queue and are still
open: `open.parquet` lists them with the run that shows them, so that none is lost.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.arrays import Array
from tasks.queue.rows import take_rows
from tasks.records import Dataset, Scores
from tasks.storage import read_parquet, write_json, write_table

DECIDED = "decided.parquet"
OPEN = "open.parquet"
SINCE = "since.json"

NEW, CHANGED, SAME = 0, 1, 2
_KEYS = ["sample_id", "content_hash", "label"]


def to_show(scores: Scores, dataset: Dataset, folder: Path, previous: Path | None) -> Array:
    """Return which samples the queue shows, (n,) bool; write what is open from earlier runs, and the counts.

    Args:
        scores: The scores, in the order of the data set.
        dataset: The audited data.
        folder: The run folder; `decided.parquet` in it holds what people have decided.
        previous: Folder of the last finished run of the same data set, if there is one.
    """
    flagged = read_parquet(scores.path, columns=["flagged"])["flagged"].to_numpy()
    if previous is None and not (folder / DECIDED).exists():
        everything: Array = flagged
        return everything
    decided = _is_decided(dataset.path, flagged, folder / DECIDED)
    if previous is None:
        if decided.any():
            write_json({"previous": None, "decided": int(decided.sum())}, folder / SINCE)
        shown: Array = flagged & ~decided
        return shown
    rows = read_parquet(dataset.path, columns=_KEYS)
    compared = _compare(rows, previous)
    asked, run = _asked(rows, compared == SAME, previous)
    still_open = flagged & ~decided & asked
    kept = pa.array(np.flatnonzero(still_open))
    write_table(rows.take(kept).append_column("run", run.take(kept)), folder / OPEN)
    shown = flagged & ~decided & ~asked
    counts = {
        name: int((compared == code).sum())
        for name, code in (("new", NEW), ("changed", CHANGED), ("same", SAME))
    }
    before = pq.read_metadata(previous / "dataset.parquet").num_rows
    flagged_before = _flagged_before(rows, previous)
    write_json(
        {
            "previous": previous.name,
            "rows": {**counts, "removed": before - counts["changed"] - counts["same"]},
            "flagged": {"now": int(flagged.sum()), "newly": int((flagged & ~flagged_before).sum())},
            "no_longer_flagged": int((flagged_before & ~flagged).sum()),
            "shown": int(shown.sum()),
            "open": int(still_open.sum()),
            "decided": int(decided.sum()),
        },
        folder / SINCE,
    )
    return shown


def _compare(rows: pa.Table, previous: Path) -> Array:
    """Return for each row whether it is new, changed or the same, (n,) int8."""
    earlier = read_parquet(previous / "dataset.parquet", columns=_KEYS)
    place = pc.index_in(rows["sample_id"], value_set=earlier["sample_id"].combine_chunks())
    found = earlier.take(place.combine_chunks())
    same = pc.and_(
        pc.equal(rows["content_hash"], found["content_hash"]), pc.equal(rows["label"], found["label"])
    )
    kinds = np.where(pc.fill_null(same, fill_value=False).to_numpy(), SAME, CHANGED)
    code: Array = np.where(pc.is_null(place).to_numpy(), NEW, kinds).astype(np.int8)
    return code


def _is_decided(dataset: Path, flagged: Array, path: Path) -> Array:
    """Return which flagged rows have a decision on their content under their label, (n,) bool."""
    decided = np.zeros(len(flagged), dtype=bool)
    if not path.exists():
        return decided
    table = read_parquet(path)
    pairs = set(zip(table["content_hash"].to_pylist(), table["label"].to_pylist(), strict=True))
    index = np.flatnonzero(flagged)
    some = take_rows(dataset, index, ["content_hash", "label"])
    keys = zip(some["content_hash"].to_pylist(), some["label"].to_pylist(), strict=True)
    decided[index] = [key in pairs for key in keys]
    return decided


def _asked(rows: pa.Table, same: Array, previous: Path) -> tuple[Array, pa.ChunkedArray]:
    """Return which unchanged rows an earlier queue shows and nobody has answered, and the run that shows each."""
    queued = read_parquet(previous / "queue.parquet", columns=["sample_id"])["sample_id"]
    ids, runs = queued.chunks, [pa.array([previous.name] * len(queued), pa.string())]
    if (previous / OPEN).exists():
        # Joined by column: whether a column may hold nulls is part of a table's schema, and differs between the two files.
        still_open = read_parquet(previous / OPEN, columns=["sample_id", "run"])
        ids, runs = [*ids, *still_open["sample_id"].chunks], [*runs, *still_open["run"].chunks]
    place = pc.index_in(rows["sample_id"], value_set=pa.chunked_array(ids, pa.string()).combine_chunks())
    run = pa.chunked_array(runs, pa.string()).take(place.combine_chunks())
    return same & pc.is_valid(place).to_numpy(), run


def _flagged_before(rows: pa.Table, previous: Path) -> Array:
    scores = read_parquet(previous / "scores.parquet", columns=["sample_id", "flagged"])
    ids = scores.filter(scores["flagged"])["sample_id"].combine_chunks()
    flagged: Array = pc.is_in(rows["sample_id"], value_set=ids).to_numpy()
    return flagged
