"""Which pixels or features make the top of the queue harmful."""

import numpy as np

from tasks.report.features import effects, feature_name
from tasks.report.images import SATURATION, SIDE, encode, plane
from tasks.report.parts import Bar, Bars, Part, Picture, Section, Text
from tasks.report.summary import Summary
from tasks.report.text import counted, number
from tasks.report.view import RunView

FEATURES = 10


def build(view: RunView, _: Summary) -> Section | None:
    """Return the mean magnitude of the saliency over the top of the queue."""
    rows = [values for values in view.saliency.values() if np.isfinite(values).all()]
    if not rows or view.dataset is None or len({len(values) for values in rows}) > 1:
        return None
    stack = np.stack(rows)
    what = Text(
        "Saliency is the derivative of a sample's influence with respect to its own input: where a small change would make its label "
        f"less harmful, or more. Here is its mean magnitude over the {counted(len(rows), 'worst sample')}; the cards show each one with its sign."
    )
    part: Part | None
    if view.dataset.payload == "image":
        part = _picture(effects(view, stack), view.dataset.feature_shape)
    else:
        part = _bars(view, stack)
    return None if part is None else Section("saliency", "What makes them harmful", [what, part], "Saliency")


def _picture(stack: np.ndarray, shape: tuple[int, ...]) -> Picture | None:
    field = plane(np.abs(stack).mean(axis=0), shape)
    if field is None or field.max() <= 0:
        return None
    from PIL import Image  # noqa: PLC0415 (not needed for tables)

    bright = np.clip(field / np.quantile(field[field > 0], SATURATION), 0, 1)
    picture = Image.fromarray(np.uint8(np.round(255 * bright)))
    alt = "Mean magnitude of the saliency for each pixel"
    return Picture(encode(picture, alt, 2 * SIDE), "Mean magnitude of the saliency at each pixel: the brighter, the more the pixel matters.")


def _bars(view: RunView, stack: np.ndarray) -> Bars | None:
    mean = np.abs(effects(view, stack)).mean(axis=0)
    if not mean.max(initial=0.0):
        return None
    order = np.argsort(-mean, kind="stable")[:FEATURES]
    bars = [Bar(feature_name(view, int(i)), number(float(mean[i])), float(mean[i] / mean.max())) for i in order]
    shown = f"The {FEATURES} features that matter most. " if len(mean) > FEATURES else ""
    return Bars(f"{shown}Mean magnitude of the change of influence when a feature rises by one standard deviation", bars)
