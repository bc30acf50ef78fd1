"""Some rows of a large Parquet file, read batch by batch: memory is that of the rows that are wanted."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import Array
from tasks.storage import ROWS_PER_GROUP, open_parquet, read_batches

# Places in an array of texts or images are numbers of 32 bits: a queue of large pictures holds more bytes than that.
MOST_BYTES = 2**31 - 1
_WIDE = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}


def order_worst_first(scores: Path, shown: Array, most: int | None) -> Array:
    """Return the rows of the samples to show by score, ties by sample id; at most `most` of them.

    Args:
        scores: File with the columns `sample_id` and `score`.
        shown: (n,) bool, which samples may be shown.
        most: Length of the queue, None for all.
    """
    best = None
    for here, batch in read_batches(scores, ["sample_id", "score"]):
        inside = np.flatnonzero(shown[here])
        some = pa.table(batch.take(pa.array(inside))).append_column("row", pa.array(inside + here.start))
        best = some if best is None else pa.concat_tables([best, some])
        if most is not None and len(best) > 2 * most + ROWS_PER_GROUP:
            best = _sort(best)[:most]
    return np.empty(0, np.int64) if best is None else _sort(best)["row"].to_numpy()[:most]


def _sort(table: pa.Table) -> pa.Table:
    keys = [("score", "ascending"), ("sample_id", "ascending")]
    return table.take(pc.sort_indices(table, sort_keys=keys))


def take_rows(path: Path, rows: Array, columns: Sequence[str] | None = None) -> pa.Table:
    """Return some rows of a file in the order asked for; a row may be asked for more than once.

    Args:
        rows: (m,) rows.
        columns: The columns wanted, all of them if None.

    Returns:
        The rows; in several chunks where their images or texts are more than one array of Arrow holds.
    """
    wanted, place = np.unique(rows, return_inverse=True)
    parts: list[pa.Table] = []
    for here, batch in read_batches(path, columns):
        low, high = np.searchsorted(wanted, [here.start, here.stop])
        if low < high or not parts:
            parts.append(pa.table(batch.take(pa.array(wanted[low:high] - here.start))))
    found = pa.concat_tables(parts)
    return _order_rows(found.select(columns or found.column_names), place.reshape(-1))


def find_rows(path: Path, column: str, values: Iterable[object], columns: Sequence[str]) -> pa.Table:
    """Return the rows of a file whose column has one of some values, in the order of the file.

    Args:
        columns: What is read of each row; the column is one of them.
    """
    found = set(values)
    wanted = pa.array(found) if found else pa.array([], pa.string())
    with open_parquet(path) as file:
        parts = [
            batch.filter(pc.is_in(batch.column(column).cast(wanted.type), value_set=wanted))
            for batch in file.iter_batches(ROWS_PER_GROUP, columns=list(columns))
        ]
        table = pa.Table.from_batches(parts) if parts else file.read(list(columns))
    return table.select(list(columns))


def _order_rows(table: pa.Table, place: Array) -> pa.Table:
    """Return the rows of a table at some places, (m,)."""
    if table.nbytes <= MOST_BYTES:
        return table.combine_chunks().take(pa.array(place))
    bytes_of = sum(
        pc.fill_null(pc.binary_length(table[field.name]), 0).to_numpy().astype(np.int64)
        for field in table.schema
        if field.type in _WIDE
    )
    wide = pa.schema([field.with_type(_WIDE.get(field.type, field.type)) for field in table.schema])
    together = table.cast(wide).combine_chunks()
    # Half of what an array holds: the last row of a piece may be a large one.
    piece = np.cumsum(bytes_of[place]) // max(1, MOST_BYTES // 2)
    pieces = np.split(place, np.flatnonzero(np.diff(piece)) + 1)
    return pa.concat_tables([together.take(pa.array(some)).cast(table.schema) for some in pieces])
