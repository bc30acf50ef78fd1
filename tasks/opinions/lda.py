"""Linear discriminant analysis with a covariance shrunk as Ledoit and Wolf (2004) have it: all classes share one shape."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from tasks.arrays import Array

CONTENT = "numbers"
# From this many classes on, one covariance is shrunk in place of one for each class: 250 classes of 10 samples took 27 of the 48
# seconds of an audit.
MANY_CLASSES = 50


def rows_of(width: int, classes: int) -> int:
    """Return the most training samples of a fold; none where the covariances cost more than the audit."""
    return 50_000 if classes * width**2 <= 2e7 else 0


def represent(contents: Array) -> tuple[Array, Sequence[str]]:
    """Return the features."""
    return contents.astype(np.float64), ()


def make(seed: int, rows: int) -> Any:  # noqa: ANN401, ARG001 (of scikit-learn; one signature)
    """Return the classifier; nothing is drawn."""
    return Discriminant()


class Discriminant:
    """scikit-learn's discriminant analysis, or where there are many classes one with a single covariance.

    Attributes:
        classes_: (C,) the classes that were seen.
        predict_proba: From samples (n, d) to probabilities (n, C).
    """

    classes_: Array
    predict_proba: Callable[[Array], Array]

    def fit(self, x: Array, y: Array) -> None:
        """Learn from samples (n, d) and their classes (n,)."""
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: PLC0415 (a second to import)

        self.classes_, place = np.unique(y, return_inverse=True)
        if len(self.classes_) < MANY_CLASSES:
            found = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y)
            self.predict_proba = found.predict_proba
        else:
            self.predict_proba = _pool_covariance(x, place)


def _pool_covariance(x: Array, place: Array) -> Callable[[Array], Array]:
    """Return the discriminant of samples (n, d) of classes (n,) of 0 .. C-1, whose deviations from their means are pooled."""
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415

    counts = np.bincount(place)
    means = np.zeros((len(counts), x.shape[1]))
    np.add.at(means, place, x)
    means /= counts[:, None]
    spread = x.std(0)
    scale = np.where(spread > 0, spread, 1.0)
    covariance, _ = ledoit_wolf((x - means[place]) / scale, assume_centered=True)
    weights = np.linalg.solve(covariance, (means / scale).T).T / scale
    intercept = np.log(counts / len(x)) - 0.5 * (means * weights).sum(1)
    return lambda asked: softmax(asked @ weights.T + intercept, axis=1)
