"""Relative influence alone: flagged is what harms the evaluation loss."""

from tasks.arrays import Array
from tasks.attribute.combine import SampleScores


def judge(scores: SampleScores) -> tuple[Array, Array]:
    """Return the relative influence, (n,), and which samples have a negative one, (n,) bool."""
    return scores.influence, scores.influence < 0
