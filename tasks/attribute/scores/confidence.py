"""Influence and the log-odds of the label against all other classes: what orders the opinions of several models.

The consensus compares the label with its best rival and asks how labels go wrong. That helps one model, which is soft where
classes are alike. The mean of several models is not, and on real errors it finds more by itself: average precision .604 against
.553, with the probabilities of five networks for 2,831 handwritten numerals.
"""

import numpy as np

from tasks.arrays import Array
from tasks.attribute.combine import SampleScores, find_lowest

# Of 1, 2 and 4 the average precision differed by less than .002.
WEIGHT = 2.0


def judge(scores: SampleScores) -> tuple[Array, Array]:
    """Return influence + 2 log(p / (1 - p)) of the given label, (n,), and which are the lowest, (n,) bool.

    As many are flagged as by the consensus.
    """
    p = np.clip(scores.given_probability, 1e-6, 1 - 1e-6)
    score = scores.influence + WEIGHT * np.log(p / (1 - p))
    return score, find_lowest(score, int(scores.flagged.sum()))
