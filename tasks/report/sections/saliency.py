"""Which pixels or features make the top of the queue harmful."""

import numpy as np

from tasks.report.summary import Summary
from tasks.show.features import compute_effects, draw_bars
from tasks.show.images import SATURATION, SIDE, encode_data_uri, sum_channels
from tasks.show.parts import Picture, Section, Text
from tasks.show.scores import Floats
from tasks.show.text import pluralise
from tasks.show.view import RunView

FEATURES = 10


def build(view: RunView, _: Summary) -> Section | None:
    """Return the mean magnitude of the saliency over the top of the queue."""
    top = [view.saliency[row["sample_id"]] for row in view.top if row["sample_id"] in view.saliency]
    rows = [values for values in top if np.isfinite(values).all()]
    if not rows or view.dataset is None or len({len(values) for values in rows}) > 1:
        return None
    if view.dataset.payload == "text":  # mixtures of thousands of words have no name; the cards show words
        return None
    what = Text(
        "Saliency is the derivative of a sample's influence with respect to its own input, each feature counted by how much "
        "it varies in the data: where a small change would make its label less harmful, or more. Here is its mean "
        f"magnitude over the {pluralise(len(rows), 'worst sample')}; the cards show each one with its sign."
    )
    effect = np.abs(compute_effects(view, np.stack(rows))).mean(axis=0)
    image = view.dataset.payload == "image"
    caption = f"The {FEATURES} features that matter most. " if len(effect) > FEATURES else ""
    caption += "Mean magnitude of the change of influence when a feature rises by one standard deviation"
    shape = view.dataset.feature_shape
    part = _draw_picture(effect, shape) if image else draw_bars(view, effect, caption, FEATURES)
    if part is None:
        return None
    return Section("saliency", "What makes them harmful", [what, part], "Saliency", folded=True)


def _draw_picture(effect: Floats, shape: tuple[int, ...]) -> Picture | None:
    field = sum_channels(effect, shape)
    if field is None or field.max() <= 0:
        return None
    from PIL import Image  # noqa: PLC0415 (not needed for tables)

    bright = np.clip(field / np.quantile(field[field > 0], SATURATION), 0, 1)
    picture = Image.fromarray(np.uint8(np.round(255 * bright)))
    alt = "Mean magnitude of the saliency for each pixel"
    caption = "Mean magnitude of the saliency at each pixel: the brighter, the more the pixel matters."
    return Picture(encode_data_uri(picture, alt, 2 * SIDE), caption)
