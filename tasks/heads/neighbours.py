"""Nearest neighbours: of every sample among all the others, and of a few samples among all the others.

Of every sample: exact where samples are few (scikit-learn), from an inverted file of cells where they are many (FAISS). Of a
few: exact, block by block, on the device of the features.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.heads.feature_map import squared_distances

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Neighbours of each sample: cleanlab's default for outliers.
NEIGHBOURS = 10

# Every pair is compared up to here: 4 * 10^8 pairs take seconds.
EXACT_ROWS = 20_000
# Of cells there are four times the root of the samples, the usual number; eight are looked into for each sample.
_PROBES = 8
_PER_CELL = 64

# The distances of a few samples are taken in blocks of this many pairs: 16 MiB of float32, some of it several times.
_PAIRS = 2**22


@dataclass(frozen=True)
class Neighbours:
    """The nearest others of m samples, nearest first: (m, k) distances, and which."""

    distance: Array
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


def nearest(
    blocks: Iterable[tuple[slice, Tensor]], points: Tensor, own: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Return the nearest neighbours of a few samples, (q, k) squared distances and which, in one pass.

    Args:
        blocks: The rows of all n samples in order, with where they lie, (b, d).
        points: (q, d) where the few samples lie.
        own: (q,) the row of each, which is no neighbour of itself.
        count: k, fewer than n.

    >>> where = torch.tensor([[0.0], [1.0], [5.0]])
    >>> nearest([(slice(0, 3), where)], where[:1], torch.tensor([0]), 1)[1].tolist()
    [[1]]
    """
    squared = points.new_full((len(points), count), torch.inf)
    index = torch.zeros_like(squared, dtype=torch.long)
    places = torch.arange(len(points), device=points.device)
    for rows, block in blocks:
        for part in torch.split(places, max(1, _PAIRS // len(block))):
            pairs = squared_distances(points[part], block)
            inside = (own[part] >= rows.start) & (own[part] < rows.stop)
            pairs[inside, own[part][inside] - rows.start] = torch.inf
            found = pairs.topk(min(count, len(block)), dim=1, largest=False)
            both = torch.cat([squared[part], found.values], dim=1)
            which = torch.cat([index[part], found.indices + rows.start], dim=1)
            best = both.topk(count, dim=1, largest=False)
            squared[part], index[part] = best.values, which.gather(1, best.indices)
    return squared, index
