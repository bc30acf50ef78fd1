"""Where the parts of a data set are computed: in this process, unless somebody offers more."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

R = TypeVar("R")


class Executor(Protocol):
    """Somewhere that a function of a part can be computed."""

    def map(
        self,
        function: Callable[..., R],
        parts: Sequence[Any],
        arguments: Sequence[Any],
        own: Sequence[Any] | None = None,
    ) -> Iterator[R]:
        """Yield `function(part, *arguments)` for every part, in the order of the parts.

        Args:
            function: A function of a module, free of side effects.
            own: For each part one more argument, None where there is none.
        """
        ...


class LocalExecutor:
    """This process, one part after the other."""

    def map(
        self,
        function: Callable[..., R],
        parts: Sequence[Any],
        arguments: Sequence[Any],
        own: Sequence[Any] | None = None,
    ) -> Iterator[R]:
        """Yield `function(part, *arguments)` for every part, each computed when it is asked for."""
        for number, part in enumerate(parts):
            extra = () if own is None else (own[number],)
            yield function(part, *arguments, *extra)
