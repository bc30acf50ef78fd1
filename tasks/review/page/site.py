"""Everything that the routes of the review page share, and how an item looks to one reviewer."""

import threading
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from fastapi import HTTPException
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request

from tasks.review.log import DecisionLog, log_path
from tasks.review.page.guard import cookie_name
from tasks.review.page.payload import PayloadStore
from tasks.review.queue import Item, ReviewQueue
from tasks.review.state import Review, ReviewOptions
from tasks.show.features import effects, strongest
from tasks.show.images import safe_png, saliency_png
from tasks.show.text import percent
from tasks.show.view import EVIDENCE, RunView

# Beyond nine classes a digit names only some of them; the search box names all.
MAX_KEYS: Final = 9
_CACHED_IMAGES: Final = 512
# The first page comes first: imports would compete with it for the interpreter.
_WARM_UP_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A class and the key that chooses it, if it has one."""

    label: str
    key: str


class Site:
    """A review, the payload of its samples, and the templates."""

    def __init__(
        self, queue: ReviewQueue, out: Path, options: ReviewOptions, reviewer: str | None = None
    ) -> None:
        self.review = Review(queue, DecisionLog(log_path(out)), options)
        self.queue = queue
        self.reviewer = reviewer
        self.pictures = PayloadStore()
        self.rows = PayloadStore()
        self._fill()
        warm_up = threading.Timer(_WARM_UP_S, _warm_up)
        warm_up.daemon = True
        warm_up.start()
        self._run = RunView(queue.run)
        self.image = lru_cache(_CACHED_IMAGES)(self._image)
        self.pages = Environment(
            loader=PackageLoader("tasks.review.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.pages.filters.update(percent=percent, number=number, seconds=lambda s: f"{s:.1f} s")
        self.pages.globals.update(choices=choices_of(queue), queue=queue, options=options)

    def _fill(self) -> None:
        queue = self.queue
        queued = [item.sample_id for item in queue.items if not item.is_control]
        others = [item.sample_id for item in queue.items]
        for item in queue.items:
            others += [near["sample_id"] for kind in EVIDENCE for near in item.evidence.get(kind, ())]
        cells = [queue.prose, *queue.columns] if queue.prose else list(queue.columns)
        for store, columns in (
            (self.pictures, ["image"] if queue.content == "image" else []),
            (self.rows, cells),
        ):
            store.fill(queue.run / "queue.parquet", columns, queued)
            store.fill_later(queue.run / "dataset.parquet", columns, others)

    def _image(self, sample_id: str) -> bytes | None:
        """Return a sample's picture as a PNG of our own making; None where there is none."""
        data = self.pictures.get(sample_id)
        return safe_png(data) if data else None

    def saliency(self, item: Item) -> bytes | None:
        """Return the overlay that shows which pixels move the sample's influence."""
        values = self._run.saliency.get(item.borrows)
        return None if values is None else saliency_png(values, self.queue.dataset.feature_shape)

    def item(self, position: int) -> Item:
        """Return the item at a position.

        Raises:
            HTTPException: There is none.
        """
        if not 0 <= position < len(self.queue.items):
            raise HTTPException(404, "no such sample in this queue")
        return self.queue.items[position]

    def who(self, request: Request) -> str:
        """Return the reviewer's name; empty until they gave one."""
        return unquote(request.cookies.get(cookie_name(request, "reviewer"), "")) or self.reviewer or ""

    def render(self, template: str, request: Request, **values: object) -> str:
        """Render a page; everything is escaped unless a template says otherwise, and none does."""
        return self.pages.get_template(template).render(
            csrf=request.state.csrf, reviewer=self.who(request), **values
        )

    def view(self, item: Item, reviewer: str) -> dict[str, Any]:
        """Return how one item looks to one reviewer."""
        review, queue = self.review, self.queue
        with review.lock:
            mine = review.ledger.standing(item.key).get(reviewer)
            blind = review.is_blind(item, reviewer) and review.options.hide_suggestion
            status, others = review.status(item, reviewer), review.others(item, reviewer)
        conflicts = queue.conflicts.get(item.key.content_hash, {})
        return {
            "item": item,
            "status": status,
            "mine": mine,
            "others": others,
            "blind": blind,
            **self._words(item.sample_id),
            **{kind: self._near(item, kind) for kind in EVIDENCE},
            "features": self.features(item) if not blind else [],
            "overlay": queue.content == "image" and item.borrows in self._run.saliency and not blind,
            "conflicts": {label: count for label, count in conflicts.items() if label != item.given},
            "copies": queue.copies.get(item.key, 1),
            "image": image_url(item.sample_id),
        }

    def _near(self, item: Item, kind: str) -> list[dict[str, Any]]:
        found = []
        for near in item.evidence.get(kind, ()):
            words = self._words(near["sample_id"]) if self.queue.content != "image" else {}
            found.append({**near, "image": image_url(near["sample_id"]), **words})
        return found

    def _words(self, sample_id: str) -> dict[str, Any]:
        """Return a sample's running text and its other columns."""
        row = self.rows.row(sample_id)
        return {"prose": row.pop(self.queue.prose, ""), "row": row}

    def features(self, item: Item) -> list[tuple[str, float, float]]:
        """Return the columns that move a row's influence most: name, effect, share of the largest.

        The effect is that of one standard deviation, as in the report: columns of different units compare.
        """
        values = self._run.saliency.get(item.borrows)
        if self.queue.content == "image" or values is None or len(values) != len(self._run.feature_names):
            return []
        found = strongest(self._run, effects(self._run, values))
        return [(name, effect, abs(share)) for name, effect, share in found]


def _warm_up() -> None:
    """Import what the figures need before the first decision asks for it: a second that nobody should wait."""
    import scipy.stats  # noqa: F401, PLC0415
    import sklearn.isotonic  # noqa: F401, PLC0415


def choices_of(queue: ReviewQueue) -> tuple[Choice, ...]:
    """Return the classes with their keys.

    A class that is named by a digit has that digit. Otherwise the first nine have 1 to 9; of more than nine,
    the nine that the queue suggests most often.
    """
    classes = queue.classes
    if len(classes) <= 10 and all(len(label) == 1 and label in "0123456789" for label in classes):
        return tuple(Choice(label, label) for label in classes)
    frequent = Counter(item.suggested for item in queue.items)
    keyed = sorted(sorted(classes, key=lambda label: -frequent[label])[:MAX_KEYS], key=classes.index)
    keys = {label: str(number) for number, label in enumerate(keyed, start=1)}
    return tuple(Choice(label, keys.get(label, "")) for label in classes)


def image_url(sample_id: str) -> str:
    """Return the address of a sample's picture; an identifier may hold anything, so not in the path."""
    return f"/image?id={quote(sample_id, safe='')}"


def number(value: float) -> str:
    """Write a number of samples with a thin space between thousands.

    >>> number(12345.6)
    '12\u202f346'
    """
    return f"{value:,.0f}".replace(",", "\u202f")
