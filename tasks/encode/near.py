"""Neighbours, and what they show: samples that are nearly the same, and samples that are far from everything.

Exact where samples are few (scikit-learn), from an inverted file of cells where they are many (FAISS), both bounded.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Neighbours of each sample: cleanlab's default for outliers.
NEIGHBOURS = 10
# Samples nearer than this share of the median distance to a nearest neighbour are nearly the same: cleanlab's default.
NEARLY_SAME = 0.13
# Mean distances to the neighbours of more than this many medians are far from everything: cleanlab's default, 1 / 0.37.
FAR = 2.7

# Every pair is compared up to here: 4 * 10^8 pairs take seconds.
EXACT_ROWS = 20_000
# Of cells there are four times the root of the samples, the usual number; eight are looked into for each sample.
_PROBES = 8
_PER_CELL = 64


@dataclass(frozen=True)
class Neighbours:
    """Of m samples the nearest k others, nearest first: (m, k) distances, and which."""

    distance: Floats
    index: Ints

    @property
    def exact(self) -> bool:
        """Whether every pair was compared."""
        return len(self.index) <= EXACT_ROWS


def neighbours(points: Floats, count: int = NEIGHBOURS) -> Neighbours:
    """Return the nearest others of each sample.

    Args:
        points: (m, d) where the samples lie, m > 1.
        count: k, where there are as many others.

    >>> found = neighbours(np.array([[0.0], [1.0], [5.0]], np.float32), 1)
    >>> found.index.ravel().tolist(), found.distance.ravel().tolist()
    ([1, 0, 1], [1.0, 1.0, 4.0])
    """
    kept = min(count, len(points) - 1)
    if len(points) > EXACT_ROWS:
        return _by_cells(points, kept)
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 (seconds to import)

    distance, index = NearestNeighbors(n_neighbors=kept, algorithm="brute").fit(points).kneighbors()
    return Neighbours(distance.astype(np.float32), index.astype(np.int64))


def _by_cells(points: Floats, kept: int) -> Neighbours:
    import faiss  # noqa: PLC0415 (not needed for small data)

    width = points.shape[1]
    cells = int(4 * np.sqrt(len(points)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(width), width, cells)
    index.cp.seed, index.cp.niter, index.cp.max_points_per_centroid = 0, 4, _PER_CELL
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # the cells, and with them what is found, do not depend on the machine
    index.train(points)
    faiss.omp_set_num_threads(threads)
    index.add(points)
    index.nprobe = _PROBES
    squared, found = index.search(points, kept + 1)
    return _without_itself(squared, found)


def _without_itself(squared: Floats, found: Ints) -> Neighbours:
    """Drop each sample from its own neighbours; where a cell holds too few, the place stays empty (infinite, itself)."""
    own = np.arange(len(found))[:, None]
    gone = (found == own) | (found < 0)
    order = np.argsort(gone, axis=1, kind="stable")[:, : found.shape[1] - 1]
    distance = np.where(gone, np.inf, np.sqrt(np.maximum(squared, 0)))
    index = np.where(gone, own, found)
    return Neighbours(
        np.take_along_axis(distance, order, 1).astype(np.float32), np.take_along_axis(index, order, 1)
    )


@dataclass(frozen=True)
class Group:
    """Samples that are nearly the same: which, and the smallest distance between two, in multiples of the usual one."""

    members: Ints
    distance: float


def nearly_same(found: Neighbours, content: npt.NDArray[np.object_]) -> list[Group]:
    """Return the groups of samples that are nearly the same, without being identical.

    Args:
        found: Neighbours.
        content: (m,) hashes: identical content is known already, and makes no group alone.

    Returns:
        Each sample at most once; the closest group first.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    usual = usual_distance(found)
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
    groups = [Group(rows, float(nearest[group[rows[0]]] / usual)) for rows in members]
    return sorted(groups, key=lambda one: (one.distance, int(one.members[0])))


def usual_distance(found: Neighbours) -> float:
    """Return the median distance to a nearest neighbour, of samples that have none at the same place; 0 where all have."""
    nearest = found.distance[:, 0]
    apart = nearest[(nearest > 0) & np.isfinite(nearest)]
    return float(np.median(apart)) if len(apart) else 0.0


def far_from_everything(found: Neighbours) -> tuple[Ints, Floats]:
    """Return the outliers, farthest first, and how far they are: mean distances to neighbours in multiples of the median.

    >>> line = np.concatenate([np.linspace(0, 1, 40), [9]]).astype(np.float32)[:, None]
    >>> far_from_everything(neighbours(line))[0].tolist()
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
