"""Ctrl-C ends a run, also where the first word of it gets lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a destructor, in a callback from C, or under a library
that catches everything (some do around what they import, which takes seconds at the start), it is lost, and the run would go
on to its end as if nobody had asked. So it is noted as well, and raised again before the first step and at each word of
progress.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked: list[int] = []


@contextmanager
def ctrl_c_is_noted() -> Iterator[None]:
    """Note each Ctrl-C in the enclosed block; it is raised as always, too. Only the main thread can do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        _asked.append(number)
        signal.default_int_handler(number, frame)

    def of_destructor(failure: "sys.UnraisableHookArgs") -> None:
        if failure.exc_type is not KeyboardInterrupt:  # that one is raised again
            hook(failure)

    hook, before = sys.unraisablehook, signal.signal(signal.SIGINT, note)
    sys.unraisablehook = of_destructor
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook
        _asked.clear()


def stop_if_asked() -> None:
    """Raise a Ctrl-C that was noted and got lost.

    Raises:
        KeyboardInterrupt: There was one.
    """
    if _asked and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
