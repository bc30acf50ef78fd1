"""Where samples are on a map: by what they are alone, and by what tells the classes apart.

The first view is of the two principal directions. The second is of the two directions that separate the given labels best (linear
discriminant analysis): a sample with a wrong label is among the class that it looks like. Both see only the first
`DIRECTIONS` principal directions, so that the second cannot fit single labels.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Of the ten nearest digits by all 64 pixels, nine in ten are among the ten nearest in 32 directions.
DIRECTIONS: Final = 32
# Directions change by less than the eye sees when more samples than this are looked at.
_FITTED_ROWS: Final = 20_000


@dataclass(frozen=True)
class Places:
    """Where n samples are.

    Attributes:
        directions: (n, at most `DIRECTIONS`) principal directions, in which similar samples are near each other.
        plane: (n, 2) the first two of them.
        classes: (n, 2) the view that separates the given labels.
    """

    directions: Floats
    plane: Floats
    classes: Floats


def place_samples(points: Floats, labels: Ints, seed: int = 0) -> Places:
    """Place samples on the map.

    Args:
        points: (n, d) where the samples are, n > 0, no gaps.
        labels: (n,) given classes.
        seed: Seed of the samples that the directions are found from, where there are many.
    """
    from sklearn.decomposition import PCA  # noqa: PLC0415 (seconds to import)

    some = np.sort(np.random.default_rng(seed).permutation(len(points))[:_FITTED_ROWS])
    count = min(DIRECTIONS, *points[some].shape)
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # of samples that are all alike no share is explained
        principal = PCA(count, svd_solver="randomized", random_state=seed).fit(points[some])
    directions = principal.transform(points).astype(np.float32)
    plane = _reduce_to_two(directions)
    return Places(directions, plane, _separate(directions, labels, some, plane))


def _separate(directions: Floats, labels: Ints, some: Ints, plane: Floats) -> Floats:
    """Return the view that separates the labels; the plane where there is nothing to separate."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: PLC0415 (seconds to import)

    points, (kinds, place) = directions[some], np.unique(labels[some], return_inverse=True)
    count = len(kinds)
    first = np.unique(place, return_index=True)[1]
    if not 1 < count < len(some) or np.array_equal(
        points, points[first][place]
    ):  # each class is at one place
        return plane
    found = LinearDiscriminantAnalysis(n_components=min(2, count - 1, directions.shape[1]))
    apart = found.fit(points, place).transform(directions).astype(np.float32)
    return np.column_stack([apart, plane])[:, :2]  # of as many directions as the classes' means differ in


def _reduce_to_two(directions: Floats) -> Floats:
    """Return the first two directions; where there is one alone, the second is zero."""
    return np.column_stack([directions, np.zeros(len(directions), np.float32)])[:, :2]
