"""Reading a data set part by part, so that memory depends on the size of a part and never on the size of the data set."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.storage import ROWS_PER_GROUP

# Great Expectations costs about 5 ms an expectation however few the rows are: 2**18 rows a part make that
# negligible.
ROWS_PER_PART = 2**18
# The decoded columns of one part; pandas and the expectations keep a few copies of the column that they look
# at.
BYTES_PER_PART = 64 * 2**20


def parts(
    path: Path, columns: Sequence[str], *, rows: int = ROWS_PER_PART, size: int = BYTES_PER_PART
) -> Iterator[tuple[int, pa.Table]]:
    """Yield `(first row, table)` for runs of whole row groups, in order.

    Args:
        path: A Parquet file.
        columns: The columns to read; no others are touched.
        rows: Rows of a part, at most, unless one row group has more.
        size: Decoded bytes of a part, at most, unless one row group has more.
    """
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
        wanted = set(columns)
        start, taken, group_rows, group_bytes = 0, list[int](), 0, 0
        for group in range(metadata.num_row_groups):
            rows_here, bytes_here = (
                metadata.row_group(group).num_rows,
                _decoded_bytes(metadata, group, wanted),
            )
            if taken and (group_rows + rows_here > rows or group_bytes + bytes_here > size):
                yield start, _read(file, taken, columns)
                start, taken, group_rows, group_bytes = start + group_rows, [], 0, 0
            taken.append(group)
            group_rows += rows_here
            group_bytes += bytes_here
        if taken:
            yield start, _read(file, taken, columns)


def slices(
    path: Path, columns: Sequence[str] | None = None, *, size: int = BYTES_PER_PART
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield `(first row, batch)` in order, each of at most `ROWS_PER_GROUP` rows and about `size` bytes.

    Unlike `parts` this also cuts a row group, as large images need it.
    """
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
        wanted = set(columns) if columns is not None else None
        total = sum(_decoded_bytes(metadata, group, wanted) for group in range(metadata.num_row_groups))
        rows = max(1, min(ROWS_PER_GROUP, size * metadata.num_rows // max(total, 1)))
        start = 0
        for batch in file.iter_batches(rows, columns=list(columns) if columns is not None else None):
            yield start, batch if columns is None else batch.select(list(columns))
            start += batch.num_rows


def cell(path: Path, column: str, row: int) -> Any:  # noqa: ANN401 (whatever the column holds)
    """Return one value of a Parquet file, reading one row group's column."""
    return cells(path, [column], [row])[0][column]


def cells(path: Path, columns: Sequence[str], rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return a few rows of a Parquet file, in the order asked for; each row group is read once at most."""
    found: dict[int, dict[str, Any]] = {}
    with pq.ParquetFile(path) as file:
        start = 0
        for group in range(file.metadata.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = sorted({row for row in rows if start <= row < end})
            if inside:
                table = _read(file, [group], columns).take([row - start for row in inside])
                found.update(zip(inside, table.to_pylist(), strict=True))
            start = end
    return [found[row] for row in rows]


def _read(file: pq.ParquetFile, groups: list[int], columns: Sequence[str]) -> pa.Table:
    """Read some columns; asking Parquet for `a` also brings a column that is called `a.b`."""
    return file.read_row_groups(groups, columns=list(columns)).select(list(columns))


def _decoded_bytes(metadata: pq.FileMetaData, group: int, columns: set[str] | None) -> int:
    """Return the uncompressed bytes of some top-level columns in one row group."""
    described = metadata.row_group(group)
    chunks = (described.column(index) for index in range(described.num_columns))
    return sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if columns is None or chunk.path_in_schema in columns or chunk.path_in_schema.split(".")[0] in columns
    )
