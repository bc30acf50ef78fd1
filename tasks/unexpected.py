"""An error that nobody foresaw, in one line for the person, with its traceback in a file for whoever mends it."""

import errno
import os
import tempfile
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import LabelsweepError
from tasks.workplace import work_root

_FULL = (errno.ENOSPC, errno.EDQUOT)
# The same where a library makes an error of its own of it: safetensors, SQLite.
_FULL_WORDS = ("no space left on device", "disk quota exceeded", "database or disk is full")
# What libraries say where they cannot raise a MemoryError: torch, the C++ library, Python's threads.
_OUT_OF_MEMORY = (
    "not enough memory",
    "out of memory",
    "cannot allocate memory",
    "bad_alloc",
    "can't start new thread",
    "failed to map segment",
    # The interpreter itself, where not even the MemoryError could be made.
    "without exception set",
    "without setting an exception",
)
# A lost connection by the names of its families: those of Python, botocore, aiohttp (the stores of fsspec) and httpx (Prefect).
_CONNECTIONS = frozenset({"ConnectionError", "HTTPClientError", "ClientConnectionError", "TransportError"})

_LONGEST_NAME = 100


def in_one_line(error: Exception) -> str:
    """Return the line for an error, once its traceback is in a file.

    >>> line = in_one_line(KeyError("rank"))
    >>> line.partition(";")[0]
    "internal error (KeyError: 'rank')"
    >>> in_one_line(MemoryError()).partition(";")[0]
    'error: out of memory'
    >>> in_one_line(RuntimeError("I/O error: No space left on device (os error 28)")).partition(";")[0]
    'error: the disk is full'
    >>> in_one_line(ConnectionResetError("reset by peer")).partition(";")[0]
    'error: the connection broke (ConnectionResetError: reset by peer)'
    >>> in_one_line(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300)).partition("x")[0]
    "error: a name is too long for a file: '"
    """
    reason = str(LabelsweepError(f"{type(error).__name__}: {error}"[:300]))
    if full := next((one for one in _chain(error) if _is_of_disk(one)), None):
        where = f" ({full.filename})" if isinstance(full, OSError) and full.filename else ""
        return f"error: the disk is full{where}; free some space, then the same command goes on"
    if lacks_memory(error):
        return "error: out of memory; set --memory to less, or free some, then the same command goes on"
    if lacks_connection(error):
        return f"error: the connection broke ({reason}); when it is back, run the same command again"
    if _is_of_name(error):
        return f"error: a name is too long for a file: '{_named(error)}'; choose a shorter one"
    file = _keep("".join(traceback.format_exception(error)))
    return f"internal error ({reason}); please report it: the traceback is in {file}"


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error comes of too little memory, whoever says it.

    >>> lacks_memory(RuntimeError("can't start new thread")), lacks_memory(KeyError("rank"))
    (True, False)
    """
    return any(_is_of_memory(one) for one in _chain(error))


def lacks_connection(error: BaseException) -> bool:
    """Return whether an error comes of a connection that is not there, or broke.

    >>> lacks_connection(ConnectionResetError("reset by peer")), lacks_connection(KeyError("rank"))
    (True, False)
    """
    return any(_is_of_connection(one) for one in _chain(error))


def is_foreseen(error: BaseException) -> bool:
    """Return whether disk, memory or a connection gave out, or a name is none, which the user can mend, and not this program.

    >>> is_foreseen(MemoryError()), is_foreseen(KeyError("rank"))
    (True, False)
    """
    lacks = lacks_memory(error) or lacks_connection(error) or any(_is_of_disk(one) for one in _chain(error))
    return lacks or _is_of_name(error)


def _is_of_name(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG


def _named(error: BaseException) -> str:
    """Return the beginning of the name that an error is about; the whole one would fill the screen."""
    name = str(getattr(error, "filename", None) or error)
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _is_of_disk(error: BaseException) -> bool:
    numbered = isinstance(error, OSError) and error.errno in _FULL
    return numbered or any(words in str(error).lower() for words in _FULL_WORDS)


def _is_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def _is_of_connection(error: BaseException) -> bool:
    # A pipe or socket of this machine that was closed is none.
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & _CONNECTIONS) and not isinstance(error, BrokenPipeError)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it: what a library makes of a lack of memory says little by itself."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _keep(text: str) -> Path:
    """Write a traceback beside the working folders, or where everybody may write."""
    name = f"error-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    for folder in (work_root() / "errors", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).touch(mode=0o600)  # a traceback may quote the data
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return folder / name
    return Path(os.devnull)
