"""What has to be known about the whole data set before a row can be judged: 20 bytes a row, in one pass.

Identity is compared by 64-bit fingerprints of the text. Where fingerprints of ids meet, the ids themselves are compared, so that
no id is called a duplicate by chance; contents are hashes already: ten million of them meet by chance once in 370,000 data
sets.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.ingest.groups import named_groups
from tasks.records import Dataset
from tasks.storage import read_parquet
from tasks.validate.parts import cells, parts

Progress = Callable[[int, int], None]

# Enough to say what is wrong; where every id repeats, nobody reads them all.
_MOST_REPEATED = 1_000
MISSING = -1
UNKNOWN = -2
# Features are decoded this much at a time: a quarter of what a part may take, because the check needs a mask
# beside them.
_FEATURE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class NonFinite:
    """The rows with a feature that is infinite, missing where none may be, or missing as all of them are, in order of row.

    Attributes:
        rows: Row numbers  # (failing,) int64
        feature: Index of each row's first such feature  # (failing,) int32
        value: That feature's value; NaN where it is missing  # (failing,) float32
        count: How many such features each row has  # (failing,) int32
        by_feature: In how many rows each feature is not finite  # (features,) int64
        first_row: The first of these rows, -1 where there is none  # (features,) int64
    """

    rows: NDArray[np.int64]
    feature: NDArray[np.int32]
    value: NDArray[np.float32]
    count: NDArray[np.int32]
    by_feature: NDArray[np.int64]
    first_row: NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """The light facts about each row.

    Attributes:
        labels: Index of the label among the classes, `MISSING` or `UNKNOWN`  # (rows,) int32
        contents: Fingerprint of the content hash  # (rows,) uint64
        nonfinite: The rows with features that are not finite.
        unreadable: Numbers of the rows with a value that ingest could not read, or without an id; an image that does not
            decode counts as not finite.
        repeated_ids: Ids that occur more than once, with their rows; not all of them where very many do.
        groups: Group of each row by the user's column, None without one  # (rows,) int32
    """

    labels: NDArray[np.int32]
    contents: NDArray[np.uint64]
    nonfinite: NonFinite
    repeated_ids: dict[str, list[int]]
    unreadable: NDArray[np.int64]
    groups: NDArray[np.int32] | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.labels)


def gather(dataset: Dataset, progress: Progress | None = None) -> Facts:
    """Read the data set once and return its facts.

    Args:
        dataset: What ingest wrote.
        progress: Called with rows done and rows in all.
    """
    classes = pa.array(dataset.classes, pa.string())
    labels = np.empty(dataset.rows, np.int32)
    ids = np.empty(dataset.rows, np.uint64)
    contents = np.empty(dataset.rows, np.uint64)
    for start, batch in parts(dataset.path, ["sample_id", "label", "content_hash"]):
        stop = start + batch.num_rows
        labels[start:stop] = _codes(batch.column("label"), classes)
        ids[start:stop] = _fingerprints(batch.column("sample_id"))
        contents[start:stop] = _fingerprints(batch.column("content_hash"))
    repeated = _repeated_ids(dataset.path, ids)
    del ids
    unreadable = _unreadable(dataset)
    apart = unreadable if dataset.payload != "image" else np.empty(0, np.int64)
    nonfinite = _nonfinite(dataset, apart, progress)
    if dataset.payload == "image":
        unreadable = np.setdiff1d(unreadable, nonfinite.rows)
    groups = named_groups(dataset, dataset.group) if dataset.group else None
    return Facts(labels, contents, nonfinite, repeated, unreadable, groups)


def conflicts(facts: Facts, kept: NDArray[np.int64]) -> tuple[NDArray[np.int32], int]:
    """Compare the labels of identical content among the kept rows.

    Args:
        facts: The facts of all rows.
        kept: The rows to look at, in order  # (kept,)

    Returns:
        For each kept row, how many *other* labels its content carries  # (kept,) int32
        and how many kept rows repeat the content and label of an earlier one.
    """
    others = np.zeros(len(kept), np.int32)
    contents = facts.contents if len(kept) == facts.rows else facts.contents[kept]
    inside = np.flatnonzero(_occurs_again(contents))
    if not len(inside):
        return others, 0
    pairs = pd.DataFrame({"content": contents[inside], "label": facts.labels[kept[inside]]})
    others[inside] = pairs.groupby("content")["label"].transform("nunique").to_numpy() - 1
    return others, int(pairs.duplicated().sum())


def _codes(labels: pa.Array, classes: pa.Array) -> NDArray[np.int32]:
    index = pc.index_in(labels, value_set=classes)
    known = pc.fill_null(index, UNKNOWN).to_numpy()
    return np.where(labels.is_null().to_numpy(zero_copy_only=False), MISSING, known).astype(np.int32)


def _fingerprints(text: pa.Array) -> NDArray[np.uint64]:
    values = text.to_numpy(zero_copy_only=False)
    hashes: NDArray[np.uint64] = pd.util.hash_array(values, categorize=False)
    return hashes


def _occurs_again(values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which values occur more than once, as a mask."""
    ordered = np.sort(values)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(values, np.unique(again)) if len(again) else np.zeros(len(values), bool)


