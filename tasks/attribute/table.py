"""Scores as a table, with labels as names: the columns that the rest of the pipeline and other programs read."""

import numpy as np
import pyarrow as pa

from tasks.arrays import Array
from tasks.attribute.combine import SampleScores


def scores_table(
    ids: pa.Array, classes: tuple[str, ...], scores: SampleScores, score: Array, flagged: Array
) -> pa.Table:
    """Return one row for each sample, in the order of the data set.

    Args:
        ids: (n,) sample ids.
        classes: Names of the C classes.
        scores: The columns behind the score.
        score: (n,) what orders the queue, lower = more likely mislabeled.
        flagged: (n,) bool.
    """
    names = pa.array(classes, pa.string())
    return pa.table(
        {
            "sample_id": ids,
            "given_label": names.take(pa.array(scores.given)),
            "suggested_label": names.take(pa.array(scores.suggested)),
            "influence": scores.influence,
            "influence_raw": scores.influence_raw,
            "score": score,
            "relabel_gain": scores.relabel_gain,
            "given_probability": scores.given_probability,
            "suggested_probability": scores.suggested_probability,
            "flagged": flagged,
            "n_folds": pa.array(scores.n_folds, pa.int16()),
            "predicted_label": names.take(pa.array(scores.predicted)),
            "predicted_probability": np.maximum(
                scores.given_probability, scores.given_probability - scores.margin
            ),
            "margin": scores.margin,
            "training_loss": scores.training_loss,
        }
    )
