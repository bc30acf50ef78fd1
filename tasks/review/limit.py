"""How often somebody may do something: a bucket of permissions that fills at a steady rate."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

# Whoever comes under ever new names fills no memory: the bucket that was used longest ago is forgotten.
_REMEMBERED: Final = 10_000


class Limit:
    """Permissions for each key: `burst` at once, `rate` a second in the long run.

    Args:
        rate: Permissions a second.
        burst: The most that are saved up.
        clock: Seconds, never going back.

    >>> limit = Limit(1.0, 2, clock=lambda: 0.0)
    >>> [limit.take("a") for _ in range(3)], limit.take("b")
    ([True, True, False], True)
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # key: permissions, when
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> bool:
        """Use up one permission; False where none is left."""
        with self._lock:
            left, now = self._now(key)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            self._left.move_to_end(key)
            if len(self._left) > _REMEMBERED:
                self._left.popitem(last=False)
            return left >= 1

    def is_free(self, key: Hashable) -> bool:
        """Whether a permission is left; none is used up."""
        with self._lock:
            return self._now(key)[0] >= 1

    def _now(self, key: Hashable) -> tuple[float, float]:
        now = self._clock()
        left, when = self._left.get(key, (self._burst, now))
        return min(self._burst, left + (now - when) * self._rate), now
