"""One line for an error that no part of the program expected.

The user can mend a full disk, too little memory, a lost connection and a long name. Anything else is a bug: its traceback is
kept.
"""

import errno
import tempfile
import traceback
from collections.abc import Iterator

from tasks.errors import LabelsweepError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# The words of libraries that raise errors of their own for a full disk: safetensors, SQLite.
_FULL_WORDS = ("no space left on device", "disk quota exceeded", "database or disk is full")
# The bases of connection errors in Python, botocore, aiohttp (the stores of fsspec) and httpx (Prefect).
_CONNECTIONS = {"ConnectionError", "HTTPClientError", "ClientConnectionError", "TransportError"}
# torch's error for a GPU is no MemoryError.
_MEMORY = {"MemoryError", "OutOfMemoryError"}


def describe_error(error: BaseException) -> str:
    """Return the line for an error; keep the traceback of a bug in a file.

    >>> describe_error(KeyError("rank")).partition(";")[0]
    "internal error (KeyError: 'rank')"
    """
    if cause := explain(error):
        return f"error: {cause}"
    with tempfile.NamedTemporaryFile(  # readable by its owner only, because a traceback may quote the data
        "w", prefix="labelsweep-error-", suffix=".txt", encoding="utf-8", delete=False
    ) as file:
        traceback.print_exception(error, file=file)
    return f"internal error ({_shorten_reason(error)}); please report it: the traceback is in {file.name}"


def explain(error: BaseException) -> str | None:
    """Say what the user can do about an error; None where it is a bug.

    >>> explain(MemoryError()), explain(KeyError("rank"))
    ('out of memory; set --memory to less, or free some, then the same command continues', None)
    >>> explain(RuntimeError("I/O error: No space left on device (os error 28)"))
    'the disk is full; free some space, then the same command continues'
    >>> explain(ConnectionResetError("reset by peer")).partition(";")[0]
    'the connection broke (ConnectionResetError: reset by peer)'
    """
    for cause in _list_causes(error):
        if getattr(cause, "errno", None) in _FULL or any(w in str(cause).lower() for w in _FULL_WORDS):
            file = getattr(cause, "filename", None)
            place = f" ({file})" if file else ""
            return f"the disk is full{place}; free some space, then the same command continues"
        if _list_type_names(cause) & _MEMORY:
            return "out of memory; set --memory to less, or free some, then the same command continues"
    if is_lost_connection(error):
        return f"the connection broke ({_shorten_reason(error)}); when it is back, run the same command again"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"a name is too long for a file: '{str(error.filename)[:100]}'; choose a shorter one"
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == "pydvl":
        return (
            "pyDVL is not installed; from Python 3.13 on it takes: pip install --no-deps 'pydvl>=0.10,<0.11'"
        )
    return None


def is_lost_connection(error: BaseException) -> bool:
    """Return whether an error comes from a lost connection; a closed pipe of this machine is none.

    >>> is_lost_connection(ConnectionResetError("reset by peer")), is_lost_connection(KeyError("rank"))
    (True, False)
    """
    return any(
        _list_type_names(cause) & _CONNECTIONS and not isinstance(cause, BrokenPipeError)
        for cause in _list_causes(error)
    )


def _list_type_names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _shorten_reason(error: BaseException) -> str:
    return str(LabelsweepError(f"{type(error).__name__}: {error}"[:300]))


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it: the error that a library makes of a full disk says little by itself."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
