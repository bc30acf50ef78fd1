"""Samples that are nearly the same as another one, and samples that are far from everything, by their nearest neighbours."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.heads.neighbours import Floats, Ints, Neighbours

# Samples nearer than this share of the median distance to a nearest neighbour are nearly the same: cleanlab's default.
NEARLY_SAME = 0.13
# Mean distances to the neighbours of more than this many medians are far from everything: cleanlab's default, 1 / 0.37.
FAR = 2.7


@dataclass(frozen=True)
class NearDuplicates:
    """Samples that are nearly the same: which, and the smallest distance between two, in multiples of the usual one."""

    members: Ints
    distance: float


def find_near_duplicates(found: Neighbours, content: npt.NDArray[np.object_]) -> list[NearDuplicates]:
    """Return the groups of samples that are nearly the same, without being identical.

    Args:
        content: (m,) hashes: identical content is known already, and makes no group alone.

    Returns:
        Each sample at most once; the closest group first.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    usual = measure_usual_distance(found)
    if not usual:
        return []
    place, column = np.nonzero(found.distance <= NEARLY_SAME * usual)
    other = found.index[place, column]
    inside = (content[place] != content[other]) & (place != other)
    place, other, distance = place[inside], other[inside], found.distance[place, column][inside]
    if not len(place):
        return []
    size = len(content)
    links = coo_array((np.ones(len(place), np.int8), (place, other)), (size, size))
    group = connected_components(links, directed=False)[1]
    touched = np.unique(np.concatenate([place, other]))
    nearest = np.full(group.max() + 1, np.inf)
    np.minimum.at(nearest, group[place], distance)
    order = touched[np.argsort(group[touched], kind="stable")]
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    groups = [NearDuplicates(rows, float(nearest[group[rows[0]]] / usual)) for rows in members]
    return sorted(groups, key=lambda one: (one.distance, int(one.members[0])))


def measure_usual_distance(found: Neighbours) -> float:
    """Return the median distance to a nearest neighbour, of samples that have none at the same place; 0 where all have."""
    nearest = found.distance[:, 0]
    apart = nearest[(nearest > 0) & np.isfinite(nearest)]
    return float(np.median(apart)) if len(apart) else 0.0


def find_outliers(found: Neighbours) -> tuple[Ints, Floats]:
    """Return the outliers, farthest first, and how far they are: mean distances to neighbours in multiples of the median.

    >>> from tasks.heads.neighbours import find_neighbours
    >>> line = np.concatenate([np.linspace(0, 1, 40), [9]]).astype(np.float32)[:, None]
    >>> find_outliers(find_neighbours(line))[0].tolist()
    [40]
    """
    there = np.isfinite(found.distance)
    mean = np.where(there, found.distance, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    middle = np.median(mean)
    if not middle > 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    times = (mean / middle).astype(np.float32)
    far = np.flatnonzero(times > FAR)
    order = far[np.argsort(-times[far], kind="stable")]
    return order.astype(np.int64), times[order]
