"""The optimal decision boundary between two Gaussian clouds of the same spread, for the plots."""

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


def line_endpoints(
    normal: Sequence[float] | NDArray[np.float64], offset: float, low: Sequence[float], high: Sequence[float]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return where a line of the plane enters and leaves a box, or None where it misses the box.

    Args:
        normal: Normal of the line, shape (2,).
        offset: The line is all x with `normal @ x == offset`.
        low: Lower left corner of the box.
        high: Upper right corner of the box.

    >>> line_endpoints((0, 1), 1.0, low=(-1, 0), high=(3, 2))
    ((-1.0, 1.0), (3.0, 1.0))
    """
    a, b = (float(value) for value in normal)
    points: list[tuple[float, float]] = []
    if b != 0:
        points += [(float(x), (offset - a * x) / b) for x in (low[0], high[0])]
    if a != 0:
        points += [((offset - b * y) / a, float(y)) for y in (low[1], high[1])]
    # A crossing at a corner is computed twice and may fall outside by rounding.
    slack = 1e-9 * max(1.0, *(abs(float(value)) for value in (*low, *high)))
    inside = sorted(
        point for point in points if all(low[i] - slack <= point[i] <= high[i] + slack for i in range(2))
    )
    return (inside[0], inside[-1]) if inside else None
