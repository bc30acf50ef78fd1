"""What a card tells of one sample: its content, its neighbours, and what is usual for the two labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from markupsafe import Markup, escape

from tasks.review.page.payload import PayloadStore, Size
from tasks.review.queue import Item, ReviewQueue
from tasks.show.features import compute_effects
from tasks.show.images import draw_saliency, sum_channels
from tasks.show.usual_values import NOTHING_USUAL, Usual, describe_usual_columns, parse_number
from tasks.show.view import EVIDENCE, RunView
from tasks.word_weights import Word, find_telling_words

# Characters of the sample's own text that come with its card: more than a tall screen holds. The whole is a request away.
CARD = 5_000
# Of a text in a list: what tells what it is about.
LISTED = 280
# A shorter text is read faster than a word is typed.
SEARCHED = 600
# Words of less than a quarter of the strongest word's weight are not marked, or most of a text would be.
LEAST = 0.25
_LEVELS = 3
# Rows of a table that a screen shows beside the buttons; the others are a request away.
ROWS: Final = 10
# Twice as usual for one class as for the other: less cannot be distinguished from chance.
TELLING: Final = float(np.log(2))
# Words that speak for a label are looked for once, though the next samples are fetched ahead and shown later.
_KEPT_TEXTS: Final = 64
# Pixels of a drawing of what is usual; the two classes share the height.
_WIDTH, _HEIGHT = 96, 32


@dataclass(frozen=True)
class CardColumn:
    """One column of a sample, beside what is usual and what its neighbours have.

    `side` is the label that the value speaks for, `given` or `suggested`, or nothing; `others` are the neighbours' values,
    each with how it differs.
    """

    name: str
    value: str
    side: str
    drawing: Markup
    others: Sequence[tuple[str, str]]


class CardMaker:
    """Everything about samples that does not depend on who looks at them.

    Args:
        queue: The queue.
        view: Its run.
        rows: The columns of each sample.
    """

    def __init__(self, queue: ReviewQueue, view: RunView, rows: PayloadStore) -> None:
        self._queue, self._view, self._rows = queue, view, rows
        self._marked = lru_cache(_KEPT_TEXTS)(self._mark)

    @cached_property
    def _usual(self) -> Mapping[str, Usual]:
        return describe_usual_columns(self._view, self._queue.columns, self._queue.classes)

    def row(self, sample_id: str) -> tuple[str, dict[str, str]]:
        """Return a sample's running text, and its other columns."""
        row = self._rows.row(sample_id)
        return row.pop(self._queue.prose, ""), row

    def make_tile(self, item: Item) -> dict[str, Any]:
        """Return what a tile of the grid shows: little enough for a hundred of them."""
        prose, row = self.row(item.sample_id)
        return {"prose": cut(prose, LISTED), "row": row, "image": self.find_address(item.sample_id, "tile")}

    def make_card(self, item: Item, *, blind: bool) -> dict[str, Any]:
        """Return what a card shows; a blind one says nothing that gives the suggestion away."""
        queue = self._queue
        prose, row = self.row(item.sample_id)
        is_table = queue.content == "table"
        return {
            "row": row,
            "image": self.find_address(item.sample_id, "page"),
            "text": self.text(item, item.sample_id, blind=blind, limit=CARD) if prose else "",
            "length": len(prose) if len(prose) > CARD else 0,
            "columns": self.columns(item, slice(ROWS), blind=blind) if is_table else [],
            "more": max(0, len(row) - ROWS) if is_table else 0,
            **{kind: self._list_near(item, kind, blind=blind) for kind in EVIDENCE},
            "overlay": not blind and self._has_overlay(item),
        }

    def _list_near(self, item: Item, kind: str, *, blind: bool) -> list[dict[str, Any]]:
        found = []
        for near in item.evidence.get(kind, ()):
            sample = near["sample_id"]
            shown: dict[str, Any]
            shown = {"image": self.find_address(sample, "tile"), "large": self.find_address(sample, "page")}
            if self._queue.prose:
                length = len(self.row(sample)[0])
                text = self.text(item, sample, blind=blind, limit=LISTED)
                shown = {"text": text, "length": length if length > LISTED else 0}
            found.append({**near, **shown})
        return found

    def text(self, item: Item, sample_id: str, *, blind: bool, limit: int | None = None) -> Markup:
        """Return the text of a sample or of a neighbour with the words marked that speak for one of the item's labels.

        Args:
            sample_id: Whose text; itself or a neighbour.
            limit: Characters at most; None for the whole.
        """
        return self._marked(sample_id, item.given, "" if blind else item.suggested, limit)

    def _mark(self, sample_id: str, given: str, suggested: str, limit: int | None) -> Markup:
        prose, _ = self.row(sample_id)
        shown = prose if limit is None else cut(prose, limit)
        terms = self._view.terms
        words = find_telling_words(prose, given, suggested, terms) if terms and suggested else []
        return mark_words(shown, [word for word in words if word.end <= len(shown)], given)

    def columns(self, item: Item, part: slice, *, blind: bool) -> list[CardColumn]:
        """Return a part of the columns of a row, in the order in which they speak for one of the two labels."""
        _, row = self.row(item.sample_id)
        others = [self.row(near["sample_id"])[1] for near in item.evidence.get("neighbours", ())]
        classes = [self._queue.classes.index(label) for label in (item.given, item.suggested)]
        speaks = dict.fromkeys(row, 0.0)
        for name in () if blind else row.keys() & self._usual.keys():
            speaks[name] = self._usual[name].measure_difference(row[name], *classes)
        found = []
        for name in sorted(row, key=lambda name: -abs(speaks[name]))[part]:
            value, usual = row[name], self._usual.get(name, NOTHING_USUAL)
            side = "" if abs(speaks[name]) < TELLING else "suggested" if speaks[name] > 0 else "given"
            cells = [(shorten_cell(o.get(name, "")), usual.differs(value, o.get(name, ""))) for o in others]
            drawing = _draw_usual(usual, value, classes[:1] if blind else classes)
            found.append(CardColumn(name, value, side, drawing, cells))
        return found

    def overlay(self, item: Item, size: tuple[int, int]) -> bytes | None:
        """Return the drawing of which pixels move the sample's influence, to lie over a picture of a size."""
        values = self._view.saliency.get(item.borrows)
        if values is None:
            return None
        return draw_saliency(compute_effects(self._view, values), self._queue.dataset.feature_shape, size)

    def _has_overlay(self, item: Item) -> bool:
        """Whether the influence depends on the pixels themselves: an encoder's features lie nowhere in the picture."""
        values = self._view.saliency.get(item.borrows) if self._queue.content == "image" else None
        return values is not None and sum_channels(values, self._queue.dataset.feature_shape) is not None

    def find_address(self, sample_id: str, size: Size) -> str:
        """Return where a sample's picture is; an identifier may hold anything, so not in the path."""
        return f"/image?id={quote(sample_id, safe='')}&size={size}&run={quote(self._queue.run_id, safe='')}"


