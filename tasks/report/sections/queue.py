"""The top of the queue, as cards: what the reviewer will be asked, and the evidence."""

import math
from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from tasks.report.summary import Summary
from tasks.show.features import SHOWN, compute_effects
from tasks.show.features import draw_bars as bars_of
from tasks.show.images import SMALL_SIDE, draw_overlay, draw_thumbnail
from tasks.show.parts import Bar, Bars, Card, Cards, ReportPart, Section, Text, Witness
from tasks.show.text import (
    CELL,
    NAME,
    SENTENCE,
    format_decimal,
    format_number,
    format_share,
    pluralise,
    shorten_names,
    show_plain,
)
from tasks.show.view import NOT_SHOWN, Row, RunView
from tasks.word_weights import find_telling_words

# What fits a card without crowding it; everything is in the queue's files.
COLUMNS_SHOWN = 6
WITNESSES = 5
# What is said of a sample that is named as evidence.
MEASURES = {"harms": "influence", "neighbours": "distance"}
LONG_TEXT = 240

_READING = (
    "Probabilities are out of fold: the model that gives them has not seen the sample. Influence is relative; positive = "
    "helpful, lower = more likely mislabeled."
)
_EFFECT = "Change of its influence when a feature rises by one standard deviation"
_WORDS = "Words that speak for its given label, to the right, and for the suggested one, to the left"
_OVERLAY = (
    "Beside each picture: what makes its label harmful. Orange: a brighter pixel there makes the label more harmful; blue: "
    "more helpful."
)


def build(view: RunView, _: Summary) -> Section | None:
    """Return the cards, worst first."""
    if not view.top:
        return None
    truth, decimals = _read_truth(view), {kind: _count_decimals(view, kind) for kind in MEASURES}
    cards = [_build_card(view, row, truth, decimals) for row in view.top]
    parts: list[ReportPart] = [Text(f"{_count_shown(len(cards), view.queued)} {_READING}", "quiet")]
    if any(card.overlay for card in cards):
        parts.append(Text(_OVERLAY, "quiet"))
    return Section("queue", "The top of the queue", [*parts, Cards(cards)], "Queue")


def _count_shown(shown: int, queued: int) -> str:
    if queued > shown:
        return f"The worst {shown:,} of {pluralise(queued, 'sample')} in the queue; all are in queue.csv and queue.parquet."
    return (
        "The one sample of the queue."
        if queued == 1
        else f"All {queued:,} samples of the queue, worst first."
    )


def _count_decimals(view: RunView, kind: str) -> int:
    """Return how many decimals the numbers of a kind of evidence have: all are compared, and the largest shows three digits."""
    items = (item for row in view.top for item in row["evidence"][kind])
    largest = max((abs(item.get(MEASURES[kind]) or 0.0) for item in items), default=0.0)
    return max(0, 2 - math.floor(math.log10(largest))) if largest else 0


def _build_card(view: RunView, row: Row, truth: dict[str, str], decimals: dict[str, int]) -> Card:
    sample = str(row["sample_id"])
    given, suggested = show_plain(row["given_label"]), show_plain(row["suggested_label"])
    name = show_plain(sample)
    saliency = view.saliency.get(sample)
    image = draw_thumbnail(row.get("image"), f"Sample {name}, given label {given}")
    shape = view.dataset.feature_shape if view.dataset else ()
    tint, bars = None, None
    if image and saliency is not None:
        alt = f"Which pixels of {name} make its label harmful"
        tint = draw_overlay(row["image"], compute_effects(view, saliency), shape, alt)
    elif view.dataset and view.dataset.payload == "text":
        bars = _weigh_words(view, row)
    elif saliency is not None:
        bars = bars_of(view, compute_effects(view, saliency), _EFFECT)
    return Card(
        rank=int(row["rank"]),
        to=f"/review?state=all&rank={int(row['rank'])}",
        sample_id=name,
        given=given,
        suggested=suggested,
        given_probability=format_share(row["given_probability"]),
        suggested_probability=format_share(row["suggested_probability"]),
        given_share=_clip_to_unit(row["given_probability"]),
        suggested_share=_clip_to_unit(row["suggested_probability"]),
        influence=format_decimal(row["influence"], 2),
        score="" if row["score"] == row["influence"] else format_number(row["score"]),
        reason=show_plain(row.get("reason") or "", SENTENCE),
        verdict=_judge_suggestion(truth.get(sample), row),
        image=image,
        overlay=tint,
        columns=_choose_columns(row, {bar.name for bar in bars.bars} if bars else set(), _list_texts(view)),
        bars=bars,
        **{kind: _list_witnesses(view, row, kind, decimals[kind]) for kind in MEASURES},
    )


