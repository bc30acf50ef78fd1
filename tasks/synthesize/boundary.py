"""The optimal decision boundary between two Gaussian clouds of the same spread."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def decision_boundary(mean_0: Sequence[float], mean_1: Sequence[float]) -> tuple[NDArray[np.float64], float]:
    """Return the hyperplane of the points equidistant from both means: all x with `normal @ x == offset`.

    Args:
        mean_0: Mean of class 0, one number a dimension.
        mean_1: Mean of class 1; beyond the boundary, `normal @ x > offset`, class 1 is likelier.

    Returns:
        The unit normal, shape (dimension,), and the offset.

    Raises:
        ValueError: The means are equal or differ in length.

    >>> normal, offset = decision_boundary((0, 0), (0, 2))
    >>> normal.tolist(), offset
    ([0.0, 1.0], 1.0)
    """
    first, second = np.asarray(mean_0, float), np.asarray(mean_1, float)
    if first.shape != second.shape:
        raise ValueError(f"means of dimension {first.shape} and {second.shape}")
    between = second - first
    length = float(np.linalg.norm(between))
    if length == 0:
        raise ValueError("equal means have no boundary between them")
    normal: NDArray[np.float64] = between / length
    return normal, float(normal @ (first + second) / 2)
