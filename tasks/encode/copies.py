"""Which samples are copies of one another: near-duplicates, before anybody has looked at a label.

Copies are a small set of samples that are each other's nearest neighbours, with nothing else near: they are at most half as
far from each other as from the nearest other sample. In d dimensions a pair is so by chance with probability (1/2)^d: the
distances to two neighbours, to the power of d, are as two sorted uniform numbers (Facco and others, "Estimating the intrinsic
dimension of datasets by a minimal neighborhood information", 2017). So sets count only where there are clearly more of them than
that; where there are not, closer ones are tried. On 20 sets without copies (digits, iris, wine, penguins, texts, clusters,
moons) the formula was never exceeded by half. Single linkage would do worse: in dense data it chains half of all samples into one
group.

Identical rows of a table of few different values are not copies but coincidences. They come with many pairs that differ in one
column only: for each 1 - p of those there are p identical ones, where p is the chance that two values of the column are equal.
"""

import numpy as np
from scipy.stats import poisson

from tasks.arrays import Array
from tasks.heads.neighbours import Ints, Neighbours

# How much nearer than the next other sample a copy is, from the widest; each has half the area of the one before.
RATIOS = tuple(2.0 ** (-step / 2) for step in range(2, 13))
# Sets of copies are believed where so many are improbable by chance, and are more than this many times what is expected: points
# of real data are not as even as the formula takes them to be.
IMPROBABLE, CLEARLY_MORE = 1e-3, 4
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # spreads small codes over 64 bits (Knuth's multiplicative hashing)


def find_copy_sets(found: Neighbours, content: Array) -> list[Ints]:
    """Return the sets of samples that are copies of one another, each sample at most once; identical ones alone are not a set.

    Args:
        found: Neighbours; a set has at most as many samples as each has neighbours.
        content: (n,) numbers, the same for samples of identical content.

    >>> from tasks.heads.neighbours import find_neighbours
    >>> points = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    >>> points[:20] = points[20:40] + 0.01
    >>> sets = find_copy_sets(find_neighbours(points), np.arange(200))
    >>> len(sets), sets[0].tolist()
    (20, [0, 20])
    """
    # A distance that was computed between identical samples may be rounding.
    same = content[found.index] == content[:, None]
    found = Neighbours(np.where(same, np.float32(0), found.distance), found.index)
    for ratio in RATIOS:
        sets = _find_isolated(found, ratio)
        expected = len(found.index) * ratio ** _estimate_dimension(found, sets) / 2
        if len(sets) > CLEARLY_MORE * expected and poisson.sf(len(sets) - 1, expected) < IMPROBABLE:
            return sets
    return []


def _find_isolated(found: Neighbours, ratio: float) -> list[Ints]:
    """Return the sets of each other's nearest neighbours that are at most `ratio` as far apart as the next other sample."""
    distance = found.distance.astype(np.float64)
    near, far = distance[:, :-1], distance[:, 1:]
    share = np.divide(near, far, out=np.ones_like(near), where=(near > 0) & np.isfinite(near))
    gap = share.argmin(axis=1)
    sure = np.flatnonzero(share[np.arange(len(gap)), gap] <= ratio)
    claims: dict[tuple[int, ...], int] = {}
    for sample, last in zip(sure.tolist(), gap[sure].tolist(), strict=True):
        claim = tuple(sorted([sample, *found.index[sample, : last + 1].tolist()]))
        claims[claim] = claims.get(claim, 0) + 1
    return [np.array(claim, np.int64) for claim, times in sorted(claims.items()) if times == len(claim)]


def _estimate_dimension(found: Neighbours, sets: list[Ints]) -> float:
    """Return the dimension that the samples fill, by the distances beyond the sets (Levina and Bickel, 2004)."""
    own = np.zeros(len(found.index), np.int64)
    for rows in sets:
        own[rows] = len(rows) - 1
    distance = found.distance.astype(np.float64)
    places = np.arange(distance.shape[1])
    outside = (places >= own[:, None]) & (distance > 0) & np.isfinite(distance)
    last = np.where(outside, distance, 0).max(axis=1, keepdims=True)
    logs = np.log(np.where(outside, last / np.where(outside, distance, 1), 1))
    counted = outside.sum() - (last > 0).sum()
    total = float(logs.sum())
    return float(counted / total) if total > 0 else np.inf


def are_coincidences(values: Array) -> bool:
    """Return whether as many rows of a table are identical as are to be expected.

    Args:
        values: (m, d) columns as they are, NaN where a value is missing.

    >>> random = np.random.default_rng(0)
    >>> few = random.integers(3, size=(500, 4)).astype(float)
    >>> many = np.repeat(random.normal(size=(250, 4)), 2, axis=0)
    >>> are_coincidences(few), are_coincidences(many)
    (True, False)
    """
    codes = np.stack(
        [np.unique(column, return_inverse=True, equal_nan=True)[1] for column in values.T], axis=1
    )
    mixed = codes.astype(np.uint64) * _draw_factors(values.shape[1]) * _SPREAD
    mixed ^= mixed >> np.uint64(29)
    whole = mixed.sum(axis=1)
    identical = _count_pairs(whole)
    expected = 0.0
    for place in range(values.shape[1]):
        equal = _count_pairs(codes[:, place]) / max(len(codes) * (len(codes) - 1) / 2, 1)
        nearly = _count_pairs(whole - mixed[:, place]) - identical
        if equal < 1:
            expected = max(expected, nearly * equal / (1 - equal))
    return identical <= CLEARLY_MORE * expected


def _draw_factors(count: int) -> Array:
    drawn: Array = np.random.default_rng(0).integers(2**64, size=count, dtype=np.uint64) | np.uint64(1)
    return drawn


def _count_pairs(keys: Array) -> float:
    """Return how many pairs of keys are equal."""
    counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum() / 2)


def find_identical(content: Array) -> list[Ints]:
    """Return the sets of samples of identical content.

    >>> [rows.tolist() for rows in find_identical(np.array([4, 7, 4, 9]))]
    [[0, 2]]
    """
    order = np.argsort(content, kind="stable").astype(np.int64)
    ends = np.append(np.flatnonzero(content[order][1:] != content[order][:-1]) + 1, len(order))
    sizes = np.diff(ends, prepend=0)
    many = sizes > 1
    return [order[end - size : end] for end, size in zip(ends[many], sizes[many], strict=True)]


def drop_whole_classes(sets: list[Ints], labels: Array, dealt: Array, folds: int) -> list[Ints]:
    """Return the sets of which none holds more of a class than its share of a fold.

    A class that is in one fold cannot be learned without it: what looks like copies may be all that there is of it.

    Args:
        labels: (n,) given classes.
        dealt: (n,) bool, the samples that are dealt to folds.
        folds: K.
    """
    most = np.bincount(labels[dealt], minlength=int(labels.max()) + 1) // folds
    found = []
    for rows in sets:
        kinds, counts = np.unique(labels[rows], return_counts=True)
        if (counts <= most[kinds]).all():
            found.append(rows)
    return found
