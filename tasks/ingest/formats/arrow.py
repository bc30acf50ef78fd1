"""Read Arrow IPC: files, streams (as the datasets library saves them), and Feather, which is the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from tasks.ingest.reading import HEAD, FileReader, explain_damage, make_format_error
from tasks.ingest.source import Part

SUFFIXES, GZIP, TYPED = (".arrow", ".feather"), False, True

_FILE = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_FEATHER_1 = b"FEA1"


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:  # noqa: ARG001 (Arrow has types of its own)
    """Open an Arrow or Feather file.

    Raises:
        InputError: It is neither, it is truncated, or it is of Feather's first version.
    """

    def scan(columns: list[str], _: int) -> Iterator[pa.RecordBatch]:
        with explain_damage(part, "Arrow"), _open(part) as file:
            stream = isinstance(file, pa.RecordBatchReader)
            for batch in file if stream else map(file.get_batch, range(file.num_record_batches)):
                chosen = batch.select(columns)
                # Arrow trusts what it reads: broken offsets would reach beyond the memory of the batch.
                chosen.validate(full=True)
                yield chosen

    with explain_damage(part, "Arrow"), _open(part) as file:
        return FileReader(part, file.schema, scan)


def is_stream(part: Part) -> bool:
    """Return whether a file is a stream, which has no list of its batches at the end.

    Raises:
        InputError: It is no Arrow file at all.
    """
    with part.open() as file:
        head = file.read(HEAD)
    if head.startswith(_FEATHER_1):
        raise part.problem("Feather version 1 is not read", fix="write it again with DataFrame.to_feather")
    if not head.startswith((_STREAM, _FILE)):
        raise make_format_error(part, "Arrow", head)
    return head.startswith(_STREAM)


@contextmanager
def _open(part: Part) -> Iterator[Any]:
    stream = is_stream(part)
    with pa.OSFile(part.path) if part.local else part.open() as source:
        yield pa.ipc.open_stream(source) if stream else pa.ipc.open_file(source)
