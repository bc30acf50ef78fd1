"""Read Parquet, some rows of some columns at a time."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.ingest.reading import HEAD, FileReader, explain_damage, make_format_error
from tasks.ingest.source import Part

SUFFIXES, GZIP, TYPED = (".parquet", ".pq"), False, True

_MAGIC = b"PAR1"
# A mebibyte at a time instead of a whole column chunk: files with one huge row group stay within memory.
_BUFFER = 2**20
# One decoded batch, whatever the size of an image in it.
_BATCH_BYTES = 64 * 2**20


def open_part(part: Part, as_text: frozenset[str] = frozenset()) -> FileReader:  # noqa: ARG001 (Parquet has types of its own)
    """Open a Parquet file.

    Raises:
        InputError: It is not Parquet, or its end is missing.
    """

    def scan(columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        with explain_damage(part, "Parquet"), _open(part) as file:
            for batch in file.iter_batches(batch_size=_choose_batch_rows(file, rows), columns=columns):
                batch.validate(full=True)  # text that is not UTF-8, above all
                yield batch

    with explain_damage(part, "Parquet"):
        _check_ends(part)
        with _open(part) as file:
            return FileReader(part, file.schema_arrow, scan)


def _open(part: Part) -> pq.ParquetFile:
    source = part.path if part.local else part.open()
    return pq.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False)


def _check_ends(part: Part) -> None:
    """Tell a file that is something else from one whose end is missing: the footer is written last."""
    with part.open() as file:
        head = file.read(HEAD)
        file.seek(-min(4, part.size or 4), 2)
        tail = file.read(4)
    if not head.startswith(_MAGIC):
        raise make_format_error(part, "Parquet", head)
    if tail != _MAGIC:
        raise part.problem("truncated Parquet file: its end is missing")


def _choose_batch_rows(file: pq.ParquetFile, rows: int) -> int:
    meta = file.metadata
    total = sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))
    widest = total / max(1, meta.num_rows)
    return max(1, min(rows, int(_BATCH_BYTES / max(1.0, widest))))