def _repeated_ids(path: Path, ids: NDArray[np.uint64]) -> dict[str, list[int]]:
    """Return the ids that repeat, with their rows; where fingerprints meet, the ids themselves are compared."""
    suspected = np.flatnonzero(_occurs_again(ids))
    if not len(suspected):
        return {}
    some = np.isin(ids[suspected], np.unique(ids[suspected])[:_MOST_REPEATED])
    suspected = suspected[some]
    text = [row["sample_id"] for row in cells(path, ["sample_id"], suspected.tolist())]
    counts = Counter(text)
    repeated: dict[str, list[int]] = {name: [] for name in text if counts[name] > 1}
    for name, row in zip(text, suspected.tolist(), strict=True):
        if name in repeated:
            repeated[name].append(row)
    return repeated


def _unreadable(dataset: Dataset) -> NDArray[np.int64]:
    if dataset.unreadable is None:
        return np.empty(0, np.int64)
    rows: NDArray[np.int64] = read_parquet(dataset.unreadable)["source_row"].to_numpy()
    return rows


def _nonfinite(dataset: Dataset, unreadable: NDArray[np.int64], progress: Progress | None) -> NonFinite:
    """Return which features are not finite, apart from those of rows that have a reason already."""
    width = len(dataset.feature_names)
    found: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]] = []
    by_feature, first_row = np.zeros(width, np.int64), np.full(width, -1, np.int64)
    if width:
        for start, batch in parts(dataset.path, ["features"], size=_FEATURE_BYTES):
            matrix = _matrix(batch.column("features"), width)
            bad = _unusable(matrix, gaps_are_normal=bool(dataset.columns))
            low, high = np.searchsorted(unreadable, [start, start + batch.num_rows])
            bad[unreadable[low:high] - start] = False
            if bad.any():
                rows = np.flatnonzero(bad.any(axis=1))
                first = bad[rows].argmax(axis=1).astype(np.int32)
                count = bad[rows].sum(axis=1, dtype=np.int32)
                found.append((rows + start, first, matrix[rows, first], count))
                by_feature += bad.sum(axis=0)
                first_row = np.where((first_row < 0) & bad.any(axis=0), start + bad.argmax(axis=0), first_row)
            if progress is not None:
                progress(start + batch.num_rows, dataset.rows)
    if not found:
        found.append(
            (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int32))
        )
    rows, feature, value, count = (np.concatenate(column) for column in zip(*found, strict=True))
    return NonFinite(rows, feature, value, count, by_feature, first_row)


def _unusable(matrix: NDArray[np.float32], *, gaps_are_normal: bool) -> NDArray[np.bool_]:
    """Return which features make their row unusable, as a mask of the same shape.

    In a table a value is missing as a matter of course, and is filled in; a row in which all are missing says nothing, and an
    infinite number is an accident anywhere. In an embedding or an image, so is NaN.
    """
    if not gaps_are_normal:
        return ~np.isfinite(matrix)
    missing = np.isnan(matrix)
    missing &= missing.all(axis=1)[:, None]
    missing |= np.isinf(matrix)
    return missing


def _matrix(features: pa.FixedSizeListArray, width: int) -> NDArray[np.float32]:
    """Return the features as `(rows, features)`, NaN where a number is missing."""
    values: NDArray[np.float32] = features.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, width)
