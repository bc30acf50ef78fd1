"""Scores as a table, with labels as names: the columns that the rest of the pipeline and other programs read."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.arrays import Array
from tasks.attribute.combine import SampleScores
from tasks.records import Dataset
from tasks.storage import open_table_writer, read_batches


def write_scores(path: Path, dataset: Dataset, scores: SampleScores, score: Array, flagged: Array) -> Path:
    """Write one row for each sample, in the order of the data set, a row group at a time.

    Args:
        dataset: Has the sample ids and the names of the classes.
        score: (n,) what orders the queue, lower = more likely mislabeled.
        flagged: (n,) bool.
    """
    names = pa.array(dataset.offered, pa.string())
    with open_table_writer(path, _SCHEMA) as writer:
        for rows, batch in read_batches(dataset.path, ["sample_id"]):
            writer.write_table(_make_table(batch.column(0), names, scores, score, flagged, rows))
    return path


_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string()),
        pa.field("given_label", pa.string()),
        pa.field("suggested_label", pa.string()),
        *(pa.field(name, pa.float64()) for name in ("influence", "influence_raw", "score", "relabel_gain")),
        *(pa.field(name, pa.float64()) for name in ("given_probability", "suggested_probability")),
        pa.field("flagged", pa.bool_()),
        pa.field("n_folds", pa.int16()),
        pa.field("predicted_label", pa.string()),
        *(pa.field(name, pa.float64()) for name in ("predicted_probability", "margin", "training_loss")),
    ]
)


def _make_table(
    ids: pa.Array, names: pa.Array, scores: SampleScores, score: Array, flagged: Array, rows: slice
) -> pa.Table:
    """Return some rows; whatever precision the columns are kept in, the file has float64."""
    given, margin = scores.given_probability[rows], scores.margin[rows]
    columns = {
        "sample_id": ids,
        "given_label": names.take(pa.array(scores.given[rows])),
        "suggested_label": names.take(pa.array(scores.suggested[rows])),
        "influence": scores.influence[rows],
        "influence_raw": scores.influence_raw[rows],
        "score": score[rows],
        "relabel_gain": scores.relabel_gain[rows],
        "given_probability": given,
        "suggested_probability": scores.suggested_probability[rows],
        "flagged": flagged[rows],
        "n_folds": scores.n_folds[rows],
        "predicted_label": names.take(pa.array(scores.predicted[rows])),
        "predicted_probability": np.maximum(given, given - margin),
        "margin": margin,
        "training_loss": scores.training_loss[rows],
    }
    return pa.Table.from_pydict(columns, _SCHEMA)
