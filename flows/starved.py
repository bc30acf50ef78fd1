"""A thread that dies for want of memory ends the run: whoever waits for its answer would wait for ever.

Prefect talks to its server in threads. Where the interpreter has no memory left even to start one, or to hand its error on, the
main thread is never told (seen on runs under `ulimit -v`). Here such a death wakes the main thread with a MemoryError,
which ends the run as every other lack of memory does: in one line, and the same command goes on.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# What cleans up after the first error may wait in the same way: it is woken again.
_AGAIN_S = 5.0
# What the interpreter does at its end may, too: then the process is ended from without.
_LAST_S = 30.0


@contextmanager
def starvation_ends_the_run() -> Iterator[None]:
    """Wake the main thread when another thread dies of a MemoryError in the enclosed block.

    Only the main thread can be woken: elsewhere (a worker that serves the flow) nothing is changed.

    Raises:
        MemoryError: A thread died of one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    starved = False

    def wake() -> None:
        nonlocal starved
        starved = True
        signal.setitimer(signal.ITIMER_REAL, 0.01, _AGAIN_S)

    def of_thread(failure: threading.ExceptHookArgs) -> None:
        # Nothing that asks for much: there is no memory.
        wake() if failure.exc_type is MemoryError else hooks[0](failure)

    def of_destructor(failure: "sys.UnraisableHookArgs") -> None:
        wake() if failure.exc_type is MemoryError else hooks[1](failure)

    def woken(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (the signature of a signal handler)
        raise MemoryError("a thread died of it")

    hooks = threading.excepthook, sys.unraisablehook
    before = signal.signal(signal.SIGALRM, woken)
    threading.excepthook, sys.unraisablehook = of_thread, of_destructor
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, _LAST_S if starved else 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if starved else before)
        if not starved:
            threading.excepthook, sys.unraisablehook = hooks
