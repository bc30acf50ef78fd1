"""Files of a run: atomic publication, digests, the manifest.

A file appears under its final name only when it is complete: it is written beside, synchronised to disk, then renamed.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError

# 16,384 rows x 1,024 float32 features are 64 MiB: one row group stays small against any budget, and few
# enough are needed that the Parquet footer of 10 million rows stays under a megabyte.
ROWS_PER_GROUP = 16_384

# Bytes of a column that are read at once; the column itself where it is shorter.
_READ_AT_ONCE = 1 << 20

_ABOUT = "about"


@contextmanager
def open_atomically(final: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `final` when the block succeeds, remove it when it does not.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with open_atomically(folder / "a.txt") as path:
    ...     _ = path.write_text("whole")
    >>> [p.name for p in folder.iterdir()]
    ['a.txt']
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(8)}.partial")
    # As open to others as the user's umask makes any new file.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
        descriptor = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the name in its folder is data too
        finally:
            os.close(descriptor)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def explain_write_errors(place: Path, fix: str) -> Iterator[None]:
    """Turn what only the user can put right about a place to write into InputError.

    Args:
        place: The file or folder that is written.

    Raises:
        InputError: It may not be written, or a file is in the way of a folder, or a folder in that of a file.

    >>> with explain_write_errors(Path("a.txt"), "choose another file"):
    ...     raise PermissionError(13, "Permission denied")
    Traceback (most recent call last):
    tasks.errors.InputError: a.txt: cannot write there (Permission denied); choose another file
    """
    try:
        yield
    except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"cannot write there ({error.strerror})", where=str(place), fix=fix) from error


def write_table(table: pa.Table, final: Path) -> Path:
    """Write `table` as Parquet in row groups, atomically."""
    with open_atomically(final) as path:
        pq.write_table(table, path, row_group_size=ROWS_PER_GROUP, compression="zstd")
    return final


class SerialParquet(pq.ParquetFile):  # type: ignore[misc]  # pyarrow is untyped
    """A Parquet file that is read by the thread that asks.

    Where none of Arrow's own threads can be started (too little memory, `ulimit -u`), whoever waits for them waits for ever,
    or the process is aborted. And the columns of our files are few: those threads would gain nothing.
    """

    def __init__(self, path: Path | BinaryIO) -> None:
        # By default pyarrow reads ahead, and keeps all that it has read until the file is closed. Without a buffer it reads a
        # column whole before it unpacks a page: 200 MB of photographs took 700 MB of memory, and take 510.
        super().__init__(path, pre_buffer=False, buffer_size=_READ_AT_ONCE)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the whole table, or some columns of it in the order in which they are asked for."""
        table = super().read(columns, use_threads=False)
        return table if columns is None else table.select(list(columns))

    def iter_batches(
        self, batch_size: int = 65_536, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the table batch by batch."""
        return cast(
            "Iterator[pa.RecordBatch]", super().iter_batches(batch_size, columns=columns, use_threads=False)
        )


def open_parquet(path: Path | BinaryIO) -> SerialParquet:
    """Open a Parquet file to be read batch by batch, in memory that does not grow with the file."""
    return SerialParquet(path)


def read_parquet(path: Path | BinaryIO, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file as a table, or some of its columns."""
    with open_parquet(path) as file:
        return file.read(columns)


def read_batches(
    path: Path, columns: Sequence[str] | None = None, rows: int = ROWS_PER_GROUP
) -> Iterator[tuple[slice, pa.RecordBatch]]:
    """Yield a Parquet file, or some of its columns, at most so many rows at a time, each time with which rows these are."""
    start = 0
    with open_parquet(path) as file:
        for batch in file.iter_batches(rows, columns=None if columns is None else list(columns)):
            yield slice(start, start := start + len(batch)), batch


def read_row_groups(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    """Yield some columns of a Parquet file, one row group in memory at a time, each with the number of its first row."""
    start = 0
    with open_parquet(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list(columns), use_threads=False)
            yield start, table
            start += len(table)


@contextmanager
def open_table_writer(final: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Yield a streaming Parquet writer whose file appears under `final` when the block succeeds."""
    with open_atomically(final) as path, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        yield writer


def write_json(value: object, final: Path) -> Path:
    """Write `value` as indented JSON, atomically."""
    return write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", final)


def write_text(text: str, final: Path) -> Path:
    """Write `text` as UTF-8, atomically."""
    with open_atomically(final) as path:
        path.write_text(text, encoding="utf-8")
    return final


def read_json(path: Path) -> Any:  # noqa: ANN401 (JSON has no narrower type)
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def make_metadata(said: Mapping[str, object]) -> dict[str, str]:
    """Return what is said of tensors as the one entry of metadata of their safetensors file.

    The library keeps several entries in no fixed order, and the same tensors should be the same bytes.
    """
    return {_ABOUT: json.dumps(said)}


def parse_metadata(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what `make_metadata` made one entry of; the entries as they are in a file that another program wrote.

    >>> parse_metadata(make_metadata({"key": "k", "l2": 0.5})), parse_metadata({"key": "k"}), parse_metadata(None)
    ({'key': 'k', 'l2': 0.5}, {'key': 'k'}, {})
    """
    found = dict(metadata or {})
    return dict(json.loads(found[_ABOUT])) if _ABOUT in found else found


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_published(folder: Path) -> Iterator[Path]:
    """Yield the files under a folder, without locks and what is still being written."""
    return (p for p in folder.rglob("*") if p.is_file() and not p.name.endswith((".lock", ".partial")))


def make_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder: size, rows and SHA-256 of each of its files."""
    entries = {
        str(path.relative_to(folder)): {
            "bytes": path.stat().st_size,
            "rows": pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None,
            "sha256": hash_file(path),
        }
        for path in sorted(list_published(folder))
        if path.name != "manifest.json"
    }
    return {"run_id": folder.name, "files": entries}


def finish_run(folder: Path) -> None:
    """Write the manifest, then let `latest` name this run.

    The manifest comes last: a folder without one is a run that did not finish.
    """
    for left_behind in list(
        folder.rglob(".*.partial")
    ):  # by a try that was killed; nobody writes to it any more
        if left_behind.is_dir():
            shutil.rmtree(left_behind)
        else:
            left_behind.unlink(missing_ok=True)
    write_json(make_manifest(folder), folder / "manifest.json")
    name_latest(folder)


def name_latest(folder: Path, link: Path | None = None) -> None:
    """Let a link name a folder, at once: there is always one.

    Args:
        link: The link; `latest` beside the folder unless given.
    """
    link = link or folder.parent / "latest"
    made = link.with_name(f".{link.name}.{secrets.token_hex(8)}")
    made.symlink_to(os.path.relpath(folder, link.parent))
    made.replace(link)