def _weigh_words(view: RunView, row: Row) -> Bars | None:
    """Return the words of a text that speak most for one of its two labels."""
    if view.terms is None:
        return None
    text, weights = str(row["text"]), defaultdict[str, float](float)
    for word in find_telling_words(text, row["given_label"], row["suggested_label"], view.terms):
        sign = 1 if word.label == row["given_label"] else -1
        weights[text[word.start : word.end].lower()] += sign * word.weight
    top = sorted(weights.items(), key=lambda item: -abs(item[1]))[:SHOWN]
    if not top:
        return None
    largest = abs(top[0][1])
    for_whom = {True: show_plain(row["given_label"]), False: show_plain(row["suggested_label"])}
    return Bars(_WORDS, [Bar(show_plain(word), for_whom[w > 0], w / largest) for word, w in top])


def _clip_to_unit(value: float | None) -> float:
    return min(max(value or 0.0, 0.0), 1.0)


def _read_truth(view: RunView) -> dict[str, str]:
    """Return the true labels of the top of the queue, where they are known."""
    if view.scores is None or view.scores.truth is None:
        return {}
    wanted = pa.array([str(row["sample_id"]) for row in view.top])
    ids = view.scores.ids
    places = pc.indices_nonzero(pc.is_in(ids, value_set=wanted))
    codes = view.scores.truth[places.to_numpy()]
    names = ids.take(places).to_pylist()
    return {name: view.scores.classes[code] for name, code in zip(names, codes, strict=True) if code >= 0}


def _judge_suggestion(true: str | None, row: Row) -> str:
    if true is None:
        return ""
    if true == row["given_label"]:
        return f"Truth: {show_plain(true)}. The given label is right."
    right = "The suggestion is right." if true == row["suggested_label"] else "Both labels are wrong."
    return f"Truth: {show_plain(true)}. {right}"


def _list_texts(view: RunView) -> set[str]:
    """Return the columns of running text that are learned from, of which a card shows more than of others."""
    if view.dataset is None:
        return set()
    return {"text"} if view.dataset.payload == "text" else set(view.dataset.texts)


def _choose_columns(row: Row, telling: set[str], texts: set[str]) -> list[tuple[str, str, str]]:
    """Return the sample's own columns as far as a card has room, those first that its influence depends on most."""
    own = [(show_plain(name, NAME), value) for name, value in row.items() if name not in NOT_SHOWN]
    first = sorted(range(len(own)), key=lambda place: own[place][0] not in telling | texts)[:COLUMNS_SHOWN]
    short = shorten_names(name for name, _ in own)
    return [
        (name, short[name], show_plain(value, LONG_TEXT if name in texts or len(own) <= 2 else CELL))
        for name, value in (own[place] for place in sorted(first))
    ]


def _list_witnesses(view: RunView, row: Row, kind: str, decimals: int) -> list[Witness]:
    found = []
    for item in row["evidence"][kind][:WITNESSES]:
        label, name = show_plain(item.get("label")), show_plain(item["sample_id"])
        picture = view.neighbour_images.get(item["sample_id"])
        image = draw_thumbnail(picture, f"Sample {name}, labeled {label}", SMALL_SIDE)
        agrees = item.get("label") == row["suggested_label"]
        value = format_decimal(item.get(MEASURES[kind]), decimals)
        found.append(Witness(label, name, value, agrees, image))
    return found
