"""Locks that end with their owner, however it ends: the system drops them with the process that holds them.

On a network file system they work between machines where the server supports it (NFS from version 4).
"""

import fcntl
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.errors import InputError
from tasks.json_objects import read_object

_FILE_POLL_SECONDS, _FOLDER_POLL_SECONDS = 0.2, 0.05


@contextmanager
def hold_lock(
    path: Path, what: str, *, wait_seconds: float = 0.0, waiting: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Hold the lock file at `path`; it is there only while somebody holds it.

    Args:
        path: The lock file; its folder is made.
        what: What is said of it where somebody else holds the lock.
        wait_seconds: How long to wait for whoever holds it.
        waiting: Called once, before the wait begins.

    Raises:
        InputError: Somebody else holds it, and still did when the time was up.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "data.lock"
    >>> with hold_lock(path, "taken"):
    ...     path.exists()
    True
    >>> path.exists()
    False
    """
    deadline, is_told = time.monotonic() + wait_seconds, False
    while (descriptor := _open_locked(path)) is None:
        owner = read_object(path).get("process")
        line = f"{what} ({f'process {owner}' if owner else 'its owner is just starting'})"
        if time.monotonic() >= deadline:
            raise InputError(line, fix="wait until it ends, or queue behind it with --wait SECONDS")
        if not is_told:
            waiting(line)
            is_told = True
        time.sleep(_FILE_POLL_SECONDS)
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"process": os.getpid()}).encode(), 0)
        yield
    finally:
        # Removed while it is held: whoever opened it meanwhile finds another file in its place, and opens that.
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def lock_folder(folder: Path, seconds: float = math.inf, *, shared: bool = False) -> Iterator[bool]:
    """Lock a folder; yield whether that was possible in time.

    Args:
        seconds: How long to wait for whoever has it.
        shared: Whether others may have it at the same time, if they share it too.
    """
    deadline = time.monotonic() + seconds
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        while not (is_locked := _try_lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)):
            if time.monotonic() >= deadline:
                break
            time.sleep(_FOLDER_POLL_SECONDS)
        yield is_locked
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_locked(path: Path) -> int | None:
    """Return a descriptor of the locked file, None where somebody else has it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # another process has just removed the empty folder
            continue
        is_locked = _try_lock(descriptor, fcntl.LOCK_EX)
        # The owner before may have removed the file meanwhile: then the name stands for another one, or for none.
        with suppress(FileNotFoundError):
            if is_locked and os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)
        if not is_locked:
            return None
