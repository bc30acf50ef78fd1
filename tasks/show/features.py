"""Saliency of features that are not pixels, made comparable between features of different units."""

import numpy as np
import numpy.typing as npt

from tasks.show.parts import Bar, Bars
from tasks.show.text import NAME, format_number, show_plain
from tasks.show.view import RunView

Floats = npt.NDArray[np.float64]

SHOWN = 5


def compute_effects(view: RunView, saliency: Floats) -> Floats:
    """Return how the influence changes when each feature rises by one standard deviation, to first order.

    Args:
        saliency: (..., features) derivative of the influence with respect to each feature.
    """
    spread = view.spreads
    return saliency if spread is None or len(spread) != saliency.shape[-1] else np.asarray(saliency * spread)


def name_feature(view: RunView, place: int) -> str:
    """Return a feature's name, its number where it has none."""
    names = view.feature_names
    return show_plain(names[place], NAME) if place < len(names) else f"feature {place + 1}"


def draw_bars(view: RunView, effect: Floats, caption: str, shown: int = SHOWN) -> Bars | None:
    """Return the features of largest effect as signed bars, None where all effects are 0.

    Args:
        effect: (features,) what `effects` returns.
    """
    effect = np.nan_to_num(effect)
    largest = np.abs(effect).max(initial=0.0)
    if not largest:
        return None
    order = np.argsort(-np.abs(effect), kind="stable")[:shown].tolist()
    found = [(name_feature(view, i), float(effect[i])) for i in order]
    return Bars(caption, [Bar(name, format_number(size), size / float(largest)) for name, size in found])
