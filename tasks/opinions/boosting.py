"""Histogram boosting: rules in sequence, which find interactions of columns. For two classes: each costs as much again."""

from collections.abc import Sequence
from typing import Any

from tasks.arrays import Array

CONTENT = "numbers"


def rows_of(width: int, classes: int) -> int:
    """Return the most training samples of a fold; none for more than two classes, or many features."""
    # 1,120 samples x 50 features of two classes take 0.3 s of the processor, 16,000 0.75 s, once a fold.
    return 16_000 if classes == 2 and width <= 500 else 0


def represent(contents: Array) -> tuple[Array, Sequence[str]]:
    """Return the features."""
    return contents, ()


def make(seed: int, rows: int) -> Any:  # noqa: ANN401, ARG001 (of scikit-learn; one signature)
    """Return the classifier."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 (a second to import)

    return HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=seed
    )
