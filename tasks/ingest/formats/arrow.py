"""Read Arrow IPC: files, streams (as the datasets library saves them), and Feather, which is the same."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa

from tasks.ingest.reading import HEAD, explain_damage, wrong_format_error
from tasks.ingest.source import Part

SUFFIXES, GZIP, TYPED = (".arrow", ".feather"), False, True

_FILE = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_FEATHER_1 = b"FEA1"


@dataclass(frozen=True)
class ArrowReader:
    """One Arrow file or stream."""

    part: Part
    schema: pa.Schema
    stream: bool

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        with explain_damage(self.part, "Arrow"), ExitStack() as stack:
            for batch in _record_batches(self.part, stack, stream=self.stream):
                chosen = batch.select(list(columns))
                # Arrow trusts what it reads: broken offsets would reach beyond the memory of the batch.
                chosen.validate(full=True)
                for start in range(0, chosen.num_rows, rows):
                    yield chosen.slice(start, rows)

    def place(self, row: int) -> str:
        """Return how a person finds the row."""
        return f"row {row + 1}"


def open_part(part: Part, as_text: frozenset[str]) -> ArrowReader:  # noqa: ARG001 (Arrow has types of its own)
    """Open an Arrow or Feather file.

    Raises:
        InputError: It is neither, it is truncated, or it is of Feather's first version.
    """
    with explain_damage(part, "Arrow"), ExitStack() as stack:
        head = stack.enter_context(part.open()).read(HEAD)
        if head.startswith(_FEATHER_1):
            raise part.problem(
                "Feather version 1 is not read", fix="write it again with DataFrame.to_feather"
            )
        stream = head.startswith(_STREAM)
        if not stream and not head.startswith(_FILE):
            raise wrong_format_error(part, "Arrow", head)
        source = stack.enter_context(part.open())
        opened = pa.ipc.open_stream(source) if stream else pa.ipc.open_file(source)
        return ArrowReader(part, opened.schema, stream)


def _record_batches(part: Part, stack: ExitStack, *, stream: bool) -> Iterator[pa.RecordBatch]:
    source = stack.enter_context(pa.OSFile(part.path) if part.local else part.open())
    if stream:
        yield from pa.ipc.open_stream(source)
        return
    file = pa.ipc.open_file(source)
    for index in range(file.num_record_batches):
        yield file.get_batch(index)
