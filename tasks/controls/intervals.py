r"""Intervals that hold on real errors: every plausible way to tell how probably a label is wrong, spanned.

Planted controls are found as errors of this data set are, if these are like the planted ones. Errors of heuristics and single
raters are not: on 8 sets of them intervals from controls alone held in a quarter of the cases for share and recall. So the
probabilities v_i that a label is wrong (`tasks.attribute.noise`) are taken in several ways, and the intervals span all of them:

    certainty of the gain > 2    by the noise matrix at T = 2, 3, 4, the same times sqrt(a kappa), and the controls
    elsewhere                    by the noise matrix at T = 2, 3, 4, argmax m differs, 1 - m(y), and those at T = 3 and of
                                 1 - m(y) times kappa

with a the mean of m(y), and kappa the skill: where labels are predicted no better than by guessing, none of them need be wrong.
Each way gives a share, sum v / n, a precision, the mean of v among the flagged, and a recall, the share of sum v that is flagged;
where the errors depend on the sample, recall may be as low as the lowest precision x flagged share / highest share of wrong
labels. The estimates are those at T = 2, which are least biased in both cases; recall is, where errors depend on the sample, the
mean of that and of what 1 - m(y) says.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from tasks.attribute.doubts import Doubts, Way
from tasks.attribute.noise import ORDERING, SHARPNESS, WAYS
from tasks.controls.estimate import (
    CONFIDENCE,
    Estimate,
    Quality,
    agree_depths,
    make_share_span,
    span_both,
)

# The gain of the noise matrix in standard errors from which errors are taken to depend on the class.
CERTAIN = 2.0
_BY_MATRIX = WAYS[:3]


def widen_quality(quality: Quality, doubts: Doubts, confidence: float = CONFIDENCE) -> Quality:
    """Return the quality with estimates and intervals that all ways to tell the errors allow.

    Args:
        quality: By planted controls.
        doubts: Of the audit of the real labels; with raters the quality stays as it is.
    """
    if doubts.skill is None or doubts.certainty is None:
        return quality
    ways, believed = doubts.ways, 1 - doubts.ways["doubted"].total / doubts.samples
    is_certain = doubts.certainty > CERTAIN
    plausible = [ways[name] for name in _BY_MATRIX] if is_certain else list(ways.values())
    if is_certain:
        plausible += [_scaled(way, float(np.sqrt(believed * doubts.skill))) for way in plausible]
    else:
        plausible += [_scaled(ways[name], doubts.skill) for name in (f"sharpness {SHARPNESS:g}", "doubted")]
    best = ways[f"sharpness {ORDERING:g}"]
    each = 1.0 if quality.planted_groups is None else quality.planted / quality.planted_groups
    n, flagged = doubts.samples, doubts.flagged
    share = _spanning(best.total / n, (_share(way, n, each, confidence) for way in plausible))
    found = [way.flagged / max(way.total, 1e-9) for way in (best, ways["doubted"])]
    recall = _spanning(
        found[0] if is_certain else sum(found) / 2,
        (
            make_share_span(way.flagged / max(way.total, 1e-9), errors, round(errors), confidence)
            for way in plausible
            for errors in [max(1.0, way.total / each)]
        ),
    )
    precision = None
    if flagged:
        drawn = max(1, round(flagged / each))
        parts = (make_share_span(way.flagged / flagged, drawn, drawn, confidence) for way in plausible)
        precision = _spanning(best.flagged / flagged, parts)
        if not is_certain:
            least = min(recall.low, precision.low * flagged / n / max(share.high, 1e-9))
            recall = replace(recall, low=least)
    if is_certain:
        share, recall = span_both(share, quality.noise_rate), span_both(recall, quality.recall)
        precision = precision and quality.precision and span_both(precision, quality.precision)
    return agree_depths(replace(quality, noise_rate=share, recall=recall, precision=precision))


def _scaled(way: Way, factor: float) -> Way:
    return Way(factor * way.total, factor**2 * way.squares, factor * way.flagged)


def _spanning(estimate: float, parts: Iterable[Estimate]) -> Estimate:
    found = Estimate(estimate, estimate, estimate)
    for part in parts:
        found = span_both(found, part)
    return found


def _share(way: Way, n: int, each: float, confidence: float) -> Estimate:
    """Return the share of wrong labels: which of them are is not known, nor the share that the data were drawn with."""
    mean = way.total / n
    variance = (way.total - way.squares) / n + mean * (1 - mean)
    reach = float(norm.ppf((1 + confidence) / 2)) * float(np.sqrt(max(0.0, variance) * each / n))
    return Estimate(mean, max(0.0, mean - reach), min(1.0, mean + reach))
