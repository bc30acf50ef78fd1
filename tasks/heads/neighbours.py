"""Nearest neighbours: of every sample among all the others, and of a few samples among all the others.

Of every sample: exact where samples are few (scikit-learn), from an inverted file of cells where they are many (FAISS). Of a
few: exact, block by block. Nothing here needs torch, without which the review page starts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tasks.arrays import Array

T = TypeVar("T")
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
# From points, a block, the row of it that is left out for each point, and k: squared distances and rows, nearest first.
Search = Callable[[T, T, Ints, int], tuple[Array, Ints]]

# Neighbours of each sample: cleanlab's default for outliers.
NEIGHBOURS = 10

# Every pair is compared up to here: 4 * 10^8 pairs take seconds.
EXACT_ROWS = 20_000
# Of cells there are four times the root of the samples, the usual number; eight are looked into for each sample.
_PROBES = 8
_PER_CELL = 64


@dataclass(frozen=True)
class Neighbours:
    """The nearest others of m samples, nearest first: (m, k) distances, and which."""

    distance: Array
    index: Ints

    @property
    def exact(self) -> bool:
        """Whether every pair was compared."""
        return len(self.index) <= EXACT_ROWS


def find_neighbours(points: Floats, count: int = NEIGHBOURS) -> Neighbours:
    """Return the nearest others of each sample.

    Args:
        points: (m, d) where the samples are, m > 1.
        count: k, where there are as many others.

    >>> found = find_neighbours(np.array([[0.0], [1.0], [5.0]], np.float32), 1)
    >>> found.index.ravel().tolist(), found.distance.ravel().tolist()
    ([1, 0, 1], [1.0, 1.0, 4.0])
    """
    kept = min(count, len(points) - 1)
    if len(points) > EXACT_ROWS:
        return _search_cells(points, kept)
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 (seconds to import)

    distance, index = NearestNeighbors(n_neighbors=kept, algorithm="brute").fit(points).kneighbors()
    return Neighbours(distance.astype(np.float32), index.astype(np.int64))


def _search_cells(points: Floats, kept: int) -> Neighbours:
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
    return _drop_itself(squared, found)


def _drop_itself(squared: Floats, found: Ints) -> Neighbours:
    """Drop each sample from its own neighbours; where a cell holds too few, the place stays empty (infinite, itself)."""
    own = np.arange(len(found))[:, None]
    gone = (found == own) | (found < 0)
    order = np.argsort(gone, axis=1, kind="stable")[:, : found.shape[1] - 1]
    distance = np.where(gone, np.inf, np.sqrt(np.maximum(squared, 0)))
    index = np.where(gone, own, found)
    return Neighbours(
        np.take_along_axis(distance, order, 1).astype(np.float32), np.take_along_axis(index, order, 1)
    )


def find_nearest(
    blocks: Iterable[tuple[slice, T]], points: T, own: Ints, count: int, search: "Search[T] | None" = None
) -> Neighbours:
    """Return the nearest neighbours of a few samples, of squared distances, in one pass.

    Args:
        blocks: The rows of all n samples in order, with where they are, (b, d).
        points: (q, d) where the few samples are.
        own: (q,) the row of each, which is not a neighbour of itself.
        count: k, fewer than n.
        search: What looks through a block; `find_closest` for numpy's arrays.

    >>> where = np.array([[0.0], [1.0], [5.0]])
    >>> find_nearest([(slice(0, 3), where)], where[:1], np.array([0]), 1).index.tolist()
    [[1]]
    """
    look: Any = search or find_closest
    squared, index = np.empty((len(own), 0), np.float32), np.empty((len(own), 0), np.int64)
    for rows, block in blocks:
        found, which = look(points, block, own - rows.start, count)
        squared, index = np.hstack([squared, found]), np.hstack([index, which + rows.start])
        best = np.argsort(squared, axis=1, kind="stable")[:, :count]
        squared, index = np.take_along_axis(squared, best, 1), np.take_along_axis(index, best, 1)
    return Neighbours(squared, index)


def find_closest(points: Array, block: Array, own: Ints, count: int) -> tuple[Array, Ints]:
    """Return squared distances and rows of a block that are nearest to each point, (q, min(k, b)), nearest first.

    Args:
        points: (q, d).
        block: (b, d).
        own: (q,) the row that is left out for each point, where it is in the block.
        count: k.
    """
    pairs = np.square(points).sum(1)[:, None] + np.square(block).sum(1) - 2 * points @ block.T
    inside = np.flatnonzero((own >= 0) & (own < len(block)))
    pairs[inside, own[inside]] = np.inf
    some = np.argpartition(pairs, min(count, len(block)) - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(pairs, some, 1), axis=1)
    which = np.take_along_axis(some, order, 1)
    return np.maximum(np.take_along_axis(pairs, which, 1), 0), which
