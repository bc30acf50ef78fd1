"""The scores of a run as arrays, aligned with the truth where that is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_LABELS = ("given_label", "suggested_label", "predicted_label")


@dataclass(frozen=True)
class ScoreColumns:
    """Scores of n samples; labels are indices into `classes`, -1 where there is none.

    Attributes:
        ids: (n,) sample ids, as Arrow strings.
        classes: Names of all labels that occur.
        given: (n,) given labels.
        suggested: (n,) suggested labels.
        predicted: (n,) out-of-fold predictions, None where the run did not keep them.
        truth: (n,) true labels, None where the run has none.
        influence: (n,) relative influence; positive = helpful, lower = more likely mislabeled.
        score: (n,) what orders the queue, lower = worse.
        flagged: (n,) likely mislabeled.
    """

    ids: pa.ChunkedArray
    classes: tuple[str, ...]
    given: Ints
    suggested: Ints
    predicted: Ints | None
    truth: Ints | None
    influence: Floats
    score: Floats
    flagged: Bools

    def __len__(self) -> int:
        return len(self.given)

    @property
    def wrong(self) -> Bools:
        """(n,) where the given label is known to be wrong; all False without the truth."""
        if self.truth is None:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray((self.truth >= 0) & (self.truth != self.given))


def read_scores(path: Path, truth: Path | None, classes: Sequence[str]) -> ScoreColumns:
    """Read `scores.parquet`.

    Args:
        path: The file.
        truth: `truth.parquet`, where the run has one.
        classes: Known labels, in the order to keep; others that occur follow, sorted.
    """
    names = pq.read_schema(path).names
    labels = [name for name in _LABELS if name in names]
    table = pq.read_table(
        path,
        columns=["sample_id", "influence", "score", "flagged", *labels],
        read_dictionary=labels,
        memory_map=True,
    )
    columns = {name: table[name] for name in labels}
    if truth is not None:
        columns["truth"] = align(table["sample_id"], truth, "true_label")
    known = list(classes)
    seen = {value for column in columns.values() for value in _dictionary(column)[0]}
    known += sorted(seen - set(known))
    codes = {name: _codes(column, known) for name, column in columns.items()}
    return ScoreColumns(
        ids=table["sample_id"],
        classes=tuple(known),
        given=codes["given_label"],
        suggested=codes["suggested_label"],
        predicted=codes.get("predicted_label"),
        truth=codes.get("truth"),
        influence=table["influence"].to_numpy(),
        score=table["score"].to_numpy(),
        flagged=np.asarray(table["flagged"].to_numpy(), dtype=np.bool_),
    )


def align(ids: pa.ChunkedArray, path: Path, column: str) -> pa.ChunkedArray:
    """Return `column` of a file for the samples `ids`, in their order; null where the file does not have the sample."""
    other = pq.read_table(path, columns=["sample_id", column])
    if other["sample_id"].equals(ids):
        return other[column]
    return other[column].take(pc.index_in(ids, value_set=other["sample_id"].combine_chunks()))


def _dictionary(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the distinct values of a label column, and for each row the index of its own, -1 for null."""
    encoded = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    whole = encoded.unify_dictionaries().combine_chunks()
    array = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    codes = pc.fill_null(array.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return array.dictionary.to_pylist(), codes


def _codes(column: pa.ChunkedArray, known: Sequence[str]) -> Ints:
    """Return each row's index into `known`, -1 for null."""
    place = {name: index for index, name in enumerate(known)}
    values, codes = _dictionary(column)
    lookup = np.array([*(place[value] for value in values), -1], dtype=np.int64)
    return lookup[codes]
