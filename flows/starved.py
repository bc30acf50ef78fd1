"""A thread that dies for want of memory ends the run: whoever waits for its answer would wait for ever.

Prefect talks to its server in threads. Where the interpreter has no memory left even to start one, or to hand its error on, the
main thread is never told (seen on runs under `ulimit -v`). Here such a death wakes the main thread with a MemoryError,
which ends the run as every other lack of memory does: in one line, and the same command goes on.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import NoReturn

from tasks.unexpected import lacks_memory

# What cleans up after the first error may wait in the same way: it is woken again.
_AGAIN_S = 5.0
# So may what Prefect does about a run that failed for want of memory, of which a thread has been seen to turn in circles without
# dying, and what the interpreter does at its end: undisturbed, each takes a second or two.
_LAST_S = 30.0

_wake_after: ContextVar[Callable[[float], None]] = ContextVar("wake_after", default=lambda seconds: None)  # noqa: ARG005 (nobody)


def reserve_working_memory() -> None:
    """Have OpenBLAS take its working memory while there is some, numpy's and scipy's.

    It does at its first product, and where it gets none it tries again for ever, in compiled code that no signal reaches.
    """
    import numpy as np  # noqa: PLC0415 (a moment to import, and help answers at once)
    from scipy.linalg.blas import dgemm  # noqa: PLC0415

    np.linalg.inv(np.eye(2))
    dgemm(1.0, np.eye(2), np.eye(2))


def ends_starved(error: BaseException) -> None:
    """Give what is left to do half a minute, if a run fails with an error that comes of too little memory."""
    if lacks_memory(error):
        _wake_after.get()(_LAST_S)


def bound_the_end() -> None:
    """Let the system end this process in half a minute, however the interpreter's own end goes."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _LAST_S)


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

    def wake(seconds: float) -> None:
        nonlocal starved
        starved = True
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)

    def of_thread(failure: threading.ExceptHookArgs) -> None:
        # Nothing that asks for much: there is no memory.
        wake(0.01) if failure.exc_type is MemoryError else hooks[0](failure)

    def of_destructor(failure: "sys.UnraisableHookArgs") -> None:
        wake(0.01) if failure.exc_type is MemoryError else hooks[1](failure)

    def woken(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (the signature of a signal handler)
        raise MemoryError("a thread died of it")

    hooks = threading.excepthook, sys.unraisablehook
    before = signal.signal(signal.SIGALRM, woken)
    threading.excepthook, sys.unraisablehook = of_thread, of_destructor
    token = _wake_after.set(wake)
    try:
        yield
    finally:
        _wake_after.reset(token)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if not starved:  # else what still dies has nothing to add to the one line
            threading.excepthook, sys.unraisablehook = hooks
