"""Saliency of features that are no pixels, made comparable between features of different units."""

import numpy as np
import numpy.typing as npt

from tasks.show.parts import Bar, Bars
from tasks.show.text import NAME, number, plain
from tasks.show.view import RunView

Floats = npt.NDArray[np.float64]

SHOWN = 5


def effects(view: RunView, saliency: Floats) -> Floats:
    """Return how the influence changes when each feature rises by one standard deviation, to first order.

    Args:
        view: The run.
        saliency: (..., features) derivative of the influence with respect to each feature.
    """
    spread = view.spreads
    return saliency if spread is None or len(spread) != saliency.shape[-1] else np.asarray(saliency * spread)


def feature_name(view: RunView, place: int) -> str:
    """Return a feature's name, its number where it has none."""
    names = view.feature_names
    return plain(names[place], NAME) if place < len(names) else f"feature {place + 1}"


def signed_bars(view: RunView, saliency: Floats, shown: int = SHOWN, caption: str = "") -> Bars | None:
    """Return the features that a sample's influence depends on most, None where it depends on none.

    Args:
        view: The run.
        saliency: (features,) derivative of the influence with respect to each feature.
        shown: Number of bars.
        caption: Caption of the bars.
    """
    effect = np.nan_to_num(effects(view, saliency))
    largest = np.abs(effect).max(initial=0.0)
    if largest == 0:
        return None
    order = np.argsort(-np.abs(effect), kind="stable")[:shown]
    bars = [
        Bar(feature_name(view, int(i)), number(float(effect[i])), float(effect[i] / largest)) for i in order
    ]
    return Bars(caption or "Change of its influence when a feature rises by one standard deviation", bars)
