"""Which labels are flipped on purpose, and to what: never in the user's data, only in the shadow audit."""

import numpy as np

from tasks.arrays import Array

# Recall is a share of the controls: 2,000 of them give it a standard error of at most 0.011, and more would only
# make the shadow audit noisier than the data are.
MOST_CONTROLS = 2_000

# Half of the controls go to a class that the sample is easily taken for, half to any other: people make both kinds of error,
# and which kind this data set has is what nobody knows.
CONFUSABLE_SHARE = 0.5


def choose_controls(candidates: Array, n: int, share: float, seed: int) -> Array:
    """Draw the samples whose labels are flipped, (m,) in random order.

    Args:
        candidates: Samples whose labels are believed, in an order that does not depend on where they stand: not flagged, and
            not verified (verified labels are evaluated on).
        n: Number of all samples.
        share: Share of them that is wanted.
        seed: Seed of the draw.

    >>> choose_controls(np.array([0, 2, 3]), n=4, share=0.5, seed=0).tolist()
    [3, 0]
    """
    wanted = min(round(share * n), MOST_CONTROLS, len(candidates))
    drawn: Array = np.random.default_rng(seed).permutation(candidates)[:wanted].astype(np.int64)
    return drawn


def flip(given: Array, probabilities: Array, seed: int) -> Array:
    """Return another class for each control, (m,).

    Args:
        given: (m,) given classes.
        probabilities: (m, C) out-of-fold probabilities.
        seed: Seed of the draw.

    >>> flip(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), seed=0).tolist()
    [1, 0]
    """
    others = np.ones_like(probabilities, dtype=np.float64)
    others[np.arange(len(given)), given] = 0.0
    confusable = probabilities * others
    # A model that is certain of the given label leaves no opinion on the others: then any of them.
    total = confusable.sum(axis=1, keepdims=True)
    anything = others / others.sum(axis=1, keepdims=True)
    confusable = np.where(total > 0, confusable / np.where(total > 0, total, 1.0), anything)
    weights = CONFUSABLE_SHARE * confusable + (1 - CONFUSABLE_SHARE) * anything
    ladder = weights.cumsum(axis=1)
    drawn = np.random.default_rng(seed).random((len(given), 1)) * ladder[:, -1:]
    flipped: Array = (drawn >= ladder).sum(axis=1)
    return flipped
