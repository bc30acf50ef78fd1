"""How well the queue pays: precision so far, errors left, when to stop, and how reliable the reviewer is.

*Precision* is the share of decided samples whose given label was wrong (relabeled or dropped); unsure answers
do not count. Intervals are Jeffreys intervals, Beta(k + ½, n − k + ½) (Brown, Cai and DasGupta 2001,
"Interval estimation for a binomial proportion"), which hold their level at small n and near 0 and 1.

*Errors left*: the queue is sorted, so the share of wrong labels falls, or stays, with depth. Isotonic
regression (pool adjacent violators; Barlow et al. 1972) of "was wrong" on the position gives the falling step
function that fits the decisions best, wherever in the queue they were made; each undecided sample counts with
the rate of its step, those beyond the deepest decision with the rate of the last step. A falling rate makes
that an estimate on the high side, never a promise that nothing is left.

*When to stop*: given k wrong among the last n decisions, the number of wrong ones among the next m is
Beta-binomial(m, k + ½, n − k + ½). The suggestion comes when it is unlikely (under 5 %) to be worth the look:
`worth` of the next hundred or more.

*Precision without the reviewer's own errors*: planted controls with known answers give the reviewer's
sensitivity (share of planted errors found) and specificity (share of clean rows kept). Rogan and Gladen
(1978) correct the apparent precision by
them: (apparent + specificity − 1) / (sensitivity + specificity − 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

WINDOW: Final = 50
NEXT: Final = 100
# Below this share of wrong labels, twenty samples have to be looked at for one correction; `worth` changes
# it.
WORTH: Final = 0.05
# Fewer decisions than this say too little about a rate to speak of it at all: with 10 the interval still
# spans up to 0.6.
ENOUGH: Final = 20


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its interval."""

    wrong: int
    decided: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ErrorsLeft:
    """Wrong labels among the undecided samples of the queue, with a 95 % interval."""

    errors: float
    low: float
    high: float
    undecided: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the next samples are likely to bring."""

    stop: bool
    next_samples: int
    expected: float
    chance_it_pays: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A reviewer's answers to the planted controls; `precision` is the corrected one, where it is defined."""

    flips: int
    flips_found: int
    clean: int
    clean_kept: int
    precision: float | None


def estimate_rate(outcomes: Sequence[bool]) -> Rate | None:
    """Return the share of True with its 95 % Jeffreys interval; None without outcomes.

    >>> found = estimate_rate([True] * 40 + [False] * 10)
    >>> [round(value, 2) for value in (found.value, found.low, found.high)]
    [0.8, 0.67, 0.89]
    """
    if not outcomes:
        return None
    from scipy.stats import beta  # noqa: PLC0415 (heavy, and not needed to serve the first sample)

    wrong, decided = sum(outcomes), len(outcomes)
    low, high = beta.ppf([0.025, 0.975], wrong + 0.5, decided - wrong + 0.5).tolist()
    return Rate(wrong, decided, wrong / decided, low if wrong else 0.0, high if wrong < decided else 1.0)


def estimate_errors_left(
    positions: Sequence[int], wrong: Sequence[bool], undecided: Sequence[int]
) -> ErrorsLeft | None:
    """Estimate the wrong labels among the undecided samples.

    Args:
        positions: Queue positions of the decided samples, shape (n,).
        wrong: Whether each of them was wrong, shape (n,).
        undecided: Queue positions of the others, shape (m,).

    Returns:
        None with fewer than `ENOUGH` decisions.

    >>> left = estimate_errors_left(range(40), [True] * 20 + [False] * 20, range(40, 140))
    >>> round(left.errors), left.undecided
    (2, 100)
    """
    if len(positions) < ENOUGH:
        return None
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 (see `estimate_rate`)

    order = np.argsort(positions, kind="stable")
    at, outcome = np.asarray(positions)[order], np.asarray(wrong, dtype=float)[order]
    fitted = IsotonicRegression(increasing=False).fit_transform(at, outcome)
    starts = np.flatnonzero(np.r_[True, np.diff(fitted) != 0])  # (steps,)
    sizes = np.diff(np.r_[starts, len(at)])
    hits = np.add.reduceat(outcome, starts)
    a, b = hits + 0.5, sizes - hits + 0.5
    mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    step = np.clip(np.searchsorted(at[starts], np.asarray(undecided), side="right") - 1, 0, len(starts) - 1)
    counts = np.bincount(step, minlength=len(starts)).astype(float)  # undecided samples of each step
    expected = float(counts @ mean)
    # A sum of Beta-binomial counts, one for each step: uncertainty of the rate plus that of the draw.
    spread = 1.96 * float(np.sqrt(counts**2 @ variance + counts @ (mean * (1 - mean) - variance)))
    low, high = max(0.0, expected - spread), min(float(len(undecided)), expected + spread)
    return ErrorsLeft(expected, low, high, len(undecided))


def estimate_outlook(outcomes: Sequence[bool], undecided: int, worth: float = WORTH) -> Outlook | None:
    """Say whether the next samples are likely to pay.

    Args:
        outcomes: Whether each decided sample was wrong, oldest first.
        worth: Share of wrong labels from which looking pays.

    Returns:
        None while fewer than `WINDOW` are decided or nothing is left.

    >>> estimate_outlook([False] * 50, 1000).stop, estimate_outlook([True, False] * 25, 1000).stop
    (True, False)
    """
    if len(outcomes) < WINDOW or undecided == 0:
        return None
    from scipy.stats import betabinom  # noqa: PLC0415 (see `estimate_rate`)

    ahead = min(NEXT, undecided)
    recent = outcomes[-WINDOW:]
    a, b = sum(recent) + 0.5, len(recent) - sum(recent) + 0.5
    pays = float(betabinom.sf(int(np.ceil(worth * ahead)) - 1, ahead, a, b))
    return Outlook(pays < 0.05, ahead, ahead * a / (a + b), pays)


def judge_reviewer(flips: Sequence[bool], clean: Sequence[bool], apparent: Rate | None) -> Accuracy:
    """Judge a reviewer by the planted controls, and correct the apparent precision by that.

    Args:
        flips: For each answered planted error, whether the true label was given back.
        clean: For each answered clean row, whether it was kept.

    >>> apparent = estimate_rate([True] * 60 + [False] * 40)
    >>> round(judge_reviewer([True] * 9 + [False], [True] * 10, apparent).precision, 3)
    0.667
    """
    precision = None
    if flips and clean and apparent is not None:
        sensitivity, specificity = sum(flips) / len(flips), sum(clean) / len(clean)
        if sensitivity + specificity > 1:
            corrected = (apparent.value + specificity - 1) / (sensitivity + specificity - 1)
            precision = min(1.0, max(0.0, corrected))
    return Accuracy(len(flips), sum(flips), len(clean), sum(clean), precision)