def cut(text: str, limit: int) -> str:
    """Return the beginning of a text, whole words of it.

    >>> cut("one two three", 9), cut("one two", 9), cut("onetwothree", 4)
    ('one two', 'one two', 'onet')
    """
    if len(text) <= limit:
        return text
    head = text[:limit]
    return head.rsplit(None, 1)[0] if any(character.isspace() for character in head.strip()) else head


def mark_words(text: str, words: Sequence[Word], given: str) -> Markup:
    """Return a text as HTML, with the words marked that speak for the given or for the suggested label.

    >>> mark_words("a <b> c", [Word(2, 5, "x", 1.0)], "x")
    Markup('a <mark class="given s3">&lt;b&gt;</mark> c')
    """
    strongest = max((word.weight for word in words), default=0.0)
    parts, at = [], 0
    for word in words:
        share = word.weight / strongest
        if share < LEAST:
            continue
        side = "given" if word.label == given else "suggested"
        level = min(_LEVELS, 1 + int(share * _LEVELS))
        mark = Markup('<mark class="{} s{}">{}</mark>').format(side, level, text[word.start : word.end])
        parts += [escape(text[at : word.start]), mark]
        at = word.end
    return Markup("").join([*parts, escape(text[at:])])


def shorten_cell(value: str) -> str:
    """Return a cell to compare with: a number of many digits with four of them, written as the sample's own value is.

    >>> shorten_cell("-289.456"), shorten_cell("1200034"), shorten_cell("12345.6"), shorten_cell("green"), shorten_cell("")
    ('-289.5', '1200034', '12345.6', 'green', '')
    """
    if "." not in value or (number := parse_number(value)) is None:
        return value
    return f"{number:.4g}" if abs(number) < 1e4 else f"{number:.6g}"


def _draw_usual(usual: Usual, value: str, classes: Sequence[int]) -> Markup:
    """Return a drawing of how often values occur, the given class upwards, the suggested one downwards, and where this one is."""
    if not usual.counts.size:
        return Markup("")
    shares = usual.counts[list(classes)] / np.maximum(usual.counts[list(classes)].sum(1, keepdims=True), 1)
    place = usual.place(value)
    if usual.values:  # of texts only this one: the others have no order
        shares = shares[:, [place]] if place is not None else np.zeros((len(classes), 1))
        return _draw_levels(shares[:, 0])
    half = _HEIGHT / 2
    heights = shares / max(shares.max(), 1e-12) * (half - 1)
    step = _WIDTH / heights.shape[1]
    paths = []
    for role, sign, row in zip(("given", "suggested"), (-1, 1), heights, strict=False):
        line = "".join(f"V{half + sign * h:.1f}H{(number + 1) * step:g}" for number, h in enumerate(row))
        paths.append(f'<path class="{role}" d="M0 {half:g}{line}V{half:g}Z"/>')
    mark = ""
    if place is not None:
        at = (place + 0.5) * step
        mark = f'<path class="here" d="M{at:g} 0V{_HEIGHT}"/>'
    return _wrap_svg("".join(paths) + mark)


def _draw_levels(shares: Any) -> Markup:  # noqa: ANN401 (an array)
    """Return a bar for each class: the share of its samples that have this value."""
    bars = [
        f'<rect class="{role}" y="{2 + number * 16}" width="{share * _WIDTH:.1f}" height="12"/>'
        for number, (role, share) in enumerate(zip(("given", "suggested"), shares, strict=False))
    ]
    return _wrap_svg("".join(bars))


def _wrap_svg(content: str) -> Markup:
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return Markup(f'<svg class="usual" {size} aria-hidden="true">{content}</svg>')  # noqa: S704 (numbers alone)
