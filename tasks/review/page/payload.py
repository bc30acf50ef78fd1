"""What the reviewer looks at, by sample: image bytes or a row of columns, out of Parquet for direct access.

Parquet is read front to back; a page that jumps between samples, their neighbours and the samples they harm
needs single rows at once. So the wanted rows are copied to a temporary file when the review starts: the
queue's own first, the others by a thread in the background.
"""

import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.queue.rows import take_rows
from tasks.show.images import MAX_SIDE, encode_for_web
from tasks.storage import ROWS_PER_GROUP, read_batches

# Longest time that a request waits for a row the background thread has not reached yet.
_PATIENCE_S = 10.0
# Pictures in memory at once: photographs have some megabytes.
_PICTURES = 8


Size = Literal["tile", "page", "original"]

# Twice the CSS pixels of a tile, for screens of high density; the frame of the sample; more than any picture has.
SIDES: Final[dict[Size, int]] = {"tile": 256, "page": MAX_SIDE, "original": 2**16}
# An address names the run and the size, so what it shows never changes.
CACHING: Final = "private, max-age=31536000, immutable"


class PayloadStore:
    """Bytes by sample identifier; filled by one thread, read by many."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the store)
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0
        self._grown = threading.Condition()
        self._is_complete = False

    def __contains__(self, sample_id: str) -> bool:
        return sample_id in self._places

    def put(self, sample_id: str, value: bytes) -> None:
        """Keep `value`; the first one stays."""
        with self._grown:
            if sample_id not in self._places:
                os.pwrite(self._file.fileno(), value, self._end)
                self._places[sample_id] = (self._end, len(value))
                self._end += len(value)
                self._grown.notify_all()

    def get(self, sample_id: str) -> bytes | None:
        """Return a sample's bytes, waiting a while for the background thread to reach it; None for an unknown one."""
        with self._grown:
            self._grown.wait_for(lambda: sample_id in self or self._is_complete, _PATIENCE_S)
        place = self._places.get(sample_id)
        return None if place is None else os.pread(self._file.fileno(), place[1], place[0])

    def row(self, sample_id: str) -> dict[str, str]:
        """Return the columns of a sample as text, in order; {} for an unknown one."""
        value = self.get(sample_id)
        return {} if value is None else json.loads(value)

    def fill(self, source: Path, columns: Sequence[str], wanted: Iterable[str]) -> None:
        """Copy the wanted rows of a Parquet file: the columns as JSON, or the bytes of `image` alone.

        Args:
            source: The file, with `sample_id` and the columns.
            columns: What is kept of a row; nothing is copied without any.
        """
        left = {sample_id for sample_id in wanted if columns and sample_id not in self}
        for batch in _read_batches(source, columns, left):
            for row in batch:
                self.put(str(row.pop("sample_id")), _pack_row(row))

    def take(self, source: Path, columns: Sequence[str], rows: Mapping[str, int]) -> None:
        """Copy a few rows that are known by their numbers, where they are not here yet.

        Args:
            source: The file, with `sample_id` and the columns.
            columns: What is kept of a row; nothing is copied without any.
            rows: Number of the row of each sample id.
        """
        wanted = [row for sample_id, row in rows.items() if columns and sample_id not in self]
        if wanted:
            for row in take_rows(source, np.array(wanted), ["sample_id", *columns]).to_pylist():
                self.put(str(row.pop("sample_id")), _pack_row(row))

    def fill_later(self, source: Path, columns: Sequence[str], wanted: Iterable[str]) -> None:
        """Do the same in the background."""

        def work() -> None:
            try:
                self.fill(source, columns, wanted)
            finally:
                with self._grown:
                    self._is_complete = True
                    self._grown.notify_all()

        threading.Thread(target=work, name="payload", daemon=True).start()


class Pictures:
    """Pictures by sample and size, drawn from the originals when they are first asked for."""

    def __init__(self, originals: PayloadStore) -> None:
        self._originals = originals
        self._made = PayloadStore()

    def get(self, sample_id: str, size: Size) -> tuple[bytes, str] | None:
        """Return a picture and its media type; None where the sample has none that can be shown."""
        key = f"{size} {sample_id}"
        if key in self._made:
            kept = self._made.get(key) or b""
            return kept, "image/png" if kept.startswith(b"\x89PNG") else "image/jpeg"
        data = self._originals.get(sample_id)
        made = encode_for_web(data, SIDES[size]) if data else None
        if made is not None and size != "original":
            self._made.put(key, made[0])
        return made


def _read_batches(source: Path, columns: Sequence[str], wanted: set[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the wanted rows, a few pictures at a time: those that come first are there first."""
    if not wanted:
        return
    ids = pa.array(wanted, pa.string())
    rows = _PICTURES if list(columns) == ["image"] else ROWS_PER_GROUP
    for _, batch in read_batches(source, ["sample_id", *columns], rows):
        names = batch.column("sample_id").cast(pa.string())
        yield batch.filter(pc.is_in(names, value_set=ids)).to_pylist()


def _pack_row(row: Mapping[str, Any]) -> bytes:
    if list(row) == ["image"]:
        return row["image"] or b""
    return json.dumps({name: format_value(value) for name, value in row.items()}, ensure_ascii=False).encode()


def format_value(value: object) -> str:
    """Write a value as a person reads it.

    >>> format_value(0.30000001192092896), format_value(None), format_value(12.0), format_value(b"abc")
    ('0.3', '–', '12', '3 bytes')
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value)
