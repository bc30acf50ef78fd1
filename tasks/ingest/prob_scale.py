"""Numbers that stand for probabilities: themselves, their logarithms, logits, or shares of a sum."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.errors import InputError

Scale = Literal["probability", "log", "logit", "share"]

# Probabilities that were rounded to two digits, of a hundred classes, sum to one within this.
SUM = 0.5
TOLERANCE = 1e-3
# Of the rows, as many may hold something else: they are set aside. A quarter of the default tolerance.
_ODD = 0.05
# Of rows most of which are probabilities, the others are mistakes: no other scale fits so many.
_HALF = 0.5
# Softmax in float16 sums to one within this.
_EXACT = 0.02


def scale_of(given: NDArray[np.float32], columns: tuple[str, ...], where: str) -> Scale:
    """Return how the numbers of some rows become probabilities.

    Args:
        given: The first rows  # (rows, width)
        columns: The columns that they come from.
        where: The source.

    Raises:
        InputError: They are no probabilities, nor anything that probabilities can be made of.

    >>> rows = np.array([[0.2, 0.8], [0.5, 0.5]], np.float32)
    >>> [scale_of(values, ("p",), "x.csv") for values in (rows, np.log(rows), 100 * rows, 9 * rows - 3)]
    ['probability', 'log', 'share', 'logit']
    """
    given = given.astype(np.float64)
    wide = given.shape[1] > 1
    inside = ((given >= -TOLERANCE) & (given <= 1 + TOLERANCE)).all(axis=1)
    good = inside & (np.abs(given.sum(axis=1) - 1) <= SUM) if wide else inside
    if not len(given) or _most(good) or (good.mean() > _HALF and not _most(inside)):
        return "probability"
    if _most((given <= TOLERANCE).all(axis=1)):
        sums = np.exp(given).sum(axis=1)
        if wide and _most(np.abs(sums - 1) <= _EXACT):
            return "log"
    if (given < -TOLERANCE).any(axis=1).mean() > _ODD:
        return "logit"
    sums = given.sum(axis=1)
    if wide and not _most(inside) and _most(np.abs(sums / np.median(sums) - 1) <= _EXACT):
        return "share"
    shown = ", ".join(columns[:3]) + (", …" if len(columns) > 3 else "")
    what = f"sum to {sums.min():.3g} to {sums.max():.3g}, not to 1" if wide else f"reach {given.max():.3g}"
    raise InputError(
        f"--pred-probs {shown} holds no probabilities: its rows {what}",
        where=where,
        fix="divide each row by its sum, or give softmax probabilities" if wide else "scale them to 0 to 1",
    )


def _most(rows: NDArray[np.bool_]) -> bool:
    return bool(rows.mean() >= 1 - _ODD)
