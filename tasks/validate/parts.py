"""Reading a data set part by part: memory depends on the size of a part, never on the size of the data set."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.storage import ROWS_PER_GROUP, open_parquet

# An expectation costs about 5 ms however few the rows are: 2**18 rows a part make that negligible.
ROWS_PER_PART = 2**18
# The columns of one part before compression; pandas and the expectations keep a few copies of one of them.
BYTES_PER_PART = 64 * 2**20
# What is read to be written again; about eight copies of it are alive while it is filtered and compressed.
_COPIED_BYTES = 8 * 2**20


def read_parts(
    path: Path, columns: Sequence[str] | None = None, *, rows: int | None = None, size: int = BYTES_PER_PART
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield `(first row, batch)`, in order.

    Args:
        columns: The columns to read, no others are touched; all of them unless given.
        rows: Rows of a part, at most; `ROWS_PER_PART` unless given.
        size: Bytes of a part before compression, about, if rows are alike.
    """
    with open_parquet(path) as file:
        named = list(columns) if columns is not None else file.schema_arrow.names
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        chunks = (group.column(index) for group in groups for index in range(group.num_columns))
        total = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if not {chunk.path_in_schema, chunk.path_in_schema.split(".")[0]}.isdisjoint(named)
        )
        most = max(1, min(rows or ROWS_PER_PART, size * file.metadata.num_rows // max(total, 1)))
        start = 0
        # Reading row groups whole would be as fast, and needs up to forty times the memory where text has no dictionary.
        for batch in file.iter_batches(most, columns=named):
            # Asking Parquet for `a` also brings a column that is called `a.b`.
            yield start, batch.select(named)
            start += batch.num_rows


def read_numbered_rows(
    path: Path, columns: Sequence[str], rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
    """Yield some rows of a data set, in order, part by part: their numbers and their columns."""
    for start, batch in (
        read_parts(path, columns, rows=ROWS_PER_GROUP, size=_COPIED_BYTES) if len(rows) else ()
    ):
        low, high = np.searchsorted(rows, [start, start + batch.num_rows])
        if low < high:
            yield rows[low:high], pa.Table.from_batches([batch]).take(rows[low:high] - start)


def find_source_row(path: Path, row: int) -> int:
    """Return the row of the source, counted from 0, that a row of the data set came from."""
    ((_, table),) = read_numbered_rows(path, ["source_row"], np.array([row]))
    return int(table["source_row"][0].as_py())
