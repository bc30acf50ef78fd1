"""Embeddings kept by content: what a model said of a text or an image is asked of it once.

One SQLite file for each model beside the runs; a row is the hash of a content and its float32 embedding.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.errors import LabelsweepError

Floats = npt.NDArray[np.float32]

# SQLite takes a statement of at most 32,766 parameters.
_ASKED = 10_000


def embed_contents(path: Path, contents: Sequence[bytes], model: Callable[[Sequence[int]], Floats]) -> Floats:
    """Return the embedding of each content, from the file or else from the model.

    Args:
        path: The file of the model's embeddings; made where there is none.
        model: From places in `contents` to their embeddings, (b, width).

    Returns:
        (len(contents), width).

    Raises:
        LabelsweepError: The file is damaged.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "m.sqlite"
    >>> length = lambda places: np.array([[float(place)] for place in places], np.float32)
    >>> embed_contents(file, [b"a", b"b", b"a"], length).ravel().tolist()
    [0.0, 1.0, 0.0]
    >>> embed_contents(file, [b"b"], length).ravel().tolist()
    [1.0]
    """
    keys = [_make_key(content) for content in contents]
    with _open_store(path) as store:
        known = _read_known(store, sorted(set(keys)))
        first = {key: place for place, key in reversed(list(enumerate(keys))) if key not in known}
        if first:
            places = sorted(first.values())
            found = np.ascontiguousarray(model(places), "<f4")
            new = {keys[place]: vector.tobytes() for place, vector in zip(places, found, strict=True)}
            with store:
                store.executemany("insert or replace into embeddings values (?, ?)", new.items())
            known |= new
    return np.stack([np.frombuffer(known[key], "<f4") for key in keys])


def count_unknown(path: Path, batches: Iterable[Sequence[bytes]]) -> int:
    """Return of how many contents the file has no embedding yet."""
    with _open_store(path) as store:
        return sum(
            len(keys - _read_known(store, sorted(keys)).keys())
            for keys in ({*map(_make_key, some)} for some in batches)
        )


def _make_key(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:16]


@contextmanager
def _open_store(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file of a model's embeddings; it is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _explain_damage(path), closing(sqlite3.connect(path, timeout=60)) as store:
        store.execute(
            "create table if not exists embeddings (content blob primary key, vector blob) without rowid"
        )
        yield store


@contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    """Say that the file is damaged where SQLite says so, and not that it is locked or that the disk is full."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise
        raise LabelsweepError(
            f"the embeddings kept here are damaged ({error})",
            where=str(path),
            fix="remove the file: it is made again",
        ) from error


def _read_known(store: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for start in range(0, len(keys), _ASKED):
        some = keys[start : start + _ASKED]
        marks = ",".join("?" * len(some))
        found.update(store.execute(f"select * from embeddings where content in ({marks})", some).fetchall())  # noqa: S608 (marks only)
    return found
