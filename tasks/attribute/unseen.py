"""Classes that no row is labeled with: the model learns nothing of them, and the user's own probabilities do.

A sample is theirs where the probabilities that the user gave have such a class before all others. Its score is no better than the
log-odds of its label against that class.
"""

from dataclasses import replace

import numpy as np

from tasks.arrays import Array
from tasks.attribute.combine import SampleScores
from tasks.records import Dataset
from tasks.storage import read_batches


def suggest_unseen(
    dataset: Dataset, scores: SampleScores, score: Array, flagged: Array, verified: Array | None
) -> tuple[SampleScores, Array, Array]:
    """Suggest the classes that no row is labeled with, where the given probabilities ask for it.

    Args:
        dataset: Has the logarithms of the probabilities, and the class of each.
        score: (n,) what orders the queue.
        flagged: (n,) bool.
        verified: (n,) bool, whose labels are right; None where that is known of none.

    Returns:
        The columns, (n,) score and (n,) flags; suggested classes count on behind those of the data set.
    """
    if not dataset.unseen:
        return scores, score, flagged
    logs = _take_logs(dataset)
    places = {name: place for place, name in enumerate(dataset.given_probabilities)}
    unseen = np.array([places[name] for name in dataset.unseen])
    own = np.array([places.get(name, -1) for name in dataset.classes])[scores.given]
    best = logs[:, unseen].argmax(axis=1)
    strength = logs[np.arange(len(logs)), unseen[best]]
    seen = np.delete(logs, unseen, axis=1).max(axis=1)
    theirs = strength > seen if verified is None else (strength > seen) & ~verified
    of_given = np.where(own >= 0, logs[np.arange(len(logs)), own], -np.inf)
    given = np.where(theirs & (own >= 0), np.exp(of_given), scores.given_probability)
    code = (len(dataset.classes) + best).astype(scores.suggested.dtype)
    odds = np.maximum(of_given, logs.min()) - strength
    changed = replace(
        scores,
        suggested=np.where(theirs, code, scores.suggested),
        predicted=np.where(theirs, code, scores.predicted),
        suggested_probability=np.where(theirs, np.exp(strength), scores.suggested_probability),
        given_probability=given,
        margin=np.where(theirs, given - np.exp(strength), scores.margin),
        relabel_gain=np.where(theirs, 0.0, scores.relabel_gain),
    )
    return changed, np.where(theirs, np.minimum(score, odds), score), flagged | theirs


def _take_logs(dataset: Dataset) -> Array:
    """Return the logarithms of the given probabilities, (n, classes of them)."""
    pieces = [
        batch.column(0).flatten().to_numpy(zero_copy_only=False)
        for _, batch in read_batches(dataset.path, ["features"])
    ]
    logs: Array = np.concatenate(pieces).reshape(-1, len(dataset.given_probabilities))
    return logs
