"""The scores of a run as arrays, aligned with the truth where that is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.storage import ROWS_PER_GROUP, open_parquet, read_parquet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

_NUMBERS = {"influence": np.float64, "score": np.float64, "flagged": np.bool_}
_LABELS = ("given_label", "suggested_label", "predicted_label")


@dataclass(frozen=True)
class ScoreColumns:
    """Scores of n samples; labels are indices into `classes`, -1 where there is none.

    Attributes:
        given: (n,) given labels.
        suggested: (n,) suggested labels.
        predicted: (n,) out-of-fold predictions, None where the run did not keep them.
        truth: (n,) true labels, None where the run has none.
        influence: (n,) relative influence; positive = helpful, lower = more likely mislabeled.
        score: (n,) what orders the queue, lower = worse.
        flagged: (n,) likely mislabeled.
    """

    path: Path
    classes: tuple[str, ...]
    given: Ints
    suggested: Ints
    predicted: Ints | None
    truth: Ints | None
    influence: Floats
    score: Floats
    flagged: Bools

    @property
    def ids(self) -> pa.ChunkedArray:
        """(n,) sample ids, as Arrow strings, read again each time: they take as much memory as all the rest."""
        return read_parquet(self.path, columns=["sample_id"])["sample_id"]

    def __len__(self) -> int:
        return len(self.given)

    @property
    def wrong(self) -> Bools:
        """(n,) where the given label is known to be wrong; all False without the truth."""
        if self.truth is None:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray((self.truth >= 0) & (self.truth != self.given))


def read_scores(path: Path, truth: Path | None, classes: Sequence[str]) -> ScoreColumns:
    """Read `scores.parquet` batch by batch: of ten million samples each column of numbers is 80 MB, each of labels 40 MB.

    Args:
        truth: `truth.parquet`, where the run has one.
        classes: Known labels, in the order to keep; others that occur follow, sorted.
    """
    with open_parquet(path) as file:
        n, names = file.metadata.num_rows, file.schema_arrow.names
        labels = [name for name in _LABELS if name in names]
        numbers: dict[str, npt.NDArray[Any]] = {name: np.empty(n, kind) for name, kind in _NUMBERS.items()}
        codes = {name: np.empty(n, np.int32) for name in labels}
        place = {name: index for index, name in enumerate(classes)}
        start = 0
        for batch in file.iter_batches(ROWS_PER_GROUP, columns=[*numbers, *labels]):
            rows = slice(start, start + len(batch))
            for name, values in numbers.items():
                values[rows] = batch.column(name).to_numpy(zero_copy_only=False)
            for name, coded in codes.items():
                coded[rows] = _encode_labels(batch.column(name), place)
            start += len(batch)
    if truth is not None:
        ids = read_parquet(path, columns=["sample_id"])["sample_id"]
        found = align_column(ids, truth, "true_label")
        parts = [_encode_labels(chunk, place) for chunk in found.chunks]
        codes["truth"] = np.concatenate(parts or [np.empty(0, np.int32)])
    known = [*classes, *sorted(place.keys() - set(classes))]
    if len(known) > len(classes):
        moved = np.array([*(known.index(name) for name in place), -1], dtype=np.int32)
        codes = {name: moved[values] for name, values in codes.items()}
    return ScoreColumns(
        path=path,
        classes=tuple(known),
        given=codes["given_label"],
        suggested=codes["suggested_label"],
        predicted=codes.get("predicted_label"),
        truth=codes.get("truth"),
        influence=numbers["influence"],
        score=numbers["score"],
        flagged=numbers["flagged"],
    )


def align_column(ids: pa.ChunkedArray, path: Path, column: str) -> pa.ChunkedArray:
    """Return `column` of a file for some samples in their order, (n,); null where the file does not have the sample.

    Args:
        ids: (n,) sample ids.
        path: A Parquet file with `sample_id` and the column.
    """
    other = read_parquet(path, columns=["sample_id", column])
    if other["sample_id"].equals(ids):
        return other[column]
    return other[column].take(pc.index_in(ids, value_set=other["sample_id"].combine_chunks()))


def _encode_labels(labels: pa.Array, place: dict[str, int]) -> Ints:
    """Return the number of each label, -1 for null; labels that `place` does not have yet are added to it."""
    encoded = labels.cast(pa.string()).dictionary_encode()
    lookup = np.array([*(place.setdefault(name, len(place)) for name in encoded.dictionary.to_pylist()), -1])
    return lookup[pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)].astype(np.int32)
