r"""What the controls say of the queue: recall, the number of wrong labels, precision at each depth.

Two estimates of the share a of wrong labels are made, by assumptions of their own. The first is the mean probability of being
wrong, under the model and the noise matrix (`tasks.attribute.noise`): it trusts the model. The second trusts the controls. Let
q_c(t) be the share of the controls, and q_u(t) the share of all other samples, that score at most t. Wrong labels score like
controls and right ones add to q_u, so q_u(t) >= a q_c(t) at every t, with equality where the top of the queue is pure. Hence

    a = min_t q_u(t) / q_c(t),

taken where the ratio is known well enough (its uncertainty by the inequality of Dvoretzky, Kiefer and Wolfowitz is added
before the minimum is taken): the best bin estimate of Garg, Wu, Smola, Balakrishnan and Lipton, "Mixture Proportion
Estimation and PU Learning: A Modern Approach", 2021. The first is the estimate, being off by half as much on the develop half
of the quality benchmark, and the interval spans those of both: where they disagree, one of the assumptions is wrong.

Recall is the share of the controls that are flagged, precision the mean probability of being wrong among the flagged. Again the
intervals span those of both: the share of the expected errors that are flagged, as the model sees it, and the precision that
recall and best bin make together. They are for the shares among this data set's own errors, which are few: beta-binomial.

It assumes that this data set's errors are about as hard to find as the controls. Errors that look right to every model are
in neither count. `tasks.controls.intervals` widens the intervals by what the audit itself leaves open.

Where samples belong together, controls are planted in whole groups, and the samples of a group speak with one voice: the
intervals are those of as many fewer samples as a planted group has on average.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import betabinom, norm

from tasks.arrays import Array

CONFIDENCE = 0.95
RESAMPLES = 400

# Failure probability of the uniform bounds that the best bin is chosen by: the paper's choice.
DELTA = 0.1

# A depth above which fewer controls lie is not spoken of: the standard error would be over a fifth of the precision.
FEWEST_CONTROLS = 25

# Depths of the queue that the estimate is given for.
DEPTHS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)


@dataclass(frozen=True)
class Estimate:
    """A share with its interval, of 95 % unless another confidence was asked for."""

    estimate: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Estimate":
        """Return the share times a factor, at most 1."""
        return Estimate(*(min(1.0, value * factor) for value in (self.estimate, self.low, self.high)))


@dataclass(frozen=True)
class Depth:
    """What a reviewer who stops after `depth` samples has: the share of wrong labels met, and how pure the queue was."""

    depth: int
    recall: float
    precision: float


@dataclass(frozen=True)
class Quality:
    """What the controls say of the queue.

    Attributes:
        planted: Controls planted.
        planted_groups: Groups that the controls were planted in, None where each was planted alone.
        recall: Share of the wrong labels that are flagged.
        noise_rate: Share of all samples whose label is wrong.
        precision: Share of the flagged samples whose label is wrong; None where nothing is flagged.
    """

    planted: int
    found: int
    recall: Estimate
    noise_rate: Estimate
    precision: Estimate | None
    depths: tuple[Depth, ...]
    planted_groups: int | None = None


def compare_with_shadow(
    score: Array,
    flagged: Array,
    wrong: Array,
    controls: Array,
    flagged_before: int,
    confidence: float = CONFIDENCE,
    unit: Array | None = None,
    verified: Array | None = None,
) -> Quality:
    """Return what a shadow audit says of the real queue.

    Args:
        score: (n,) score of the shadow audit, lower = more likely mislabeled.
        flagged: (n,) bool, what the shadow audit flagged.
        wrong: (n,) probability that each label is wrong, of the shadow audit.
        controls: (m,) indices of the planted controls, m > 0.
        unit: (m,) numbers of which equal ones were planted together, from 0; None where each was planted alone.
        verified: (n,) bool, labels that are right, and never in the queue; None where that is known of none.
    """
    others = np.ones(len(score), dtype=bool) if verified is None else ~verified
    others[controls] = False
    order = np.argsort(score[controls], kind="stable")
    planted, unit = score[controls][order], None if unit is None else unit[order]
    groups = None if unit is None else int(unit.max()) + 1
    each = 1 if groups is None else len(controls) / groups
    below = np.searchsorted(np.sort(score[others]), planted, side="right")
    best = _find_interval(planted, below, int(others.sum()), confidence, unit)
    share = _span_mean(best, wrong[others], confidence, each)
    found, m = int(flagged[controls].sum()), len(controls)
    noise = share.scaled(others.sum() / len(score))
    errors = max(1, round(noise.estimate * len(score) / each))
    doubted = wrong[flagged & others]
    believed = float(doubted.sum(dtype=np.float64)) / max(float(wrong[others].sum(dtype=np.float64)), 1e-9)
    recall = cover_both(
        make_share_span(found / m, m / each, errors, confidence),
        make_share_span(believed, errors, errors, confidence),
    )
    purity = float(doubted.mean(dtype=np.float64)) if len(doubted) else 0.0
    precision = cover_both(
        make_share_span(purity, len(doubted) / each, max(1, round(flagged_before / each)), confidence),
        best.scaled(recall.estimate * others.sum() / max(flagged_before, 1)),
    )
    depths = _list_depths(np.sort(score[others]), planted, flagged_before)
    quality = Quality(m, found, recall, noise, precision if flagged_before else None, depths, groups)
    return agree_depths(quality)


def _span_mean(best: Estimate, wrong: Array, confidence: float, each: float) -> Estimate:
    """Return the mean probability of being wrong, with an interval that spans its own and that of the best bin."""
    mean = float(wrong.mean(dtype=np.float64))
    # Which of the labels are wrong is not known, nor is the share that the data were drawn with.
    variance = float((wrong * (1 - wrong)).sum(dtype=np.float64)) / len(wrong) + mean * (1 - mean)
    reach = float(norm.ppf((1 + confidence) / 2)) * float(np.sqrt(variance * each / len(wrong)))
    return cover_both(Estimate(mean, max(0.0, mean - reach), min(1.0, mean + reach)), best)


def cover_both(first: Estimate, second: Estimate) -> Estimate:
    """Return the first estimate with an interval that spans those of both."""
    return Estimate(first.estimate, min(first.low, second.low), max(first.high, second.high))


def make_share_span(share: float, seen: float, drawn: int, confidence: float) -> Estimate:
    """Return a share that was estimated from `seen` samples, with the interval of the share among `drawn` others.

    >>> make_share_span(0.5, 10, 20, 0.95)
    Estimate(estimate=0.5, low=0.15, high=0.85)
    """
    # Jeffreys' prior, a half of a sample on either side.
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = betabinom.ppf(tails, drawn, share * seen + 0.5, (1 - share) * seen + 0.5) / drawn
    return Estimate(share, min(float(low), share), max(float(high), share))


def find_best_bin(below: Array, planted_below: Array, n: int, m: int) -> float:
    """Return the share of wrong labels among the other samples.

    Args:
        below: (t,) others that score at most each threshold.
        planted_below: (t,) controls that do, above 0.

    >>> find_best_bin(np.array([5, 10, 60]), np.array([5, 10, 10]), n=100, m=10)  # the first ten of a hundred are wrong
    0.1
    """
    wrong, planted = below / n, planted_below / m
    slack = np.sqrt(np.log(4 / DELTA) / 2) * (1 / np.sqrt(n) + 1 / np.sqrt(m))
    best = int(np.argmin((wrong + slack) / planted))
    return float(min(wrong[best] / planted[best], 1.0))


def _find_interval(
    planted: Array, below: Array, n: int, confidence: float, unit: Array | None = None
) -> Estimate:
    """Return the estimate and its bootstrap interval: controls drawn again, counts of the others varied as Poisson.

    Controls that were planted together, those of equal `unit`, are drawn together.
    """
    m = len(planted)
    estimate = find_best_bin(below, np.arange(1, m + 1), n, m)
    generator = np.random.default_rng(0)  # the same run has the same interval
    steps = np.diff(below, prepend=0)
    drawn = []
    unit = np.arange(m) if unit is None else unit
    units = int(unit.max()) + 1
    for _ in range(RESAMPLES):
        again = generator.multinomial(units, np.full(units, 1 / units))[unit].cumsum()
        varied = generator.poisson(steps).cumsum()
        drawn.append(find_best_bin(varied[again > 0], again[again > 0], n, int(again[-1])))
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(estimate, float(min(low, estimate)), float(max(high, estimate)))


def agree_depths(quality: Quality) -> Quality:
    """Return the quality with depths of which the last one, the end of the queue, has its recall and its precision."""
    if not quality.depths or quality.precision is None:
        return replace(quality, depths=())
    *_, end = quality.depths
    shares = [depth.recall / end.recall for depth in quality.depths]
    wrong = quality.precision.estimate * end.depth
    depths = tuple(
        Depth(depth.depth, share * quality.recall.estimate, min(1.0, share * wrong / depth.depth))
        for depth, share in zip(quality.depths, shares, strict=True)
    )
    return replace(quality, depths=depths)


def _list_depths(others: Array, planted: Array, flagged: int) -> tuple[Depth, ...]:
    """Return recall by the controls at round depths up to what is flagged, and there, where enough controls lie above."""
    depths = [depth for depth in DEPTHS if depth < flagged] + ([flagged] if flagged else [])
    found = []
    for depth in depths:
        threshold = others[min(depth, len(others)) - 1]
        above = int(np.searchsorted(planted, threshold, side="right"))
        if above >= FEWEST_CONTROLS:
            found.append(Depth(depth, above / len(planted), 1.0))
    return tuple(found)
