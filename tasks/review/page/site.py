"""Everything that the routes of the review page share, and how an item looks to one reviewer."""

import threading
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from fastapi import HTTPException
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from tasks.review.log import DecisionLog, log_path
from tasks.review.page.card import SEARCHED, CardMaker
from tasks.review.page.chooser import Chooser
from tasks.review.page.guard import name_cookie
from tasks.review.page.keys import KEYS, name_key, translate_keys
from tasks.review.page.payload import PayloadStore, Pictures
from tasks.review.page.search import SampleSearch
from tasks.review.queue import Item, ReviewQueue
from tasks.review.state import Review, ReviewOptions
from tasks.show.text import format_share, open_templates, shorten_names
from tasks.show.view import EVIDENCE, RunView

# The first page comes first: imports would compete with it for the interpreter.
_WARM_UP_S: Final = 2.0


class Site:
    """A review, the payload of its samples, and the templates."""

    def __init__(
        self, queue: ReviewQueue, out: Path, options: ReviewOptions, reviewer: str | None = None
    ) -> None:
        self.review = Review(queue, DecisionLog(log_path(out)), options)
        self.queue = queue
        self.reviewer = " ".join((reviewer or "").split())  # as the log keeps it
        self.pictures = PayloadStore()
        self.rows = PayloadStore()
        self.finder = SampleSearch(self.review, self.pictures, self.rows)
        self._fill()
        warm_up = threading.Timer(_WARM_UP_S, _warm_up)
        warm_up.daemon = True
        warm_up.start()
        self.image = Pictures(self.pictures).get
        self.cards = CardMaker(queue, RunView(queue.run), self.rows)
        self.pages = open_templates("tasks.review.page")
        self.pages.filters.update(
            percent=format_share,
            number=group_digits,
            seconds=lambda s: f"{s:.1f} s",
            shortened=shorten_names(queue.columns).__getitem__,
            key_name=name_key,
        )
        self.pages.globals.update(
            chooser=Chooser(queue, options.class_keys),
            keys=KEYS | options.keys,
            translation=translate_keys(options.keys),
            queue=queue,
            options=options,
            searched=SEARCHED,
        )

    def _fill(self) -> None:
        queue = self.queue
        queued = [item.sample_id for item in queue.items if not item.is_control]
        others = [item.sample_id for item in queue.items]
        for item in queue.items:
            others += [near["sample_id"] for kind in EVIDENCE for near in item.evidence.get(kind, ())]
        for store, columns in self.finder.stores:
            store.fill(queue.run / "queue.parquet", columns, queued)
            store.fill_later(queue.run / "dataset.parquet", columns, others)

    def item(self, position: int) -> Item:
        """Return the item at a position.

        Raises:
            HTTPException: There is no sample there.
        """
        if not self.finder.atlas.has(position):
            raise HTTPException(404, "no such sample in this run")
        items = self.finder.atlas.items([position])
        self.finder.load(items)
        return items[0]

    def who(self, request: Request) -> str:
        """Return the reviewer's name; empty until they gave one."""
        return unquote(request.cookies.get(name_cookie(request, "reviewer"), "")) or self.reviewer

    def render(self, template: str, request: Request, **values: object) -> HTMLResponse:
        """Render a page; everything is escaped unless a template says otherwise, and none does."""
        around = {"csrf": request.state.csrf, "reviewer": self.who(request)}
        return HTMLResponse(self.pages.get_template(template).render(around, **values))

    def tile(self, item: Item, reviewer: str) -> dict[str, Any]:
        """Return how one item looks among many to one reviewer."""
        return {**self._state(item, reviewer), **self.cards.make_tile(item)}

    def view(self, item: Item, reviewer: str) -> dict[str, Any]:
        """Return how one item looks by itself to one reviewer."""
        state = self._state(item, reviewer)
        conflicts = self.queue.conflicts.get(item.key.content_hash, {})
        return {
            **state,
            **self.cards.make_card(item, blind=state["blind"]),
            "conflicts": {label: count for label, count in conflicts.items() if label != item.given},
            "copies": self.queue.copies.get(item.key, 1),
        }

    def is_blind(self, item: Item, reviewer: str) -> bool:
        """Whether the reviewer must not see what is suggested."""
        with self.review.lock:
            return self.review.is_blind(item, reviewer) and self.review.options.hide_suggestion

    def _state(self, item: Item, reviewer: str) -> dict[str, Any]:
        review = self.review
        with review.lock:
            return {
                "item": item,
                "status": review.status(item, reviewer),
                "mine": review.ledger.find_standing(item.key).get(reviewer),
                "others": review.list_others(item, reviewer),
                "blind": self.is_blind(item, reviewer),
            }


def _warm_up() -> None:
    """Import what the figures need before the first decision asks for it: a second that nobody should wait."""
    import scipy.stats  # noqa: F401, PLC0415
    import sklearn.isotonic  # noqa: F401, PLC0415


def group_digits(value: float) -> str:
    """Write a number of samples with a thin space between thousands.

    >>> group_digits(12345.6)
    '12\u202f346'
    """
    return f"{value:,.0f}".replace(",", "\u202f")
