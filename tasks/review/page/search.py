"""What a filter finds, in the queue and beyond it, and the payload of what is beyond."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from tasks.review.atlas import Atlas
from tasks.review.filter import Filter, make_cell_test
from tasks.review.page.payload import PayloadStore
from tasks.review.queue import Item
from tasks.review.state import Review

# A lasso around more is for counting, not for looking at each.
MOST_FOUND: Final = 20_000
# A page asks more than once for what a search found.
_KEPT_SEARCHES: Final = 8


class SampleSearch:
    """Looks through a review.

    Args:
        review: What is looked through.
        pictures: The images by sample.
        rows: The other columns by sample.

    Attributes:
        stores: Both, each with the columns of the data set that it holds.
    """

    def __init__(self, review: Review, pictures: PayloadStore, rows: PayloadStore) -> None:
        self.atlas = Atlas(review.queue)
        self._review, self._queue = review, review.queue
        prose = [self._queue.prose] if self._queue.prose else []
        self.stores = (
            (pictures, ["image"] if self._queue.content == "image" else []),
            (rows, [*prose, *self._queue.columns]),
        )
        self._rows = rows
        self._matches = lru_cache(_KEPT_SEARCHES)(self._search)

    def find(self, wanted: Filter, reviewer: str) -> list[Item]:
        """Return the items that a filter finds, in order.

        Raises:
            InputError: The filter's lasso is not valid.
        """
        items = self._review.select(wanted, reviewer, self._choose_scope(wanted))
        if not wanted.value:
            return items
        matches = self._matches(wanted.column, wanted.value, frozenset(item.position for item in items))
        return [item for item in items if item.position in matches]

    def _choose_scope(self, wanted: Filter) -> list[Item] | None:
        """Return what a filter looks through; None for the queue."""
        if wanted.like is None and not wanted.lasso:
            return None
        found = (
            self.atlas.find_inside(wanted.lasso) if wanted.lasso else self.atlas.find_alike(wanted.like or 0)
        )
        if wanted.among == "queue":
            found = [position for position in found if position < len(self._queue.items)]
        return self.atlas.items(found[:MOST_FOUND])

    def _search(self, column: str, value: str, positions: frozenset[int]) -> frozenset[int]:
        """Return which of some items have a cell as a filter wants it."""
        items, fits = self.atlas.items(sorted(positions)), make_cell_test(value)
        self.load(items)
        found = set()
        for item in items:
            row = self._rows.row(item.sample_id)
            cells = [row.get(column, "")] if column else [item.sample_id, *row.values()]
            if any(map(fits, cells)):
                found.add(item.position)
        return frozenset(found)

    def load(self, items: Sequence[Item]) -> None:
        """Have ready what samples beyond the queue show, and their neighbours."""
        beyond = [item for item in items if item.position >= len(self._queue.items)]
        ids = {near["sample_id"] for item in beyond for near in item.evidence["neighbours"]}
        rows = self.atlas.rows_of({*ids, *(item.sample_id for item in beyond)})
        for store, columns in self.stores:
            store.take(self._queue.run / "dataset.parquet", columns, rows)
