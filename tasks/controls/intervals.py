r"""Intervals that hold on real errors: every plausible way to tell how probably a label is wrong, spanned.

Planted controls are found as errors of this data set are, if these are like the planted ones. Errors of heuristics and single
raters are not: on 8 sets of them intervals from controls alone held in a quarter of the cases for share and recall. So the
probabilities v_i that a label is wrong (`tasks.attribute.noise`) are taken in several ways, and the intervals span all of them:

    certainty of the gain > 2    by the noise matrix at T = 2, 3, 4, the same times sqrt(a kappa), and the controls
    elsewhere                    by the noise matrix at T = 2, 3, 4, argmax m differs, 1 - m(y), and those at T = 3 and of
                                 1 - m(y) times kappa

    certainty < -2               these, and that no label is wrong

with a the mean of m(y), and kappa the skill: where labels are predicted no better than by guessing, none of them need be wrong.
Below -2, errors that are spread over all samples of a class are ruled out: what differs lies where the classes overlap, and right
labels look the same there. Of 1,000 samples of two overlapping Gaussian classes, without a single wrong label, 135 were flagged,
and without that way the precision was said to be .29 to .93.
Each way gives a share, sum v / n, a precision, the mean of v among the flagged, and a recall, the share of sum v that is flagged;
where the errors depend on the sample, recall may be as low as the lowest precision x flagged share / highest share of wrong
labels.

The estimates are, with b = a from the certainty of the gain (`tasks.attribute.noise`):

    share        b sum v / n at T = 3 + (1 - b) share of argmax m that differs
    precision    mean of v among the flagged at T = 3
    recall       precision x flagged share / share

On 29 sets of numbers (14 planted, 5 real, 10 of weak labellers) they are off by .025, .13 and .19 on average; those at T = 2 by
.049, .19 and .21. On texts of raters all of this is too high, and T = 2 is nearer: off by .07 and .22 on 20 sets, where T = 3
is off by .09 and .42. There recall is the mean of what T = 2 and 1 - m(y) say.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from tasks.attribute.doubts import Doubts, Way
from tasks.attribute.noise import ORDERING, SHARPNESS, WAYS, compute_class_share
from tasks.controls.estimate import (
    CONFIDENCE,
    Estimate,
    Quality,
    agree_depths,
    cover_both,
    make_share_span,
)

# The gain of the noise matrix in standard errors from which errors are taken to depend on the class.
CERTAIN = 2.0
_BY_MATRIX = WAYS[:3]


def widen_quality(
    quality: Quality, doubts: Doubts, confidence: float = CONFIDENCE, *, of_texts: bool = False
) -> Quality:
    """Return the quality with estimates and intervals that all ways to tell the errors allow.

    Args:
        quality: By planted controls.
        doubts: Of the audit of the real labels; with raters the quality stays as it is.
        confidence: Of the intervals.
        of_texts: Whether the samples are texts, whose estimates are others.
    """
    if doubts.skill is None or doubts.certainty is None:
        return quality
    ways, believed = doubts.ways, 1 - doubts.ways["doubted"].total / doubts.samples
    is_certain = doubts.certainty > CERTAIN
    plausible = [ways[name] for name in _BY_MATRIX] if is_certain else list(ways.values())
    if is_certain:
        plausible += [_scale(way, float(np.sqrt(believed * doubts.skill))) for way in plausible]
    else:
        plausible += [_scale(ways[name], doubts.skill) for name in (f"sharpness {SHARPNESS:g}", "doubted")]
    if do_overlap(doubts):
        plausible.append(Way(0.0, 0.0, 0.0))
    estimates = estimate_of_texts(doubts) if of_texts else estimate_of_numbers(doubts)
    each = 1.0 if quality.planted_groups is None else quality.planted / quality.planted_groups
    n, flagged = doubts.samples, doubts.flagged
    share = _span_all(estimates.share, (_span_share(way, n, each, confidence) for way in plausible))
    recall = _span_all(
        estimates.recall,
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
        precision = _span_all(estimates.precision, parts)
        if not is_certain:
            least = min(recall.low, precision.low * flagged / n / max(share.high, 1e-9))
            recall = replace(recall, low=least)
    if is_certain:
        share, recall = cover_both(share, quality.noise_rate), cover_both(recall, quality.recall)
        precision = precision and quality.precision and cover_both(precision, quality.precision)
    return agree_depths(replace(quality, noise_rate=share, recall=recall, precision=precision))


def do_overlap(doubts: Doubts) -> bool:
    """Return whether the doubted samples lie where classes overlap, so that all their labels may be right."""
    return doubts.certainty is not None and doubts.certainty < -CERTAIN


class Estimates(NamedTuple):
    """Single figures for a queue, each from 0 to 1."""

    share: float
    recall: float
    precision: float


def estimate_of_numbers(doubts: Doubts) -> Estimates:
    """Return the estimates for tables, images and embeddings."""
    sharp, by_class = doubts.ways[f"sharpness {SHARPNESS:g}"], compute_class_share(doubts.certainty or 0.0)
    wrong = by_class * sharp.total + (1 - by_class) * doubts.ways["differs"].total
    recall = min(1.0, sharp.flagged / max(wrong, 1e-9))
    return Estimates(wrong / doubts.samples, recall, sharp.flagged / max(doubts.flagged, 1))


def estimate_of_texts(doubts: Doubts) -> Estimates:
    """Return the estimates for texts."""
    soft = doubts.ways[f"sharpness {ORDERING:g}"]
    recalls = [way.flagged / max(way.total, 1e-9) for way in (soft, doubts.ways["doubted"])]
    recall = recalls[0] if (doubts.certainty or 0.0) > CERTAIN else sum(recalls) / 2
    return Estimates(soft.total / doubts.samples, recall, soft.flagged / max(doubts.flagged, 1))


def _scale(way: Way, factor: float) -> Way:
    return Way(factor * way.total, factor**2 * way.squares, factor * way.flagged)


def _span_all(estimate: float, parts: Iterable[Estimate]) -> Estimate:
    found = Estimate(estimate, estimate, estimate)
    for part in parts:
        found = cover_both(found, part)
    return found


def _span_share(way: Way, n: int, each: float, confidence: float) -> Estimate:
    """Return the share of wrong labels: which of them are is not known, nor the share that the data were drawn with."""
    mean = way.total / n
    variance = (way.total - way.squares) / n + mean * (1 - mean)
    reach = float(norm.ppf((1 + confidence) / 2)) * float(np.sqrt(max(0.0, variance) * each / n))
    return Estimate(mean, max(0.0, mean - reach), min(1.0, mean + reach))
