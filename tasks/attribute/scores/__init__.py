"""What may order the queue: one file for each name that `--score` takes.

A score is a function `judge(scores)` from the columns of all samples (`tasks.attribute.combine.SampleScores`) to two arrays: (n,)
real, lower = more likely mislabeled, and (n,) bool, what is flagged. The next round is fitted without what is flagged.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from tasks.arrays import Array

if TYPE_CHECKING:
    from tasks.attribute.combine import SampleScores

Judge = Callable[["SampleScores"], tuple[Array, Array]]


def score_named(name: str) -> Judge:
    """Return the score of a file in this folder."""
    judge: Judge = import_module(f"{__name__}.{name}").judge
    return judge
