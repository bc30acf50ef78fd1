"""Locks that end with their owner, however it ends: the system drops them with the process that holds them."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import InputError

_POLL_SECONDS = 0.2


@contextmanager
def hold(
    path: Path,
    what: str,
    *,
    wait_seconds: float = 0.0,
    waiting: Callable[[str], None] = lambda _: None,
    note: str = "",
) -> Iterator[None]:
    """Hold the lock file at `path`; it is there only while somebody holds it.

    On a network file system the lock works between machines where the server supports it (NFS from version 4).

    Args:
        path: The lock file; its folder is made.
        what: What is said of it where somebody else holds the lock.
        wait_seconds: How long to wait for whoever holds it.
        waiting: Told once, before the wait begins.
        note: What others are told of the owner beside the number of its process.

    Raises:
        InputError: Somebody else holds it, and still did when the time was up.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "data.lock"
    >>> with hold(path, "taken"):
    ...     path.exists()
    True
    >>> path.exists()
    False
    """
    deadline = time.monotonic() + wait_seconds
    told = False
    while (descriptor := _try(path)) is None:
        line = f"{what} ({_owner(path)})"
        if time.monotonic() >= deadline:
            raise InputError(line, fix="wait until it ends, or queue behind it with --wait SECONDS")
        if not told:
            waiting(line)
            told = True
        time.sleep(_POLL_SECONDS)
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"process": os.getpid(), "note": note}).encode(), 0)
        yield
    finally:
        # Removed while it is held: whoever opened it meanwhile finds another file in its place, and opens that.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _try(path: Path) -> int | None:
    """Return a descriptor of the locked file, None where somebody else has it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # another process has just removed the empty folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether the name still stands for the file that was locked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _owner(path: Path) -> str:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "its owner is just starting"
    return f"process {entry['process']}" + (f", {entry['note']}" if entry["note"] else "")
