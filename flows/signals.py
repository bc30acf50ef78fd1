"""Ctrl-C and SIGTERM end a run, also where a library swallows what Python raises for them.

Python raises KeyboardInterrupt wherever the main thread happens to be. pydantic makes an error of its own of it where it
serializes, numpy's reader of files makes a TypeError, and in a destructor it is lost. So signals are noted as well, raised again
before each step and at each word of progress, and whatever else fails after a signal was interrupted. Prefect handles SIGTERM
itself while a flow runs; the system still writes down that the signal came.
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
from typing import NoReturn

from tasks.errors import LabelsweepError

_noted: ContextVar[list[int] | None] = ContextVar("noted", default=None)
_pipe: ContextVar[socket.socket | None] = ContextVar("pipe", default=None)


class Interrupted(Exception):  # noqa: N818 (not an error)
    """A run was ended by Ctrl-C; the message says how to resume it."""


class Terminated(BaseException):
    """SIGTERM came."""


@contextmanager
def note_signals() -> Iterator[list[int]]:
    """Note each Ctrl-C of the enclosed block in the list that is yielded; it is raised as always, too.

    A SIGTERM that somebody has a handler for is in the list once the block has ended. Only the main thread can note signals.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        signal.default_int_handler(number, frame)

    def pass_on(failure: "sys.UnraisableHookArgs") -> None:
        if failure.exc_type is not KeyboardInterrupt:  # that one is raised again
            hook(failure)

    pipe, written = socket.socketpair()
    pipe.settimeout(0)
    written.settimeout(0)
    hook, handler = sys.unraisablehook, signal.signal(signal.SIGINT, note)
    descriptor = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    sys.unraisablehook = pass_on
    tokens = _noted.set(noted), _pipe.set(pipe)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, handler)
        sys.unraisablehook = hook
        signal.set_wakeup_fd(descriptor)
        if was_terminated():
            noted.append(signal.SIGTERM)
        _noted.reset(tokens[0])
        _pipe.reset(tokens[1])
        pipe.close()
        written.close()


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Raise Terminated in the enclosed block when SIGTERM comes, so that files are closed and the user gets a line."""
    if _pipe.get() is None:  # not the main thread
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated

    handler = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def was_interrupted() -> bool:
    """Return whether Ctrl-C came."""
    return bool(_noted.get())


def was_terminated() -> bool:
    """Return whether a SIGTERM came that somebody has a handler for."""
    pipe = _pipe.get()
    if pipe is None or not select.select([pipe], [], [], 0)[0]:
        return False
    return signal.SIGTERM in pipe.recv(2**16, socket.MSG_PEEK)


def stop_if_asked() -> None:
    """Raise again what a signal raised, where that was lost.

    Raises:
        KeyboardInterrupt: Ctrl-C came.
        Terminated: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if was_interrupted():
        raise KeyboardInterrupt
    if was_terminated():
        raise Terminated


@contextmanager
def raise_signals_first() -> Iterator[None]:
    """Raise KeyboardInterrupt or Terminated in place of whatever error a library made of it in the enclosed block.

    Raises:
        KeyboardInterrupt: Something failed after a Ctrl-C that is not an error of a user.
        Terminated: The same after a SIGTERM.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, LabelsweepError):
            stop_if_asked()
        raise
