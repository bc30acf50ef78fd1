"""What a method of the benchmark is given, and what it answers.

Every method sees the same standardised features, the same given labels and the same folds. Out-of-fold
probabilities and the fitted model come from one logistic regression, computed once for each case and shared by
the methods that need them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tasks.bench.datasets import Bools, Floats, Ints

FOLDS = 5


@dataclass(frozen=True)
class MethodVerdict:
    """What a method says about every sample.

    Attributes:
        score: Lower = more likely mislabeled, shape (n,).
        flagged: Its own decision, shape (n,); None if it only ranks.
        suggested: The label it would give, shape (n,); None if it names none.
    """

    score: Floats
    flagged: Bools | None = None
    suggested: Ints | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """One setting with one seed, without the truth; a case equals itself alone, so that what was computed of it can be kept.

    Attributes:
        features: Standardised, shape (n, d).
        labels: Given labels, shape (n,), each of 0 .. C-1.
        seed: Seed of the folds and of every method that draws.

    >>> features, labels = np.array([[0.0], [0.1], [1.0], [1.1]] * 10), np.array([0, 0, 1, 1] * 10)
    >>> Case(features, labels, classes=2, seed=0).probabilities.shape
    (40, 2)
    """

    features: Floats
    labels: Ints
    classes: int
    seed: int

    @cached_property
    def folds(self) -> list[tuple[Ints, Ints]]:
        """Rows to fit on and rows held out, for each fold; stratified by given label."""
        return list(make_folds(self.seed).split(self.features, self.labels))

    @cached_property
    def probabilities(self) -> Floats:
        """Out-of-fold probabilities, shape (n, C)."""
        return predict_out_of_fold(make_regression(), self.features, self.labels, self.seed)

    @cached_property
    def model(self) -> LogisticRegression:
        """The model fitted to every sample."""
        return self.fit_model(np.arange(len(self.labels)))

    def fit_model(self, rows: Ints) -> LogisticRegression:
        """Return the model fitted to some rows; its penalty of the mean loss is 1 / len(rows)."""
        return make_regression().fit(self.features[rows], self.labels[rows])


def make_regression() -> LogisticRegression:
    """Return the model that all methods share."""
    return LogisticRegression(max_iter=2_000)


def make_folds(seed: int) -> StratifiedKFold:
    """Return the folds that all methods share."""
    return StratifiedKFold(FOLDS, shuffle=True, random_state=seed)


def predict_out_of_fold(model: Any, features: Any, labels: Ints, seed: int) -> Floats:  # noqa: ANN401 (estimator; a matrix or texts)
    """Return the probabilities (n, C) of a model that is fitted without each fold in turn; none of them is 0."""
    found = cross_val_predict(model, features, labels, cv=make_folds(seed), method="predict_proba")
    found = np.maximum(found, 1e-9)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        block: Which block of the table it is in.
        limit: Most parameters x samples it is run on, None for any; slow peers have one.
    """

    name: str
    judge: Callable[[Case], MethodVerdict]
    package: str
    block: str = "peers"
    limit: int | None = None

    def runs_on(self, case: Case) -> bool:
        """Say whether the case is small enough for this method."""
        parameters = (case.features.shape[1] + 1) * case.classes
        return self.limit is None or parameters * len(case.labels) <= self.limit
