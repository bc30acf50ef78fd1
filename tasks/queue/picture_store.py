"""The pictures of the queue on disk until they are written: in the order of the queue they are all over the data set.

The data set is read once, front to back. What the queue wants of it goes to a temporary file, from which single cells are read.
Memory is that of a few pictures, not of the queue.
"""

import os
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.arrays import Array
from tasks.storage import open_table_writer, read_row_groups, write_table

# Bytes of pictures that one row group of the queue holds: who reads or writes it has one in memory, several times while
# it is compressed. A data set is kept in groups of the same size.
GROUP_BYTES = 2**24


class PictureStore:
    """Cells of one binary column, by place in the queue.

    Args:
        path: The data set.
        column: The column.
        rows: (m,) rows of the data set, in the order of the queue.
    """

    def __init__(self, path: Path, column: str, rows: Array) -> None:
        self.column = column
        self._file = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 (lives as long as the shelf)
        wanted, self._place = np.unique(rows, return_inverse=True)
        self._ends = np.zeros(len(wanted) + 1, np.int64)
        found = 0
        for start, group in read_row_groups(path, [column]):
            low, high = np.searchsorted(wanted, [start, start + len(group)])
            for row in wanted[low:high]:
                size = self._file.write(group.column(0)[row - start].as_py())
                self._ends[found + 1] = self._ends[found] + size
                found += 1
        self._file.flush()

    def __len__(self) -> int:
        return len(self._place)

    def __getitem__(self, number: int) -> bytes:
        place = self._place[number]
        start, end = self._ends[place], self._ends[place + 1]
        return os.pread(self._file.fileno(), int(end - start), int(start))

    def groups(self, start: int, stop: int) -> Iterator[slice]:
        """Yield a stretch of the queue in parts whose pictures fit into a row group."""
        sizes = np.cumsum(np.diff(self._ends)[self._place[start:stop]])
        starts = start + np.flatnonzero(np.diff(sizes // GROUP_BYTES, prepend=-1))
        for first, last in pairwise([*starts.tolist(), stop]):
            yield slice(first, last)


def write_queue(table: pa.Table, final: Path, pictures: PictureStore | None, first: int = 0) -> Path:
    """Write rows of the queue as Parquet, behind `content_hash` their pictures, a few of them in memory at a time.

    Args:
        pictures: Those of the queue; None where samples are none.
        first: Place in the queue of the first row.
    """
    if pictures is None:
        return write_table(table, final)
    place, field = table.schema.get_field_index("content_hash") + 1, pa.field(pictures.column, pa.binary())
    with open_table_writer(final, table.schema.insert(place, field)) as writer:
        for rows in pictures.groups(first, first + len(table)):
            cells = pa.array([pictures[number] for number in range(rows.start, rows.stop)], pa.binary())
            part = table.slice(rows.start - first, rows.stop - rows.start)
            writer.write_table(part.add_column(place, field, cells))
    return final
