"""How far a step is, said from within it to whoever watches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

# Called with what is counted, how much of it is done, and how much there is.
Watch = Callable[[str, int, int], None]
W = TypeVar("W", bound=Watch)
_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def call_on_tick(watch: W) -> Iterator[W]:
    """Call `watch` on each `report_progress` of the enclosed steps."""
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def report_progress(what: str, done: int, total: int) -> None:
    """Say from within a step how far it is.

    >>> with call_on_tick(print):
    ...     report_progress("rows", 10, 100)
    rows 10 100
    """
    if (watch := _watch.get()) is not None:
        watch(what, done, total)
