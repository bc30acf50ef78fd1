"""Influence and log-odds together: flagged are the lowest, as many as the expected F1 asks for."""

from tasks.arrays import Array
from tasks.attribute.combine import SampleScores


def judge(scores: SampleScores) -> tuple[Array, Array]:
    """Return the sum of relative influence and log-odds, (n,), and the lowest of it, (n,) bool."""
    return scores.consensus, scores.flagged
