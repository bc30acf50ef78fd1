"""Some rows of a large Parquet file, read batch by batch: memory is that of the rows that are wanted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import Array
from tasks.storage import ROWS_PER_GROUP, open_parquet


def worst_first(scores: Path, shown: Array, most: int | None) -> Array:
    """Return the rows of the samples to show by score, ties by sample id; at most `most` of them.

    Args:
        scores: File with the columns `sample_id` and `score`.
        shown: (n,) bool, which samples may be shown.
        most: Length of the queue, None for all.
    """
    best, start = None, 0
    with open_parquet(scores) as file:
        for batch in file.iter_batches(ROWS_PER_GROUP, columns=["sample_id", "score"]):
            inside = np.flatnonzero(shown[start : start + len(batch)])
            some = pa.table(batch.take(pa.array(inside))).append_column("row", pa.array(inside + start))
            start += len(batch)
            best = some if best is None else pa.concat_tables([best, some])
            if most is not None and len(best) > 2 * most + ROWS_PER_GROUP:
                best = _sorted(best)[:most]
    rows: Array = np.empty(0, np.int64) if best is None else _sorted(best)["row"].to_numpy()[:most]
    return rows


def _sorted(table: pa.Table) -> pa.Table:
    keys = [("score", "ascending"), ("sample_id", "ascending")]
    return table.take(pc.sort_indices(table, sort_keys=keys))


def take_rows(path: Path, rows: Array, columns: Sequence[str] | None = None) -> pa.Table:
    """Return some rows of a file in the order asked for; a row may be asked for more than once.

    Args:
        path: A Parquet file.
        rows: (m,) rows.
        columns: The columns wanted, all of them if None.
    """
    wanted, place = np.unique(rows, return_inverse=True)
    parts: list[pa.Table] = []
    start = 0
    with open_parquet(path) as file:
        names = list(columns) if columns is not None else file.schema_arrow.names
        for batch in file.iter_batches(ROWS_PER_GROUP, columns=names):
            low, high = np.searchsorted(wanted, [start, start + len(batch)])
            if low < high or not parts:
                parts.append(pa.table(batch.take(pa.array(wanted[low:high] - start))))
            start += len(batch)
    return pa.concat_tables(parts).combine_chunks().take(pa.array(place.reshape(-1))).select(names)
