"""Locks that end with their owner, however it ends: the system drops them with the process that holds them."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import InputError
from tasks.json_objects import read_object

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


def try_lock(descriptor: int, kind: int) -> bool:
    """Lock an open file at once; return whether that was possible.

    Args:
        descriptor: Descriptor of the file.
        kind: `fcntl.LOCK_EX` or `fcntl.LOCK_SH`.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try(path: Path) -> int | None:
    """Return a descriptor of the locked file, None where somebody else has it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, is_taken = None, False
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            is_taken = not try_lock(descriptor, fcntl.LOCK_EX)
            # The owner before may have removed the file meanwhile: then the name stands for another one, or for none.
            if not is_taken and os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass  # another process has just removed the file, or the empty folder
        if descriptor is not None:
            os.close(descriptor)
        if is_taken:
            return None


def _owner(path: Path) -> str:
    entry = read_object(path)
    if not entry:
        return "its owner is just starting"
    return f"process {entry['process']}" + (f", {entry['note']}" if entry["note"] else "")
