"""Ctrl-C ends a run, also where the first word of it gets lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. pydantic makes an error of its own of it where it
serializes (seen while a run is announced to Prefect, which may pass over that error); in a destructor it is lost. The run would
go on to its end as if nobody had asked, or end as failed. So it is noted as well, raised again before the first step and at
each word of progress, and whatever fails after it was interrupted.

A SIGTERM, which Prefect raises in the same way, gets lost alike (seen in numpy's reader of files, which made a TypeError of it);
the system itself writes down that it came.
"""

import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from tasks.errors import LabelsweepError

_asked: ContextVar[list[int] | None] = ContextVar("asked", default=None)
_came: ContextVar[socket.socket | None] = ContextVar("came", default=None)


@contextmanager
def ctrl_c_is_noted() -> Iterator[list[int]]:
    """Note each Ctrl-C in the enclosed block in the list that is yielded; it is raised as always, too.

    A SIGTERM that somebody has a handler for is in the list once the block has ended. Only the main thread can do so.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.default_int_handler(number, frame)

    def of_destructor(failure: "sys.UnraisableHookArgs") -> None:
        if failure.exc_type is not KeyboardInterrupt:  # that one is raised again
            hook(failure)

    came, comes = socket.socketpair()
    came.settimeout(0)
    comes.settimeout(0)
    hook, before = sys.unraisablehook, signal.signal(signal.SIGINT, note)
    writes = signal.set_wakeup_fd(comes.fileno(), warn_on_full_buffer=False)
    sys.unraisablehook = of_destructor
    token, other = _asked.set(asked), _came.set(came)
    try:
        yield asked
    finally:
        _asked.reset(token)
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook
        signal.set_wakeup_fd(writes)
        if was_terminated():
            asked.append(signal.SIGTERM)
        _came.reset(other)
        came.close()
        comes.close()


def was_asked() -> bool:
    """Return whether there was a Ctrl-C."""
    return bool(_asked.get())


def was_terminated() -> bool:
    """Return whether there was a SIGTERM that somebody has a handler for."""
    came = _came.get()
    if came is None or not select.select([came], [], [], 0)[0]:
        return False
    return signal.SIGTERM in came.recv(2**16, socket.MSG_PEEK)


def stop_if_asked() -> None:
    """Raise a Ctrl-C that was noted and got lost.

    Raises:
        KeyboardInterrupt: There was one.
    """
    if was_asked() and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


@contextmanager
def failing_after_ctrl_c_is_interrupted() -> Iterator[None]:
    """Raise KeyboardInterrupt for whatever else a library made of it in the enclosed block.

    Raises:
        KeyboardInterrupt: Something failed that is no error of a user, after a Ctrl-C.
    """
    try:
        yield
    except Exception as error:
        if was_asked() and not isinstance(error, LabelsweepError):
            raise KeyboardInterrupt from error
        raise
