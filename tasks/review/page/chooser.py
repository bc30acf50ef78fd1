"""The classes that a reviewer may choose, and the keys that choose them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tasks.review.queue import Item, ReviewQueue

# A digit for each class; of more classes than these the likeliest have one.
MAX_KEYS: Final = 9
# The keys behind them, up to `MAX_KEYS`, are for classes that were used lately.
LIKELIEST: Final = 5


@dataclass(frozen=True, slots=True)
class ClassChoice:
    """A class, the key that chooses it, if it has one, and how likely it is, if that is known."""

    label: str
    key: str
    probability: float | None = None


class Chooser:
    """The classes of one data set.

    Where there are few, each has a button and a key. Where there are many, the five likeliest of a sample have.

    Args:
        queue: Has the classes, and what is suggested most.
        own_keys: Keys of the user's for some classes.
    """

    def __init__(self, queue: ReviewQueue, own_keys: Mapping[str, str]) -> None:
        self.labels = queue.classes
        self._own = own_keys
        choices = list_choices(queue)
        self._all = [ClassChoice(each.label, own_keys.get(each.label, each.key)) for each in choices]
        self.has_search = not all(each.key for each in self._all)
        self._frequent = _list_frequent(queue)

    def of(self, item: Item, *, blind: bool = False) -> list[ClassChoice]:
        """Return the classes that have a button beside a sample.

        Args:
            blind: Whether the reviewer must not see what the model holds to be likely.
        """
        if not self.has_search:
            return self._all
        known = {one["label"]: one["probability"] for one in item.evidence.get("likely", ())}
        order = dict.fromkeys((*known, item.suggested, *self._frequent, *self.labels))
        likely = [name for name in order if name != item.given][:LIKELIEST]
        if blind:
            likely, known = [name for name in self.labels if name in likely], {}
        return [
            *(ClassChoice(name, str(number), known.get(name)) for number, name in enumerate(likely, start=1)),
            *(ClassChoice(name, key) for name, key in self._own.items()),
        ]


def list_choices(queue: ReviewQueue) -> tuple[ClassChoice, ...]:
    """Return the classes with keys that are the same for all samples.

    A class that is named by a digit has that digit. Otherwise the first nine have 1 to 9; of more than nine, the nine that the
    queue suggests most often.
    """
    classes = queue.classes
    if len(classes) <= 10 and all(len(label) == 1 and label in "0123456789" for label in classes):
        return tuple(ClassChoice(label, label) for label in classes)
    frequent = dict.fromkeys((*_list_frequent(queue), *classes))
    keyed = sorted(list(frequent)[:MAX_KEYS], key=classes.index)
    keys = {label: str(number) for number, label in enumerate(keyed, start=1)}
    return tuple(ClassChoice(label, keys.get(label, "")) for label in classes)


def _list_frequent(queue: ReviewQueue) -> list[str]:
    """Return the classes that are suggested, most often first."""
    return [name for name, _ in Counter(item.suggested for item in queue.items).most_common()]
