"""What has to be known about the whole data set before a row can be judged: 12 bytes a row, in two passes.

Contents are compared by 64-bit fingerprints of their hashes: ten million meet by chance once in 370,000 data sets. Ids are not
compared here: ingest makes them unique, and sets aside the rows whose id is another row's.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.ingest.groups import number_groups
from tasks.records import Dataset
from tasks.runs.progress import report_progress
from tasks.storage import read_parquet
from tasks.validate.parts import read_parts

MISSING = -1
UNKNOWN = -2
# Features are decoded this much at a time: a quarter of what a part may take, because the check needs a mask
# beside them.
_FEATURE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class NonFinite:
    """The rows with a feature that is infinite, missing where none may be, or missing as all of them are.

    Attributes:
        rows: One line for each such row, in order: its number `row`, the index of its first such `feature`, the `value` of
            that (NaN where it is missing), and the `count` of such features.
        by_feature: In how many rows each feature is not finite  # (features,) int64
        first_row: The first of these rows, -1 where there is none  # (features,) int64
    """

    rows: pd.DataFrame
    by_feature: NDArray[np.int64]
    first_row: NDArray[np.int64]


@dataclass(frozen=True)
class RowFacts:
    """The light facts about each row.

    Attributes:
        labels: Index of the label among the classes, `MISSING` or `UNKNOWN`  # (rows,) int32
        contents: Fingerprint of the content hash  # (rows,) uint64
        nonfinite: The rows with features that are not finite; an image that does not decode is one.
        unreadable: Why ingest could not read a row, or gave it an id of its own making, by the number of the row.
        groups: Group of each row by the user's column, None without one  # (rows,) int32
    """

    labels: NDArray[np.int32]
    contents: NDArray[np.uint64]
    nonfinite: NonFinite
    unreadable: dict[int, str]
    groups: NDArray[np.int32] | None = None


def gather_facts(dataset: Dataset) -> RowFacts:
    """Read what ingest wrote and return its facts; the first half of the progress in rows."""
    classes = pa.array(dataset.classes, pa.string())
    labels = np.empty(dataset.rows, np.int32)
    contents = np.empty(dataset.rows, np.uint64)
    for start, batch in read_parts(dataset.path, ["label", "content_hash"]):
        stop = start + batch.num_rows
        codes = pc.fill_null(pc.index_in(batch.column(0), value_set=classes), UNKNOWN).to_numpy()
        labels[start:stop] = np.where(batch.column(0).is_null(), MISSING, codes)
        hashes = batch.column(1).to_numpy(zero_copy_only=False)
        contents[start:stop] = pd.util.hash_array(hashes, categorize=False)
    unreadable = {}
    if dataset.unreadable is not None:
        table = read_parquet(dataset.unreadable, ["source_row", "reason"])
        unreadable = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    groups = number_groups(dataset, dataset.group) if dataset.group else None
    return RowFacts(labels, contents, _find_nonfinite(dataset, unreadable), unreadable, groups)


def compare_labels(facts: RowFacts, kept: NDArray[np.int64]) -> tuple[NDArray[np.int32], int]:
    """Compare the labels of identical content among the kept rows.

    Args:
        kept: The rows to look at, in order  # (kept,)

    Returns:
        For each kept row, how many *other* labels its content carries  # (kept,) int32
        and how many kept rows repeat the content and label of an earlier one.
    """
    others = np.zeros(len(kept), np.int32)
    contents = pd.Series(facts.contents[kept])
    inside = np.flatnonzero(contents.duplicated(keep=False))
    pairs = pd.DataFrame({"content": contents[inside], "label": facts.labels[kept[inside]]})
    others[inside] = pairs.groupby("content")["label"].transform("nunique") - 1
    return others, int(pairs.duplicated().sum())


def _find_nonfinite(dataset: Dataset, unreadable: dict[int, str]) -> NonFinite:
    """Return which features are not finite, apart from those of rows that have a reason already."""
    width = len(dataset.feature_names)
    apart = np.array(sorted(unreadable) if dataset.payload != "image" else [], np.int64)
    by_feature, first_row = np.zeros(width, np.int64), np.full(width, -1, np.int64)
    found = [pd.DataFrame({"row": [], "feature": [], "value": [], "count": []}, dtype=np.int64)]
    for start, batch in read_parts(dataset.path, ["features"], size=_FEATURE_BYTES) if width else ():
        matrix = batch.column(0).flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        bad = _mask_unusable(matrix, gaps_are_normal=bool(dataset.columns))
        low, high = np.searchsorted(apart, [start, start + batch.num_rows])
        bad[apart[low:high] - start] = False
        if bad.any():
            rows = np.flatnonzero(bad.any(axis=1))
            first = bad[rows].argmax(axis=1)
            some = {"row": rows + start, "feature": first, "value": matrix[rows, first]}
            found.append(pd.DataFrame(some | {"count": bad[rows].sum(axis=1)}))
            by_feature += bad.sum(axis=0)
            first_row = np.where((first_row < 0) & bad.any(axis=0), start + bad.argmax(axis=0), first_row)
        report_progress("rows", start + batch.num_rows, 2 * dataset.rows)
    return NonFinite(pd.concat(found[1:] or found, ignore_index=True), by_feature, first_row)


def _mask_unusable(matrix: NDArray[np.float32], *, gaps_are_normal: bool) -> NDArray[np.bool_]:
    """Return which features make their row unusable, as a mask of the same shape.

    In a table a value is missing as a matter of course, and is filled in; a row in which all are missing says nothing, and an
    infinite number is an accident anywhere. In an embedding or an image, so is NaN.
    """
    if not gaps_are_normal:
        return ~np.isfinite(matrix)
    missing = np.isnan(matrix)
    missing &= np.all(missing, axis=1)[:, None]
    missing |= np.isinf(matrix)
    return missing
