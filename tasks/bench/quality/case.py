"""What a method of the benchmark is given, and what it answers.

Every method sees the same standardised features, the same given labels and the same folds. Out-of-fold
probabilities and the fitted head come from one logistic regression, computed once for each case and shared by
the methods that need them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from tasks.bench.datasets import Bools, Floats, Ints

FOLDS = 5
AUDIT = ("encode", "heads", "opinions", "fit", "attribute")  # the folders of tasks/ that decide a score


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


@dataclass(frozen=True)
class SoftmaxHead:
    """A softmax regression: logits are `features @ weight.T + bias`.

    Attributes:
        weight: Shape (C, d).
        bias: Shape (C,).
        l2: The l2 penalty that the fit used, for the mean loss.
    """

    weight: Floats
    bias: Floats
    l2: float

    def probabilities(self, features: Floats) -> Floats:
        """Return the class probabilities, shape (n, C)."""
        return np.asarray(softmax(features @ self.weight.T + self.bias, axis=1))


@dataclass(frozen=True, eq=False)
class Case:
    """One setting with one seed, without the truth; a case equals itself alone, so that what was computed of it can be kept.

    Attributes:
        features: Standardised, shape (n, d).
        labels: Given labels, shape (n,), each of 0 .. C-1.
        seed: Seed of the folds and of every method that draws.

    >>> features, labels = np.array([[0.0], [0.1], [1.0], [1.1]] * 10), np.array([0, 0, 1, 1] * 10)
    >>> case = Case(features, labels, classes=2, seed=0)
    >>> case.probabilities.shape
    (40, 2)
    """

    features: Floats
    labels: Ints
    classes: int
    seed: int

    @cached_property
    def folds(self) -> tuple[tuple[Ints, Ints], ...]:
        """Rows to fit on and rows held out, for each fold; stratified by given label."""
        splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=self.seed)
        return tuple(splitter.split(self.features, self.labels))

    @cached_property
    def heads(self) -> tuple[SoftmaxHead, ...]:
        """The head of each fold, fitted without its held-out rows."""
        return tuple(self.fit_head(fit) for fit, _ in self.folds)

    @cached_property
    def head(self) -> SoftmaxHead:
        """The head fitted to every sample."""
        return self.fit_head(np.arange(len(self.labels)))

    @cached_property
    def probabilities(self) -> Floats:
        """Out-of-fold probabilities, shape (n, C)."""
        probabilities = np.empty((len(self.labels), self.classes))
        for (_, held), head in zip(self.folds, self.heads, strict=True):
            probabilities[held] = head.probabilities(self.features[held])
        return probabilities

    def fit_head(self, rows: Ints) -> SoftmaxHead:
        """Return scikit-learn's logistic regression, fitted to `rows`, as a softmax head."""
        model = LogisticRegression(max_iter=2_000).fit(self.features[rows], self.labels[rows])
        coef, intercept = model.coef_, model.intercept_
        if len(model.classes_) == 2:  # scikit-learn keeps the difference of the two logits
            coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
        weight, bias = np.zeros((self.classes, coef.shape[1])), np.full(self.classes, -np.inf)
        weight[model.classes_], bias[model.classes_] = coef, intercept
        return SoftmaxHead(weight, bias, l2=1 / len(rows))


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

    @cached_property
    def version(self) -> str:
        """Version of the package that judges; where our own code takes part, a digest of its source."""
        if self.block == "peers":
            try:
                return version(self.package)
            except PackageNotFoundError:
                return "not installed"
        root = Path(str(files("tasks")))
        sources = [root / "options.py"]
        sources += [path for part in AUDIT for path in sorted((root / part).rglob("*.py"))]
        return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]

    def runs_on(self, case: Case) -> bool:
        """Say whether the case is small enough for this method."""
        parameters = (case.features.shape[1] + 1) * case.classes
        return self.limit is None or parameters * len(case.labels) <= self.limit
