"""Which part of a review is looked at, in which order: what the filter of a page, an address and a bulk decision say."""

import operator
import re
from collections.abc import Callable
from typing import Final, Literal

from pydantic import Field

from tasks.records import Record
from tasks.review.queue import Item
from tasks.show.usual_values import parse_number

State = Literal["todo", "done", "keep", "relabel", "drop", "unsure", "disagree", "all"]
Sort = Literal["rank", "influence", "gain", "class"]

# What a filter by reviewer says for: of everybody.
EVERYBODY: Final = "*"
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class Filter(Record):
    """Which part of the queue, in which order.

    Attributes:
        like: Position of a sample: those most like it, beyond the queue too, the most alike first.
        lasso: A line around samples on the map, beyond the queue too.
        among: Whether samples beyond the queue may be found.
        column: The column that `value` speaks of; all of them, and the sample's identifier, where it is empty.
        value: Words that a cell holds, or a comparison such as `>= 3`.
        whose: A reviewer to whom the samples are dealt; one's own where it is empty.
    """

    state: State = "todo"
    given: str = ""
    suggested: str = ""
    low: float | None = None
    high: float | None = None
    sort: Sort = "rank"
    like: int | None = Field(None, ge=0, lt=2**53)
    lasso: str = Field("", max_length=4_000)
    among: Literal["all", "queue"] = "all"
    column: str = ""
    value: str = Field("", max_length=200)
    whose: str = ""

    def does_match(self, item: Item, status: str) -> bool:
        """Whether an item with this status is in the part, by what the queue says of it."""
        wanted = status != "todo" if self.state == "done" else self.state in ("all", status)
        return (
            wanted
            and self.given in ("", item.given)
            and self.suggested in ("", item.suggested)
            and not (self.low is not None and item.score < self.low)
            and not (self.high is not None and item.score > self.high)
        )


def make_cell_test(value: str) -> Callable[[str], bool]:
    """Return what tells whether a cell is as a filter wants it.

    Args:
        value: Words, all of which the cell holds as parts of its own, or a comparison with a number.

    >>> is_large, has_words = make_cell_test(">= 3"), make_cell_test("big cat")
    >>> is_large("3.5"), is_large("small"), has_words("a Cat, bigger"), has_words("a cat")
    (True, False, True, False)
    """
    compared = re.fullmatch(r"\s*(>=|<=|>|<)\s*(-?[\d.]+(?:e-?\d+)?)\s*", value)
    if compared and (bound := parse_number(compared[2])) is not None:
        compare = _COMPARISONS[compared[1]]
        return lambda cell: (number := parse_number(cell)) is not None and compare(number, bound)
    words = value.casefold().split()
    return lambda cell: all(word in cell.casefold() for word in words)
