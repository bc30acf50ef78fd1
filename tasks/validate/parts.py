"""Reading a data set part by part, so that memory depends on the size of a part and never on the size of the data set."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.storage import open_parquet

# An expectation costs about 5 ms however few the rows are: 2**18 rows a part make that negligible.
ROWS_PER_PART = 2**18
# The columns of one part before compression; pandas and the expectations keep a few copies of one of them.
BYTES_PER_PART = 64 * 2**20


def parts(
    path: Path, columns: Sequence[str] | None = None, *, rows: int | None = None, size: int = BYTES_PER_PART
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield `(first row, batch)`, in order.

    Args:
        path: A Parquet file.
        columns: The columns to read, no others are touched; all of them unless given.
        rows: Rows of a part, at most; `ROWS_PER_PART` unless given.
        size: Bytes of a part before compression, about, if rows are alike.
    """
    with open_parquet(path) as file:
        metadata = file.metadata
        named = list(columns) if columns is not None else metadata.schema.to_arrow_schema().names
        total = sum(_bytes(metadata, group, set(named)) for group in range(metadata.num_row_groups))
        most = max(1, min(rows or ROWS_PER_PART, size * metadata.num_rows // max(total, 1)))
        start = 0
        # Reading row groups whole would be as fast, and needs up to forty times the memory where text has no dictionary.
        for batch in file.iter_batches(most, columns=named):
            # Asking Parquet for `a` also brings a column that is called `a.b`.
            yield start, batch.select(named)
            start += batch.num_rows


def cell(path: Path, column: str, row: int) -> Any:  # noqa: ANN401 (whatever the column holds)
    """Return one value of a Parquet file, reading one row group's column."""
    return cells(path, [column], [row])[0][column]


def cells(path: Path, columns: Sequence[str], rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return a few rows of a Parquet file, in the order asked for; each row group is read once at most."""
    wanted = sorted(set(rows))
    found: dict[int, dict[str, Any]] = {}
    with open_parquet(path) as file:
        start = 0
        for group in range(file.metadata.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = wanted[bisect_left(wanted, start) : bisect_left(wanted, end)]
            if inside:
                table = file.read_row_group(group, columns=list(columns)).take(
                    [row - start for row in inside]
                )
                found.update(zip(inside, table.to_pylist(), strict=True))
            start = end
    return [found[row] for row in rows]


def _bytes(metadata: pq.FileMetaData, group: int, columns: set[str]) -> int:
    """Return the bytes of some top-level columns in one row group, before compression."""
    described = metadata.row_group(group)
    chunks = (described.column(index) for index in range(described.num_columns))
    return sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if chunk.path_in_schema in columns or chunk.path_in_schema.split(".")[0] in columns
    )
