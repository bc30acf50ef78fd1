"""What changes in the files that a data set came in: new labels and dropped rows, by row of the source."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.apply.plan import Plan
from tasks.errors import InputError
from tasks.ingest.labels.spelling import mean_the_same
from tasks.storage import read_parquet, write_table

# In a version's folder: which row of its files in the layout of the source each of its rows is.
PLACES = "source_rows.parquet"
# What to do where the user's own file cannot be written again.
TAKE_LABELS = "take the labels from the version's dataset.parquet"


@dataclass(frozen=True)
class SourceChanges:
    """Rows of the source, counted from 0 over all its parts.

    A row that was not swept, because validation set it aside, stays as it is: only a reviewer drops rows.

    Attributes:
        uri: The source, for messages.
        rows: The rows that were swept, ascending.
        given: Their labels when they were swept.
        changes: New labels by row; None where the row is dropped.
        total: How many rows the source had; None where nobody counted them.
    """

    uri: str
    rows: NDArray[np.int64]
    given: pa.ChunkedArray
    changes: dict[int, str | None]
    total: int | None = None

    @cached_property
    def dropped(self) -> NDArray[np.int64]:
        """The rows that go, ascending."""
        return np.array(sorted(row for row, label in self.changes.items() if label is None), np.int64)

    def select_changes(self, start: int, count: int) -> dict[int, str | None]:
        """Return the changes of a batch, by row of the batch."""
        first, last = np.searchsorted(self._changed, [start, start + count])
        return {int(row) - start: self.changes[int(row)] for row in self._changed[first:last]}

    @cached_property
    def _changed(self) -> NDArray[np.int64]:
        return np.array(sorted(self.changes), np.int64)


def make_source_changed_error(uri: str) -> InputError:
    """Return the error for a source that is not what was swept."""
    return InputError(
        "the source has changed since it was swept", where=uri, fix="sweep it again, then apply"
    )


def find_source_changes(
    uri: str, dataset: Path, plan: Plan, places: NDArray[np.int64] | None = None, total: int | None = None
) -> SourceChanges:
    """Return what a plan changes in the source of a data set.

    Args:
        places: Row of the source for each row that `source_row` counts; None where both are the same.
        total: How many rows the source had; None where nobody counted them.
    """
    table = read_parquet(dataset, ["sample_id", "source_row", "label"])
    rows = table["source_row"].to_numpy()
    rows = rows if places is None else places[rows]
    changes = {int(rows[row]): change.new_label for row, change in plan.find_changes(table["sample_id"])}
    return SourceChanges(uri, rows, table["label"].cast(pa.string()), changes, total)


def read_places(version: Path) -> NDArray[np.int64] | None:
    """Return which row of its files in the layout of the source each row of a version is; None where both are the same."""
    path = version / PLACES
    if not path.is_file():
        return None
    return np.asarray(read_parquet(path, ["row"])["row"].to_numpy())


def write_places(found: SourceChanges, version: Path) -> None:
    """Write the same for the version that the changes make, unless every row keeps its number."""
    dropped = found.dropped
    kept = found.rows[~np.isin(found.rows, dropped)]
    places = kept - np.searchsorted(dropped, kept)
    if not np.array_equal(places, np.arange(len(places))):
        write_table(pa.table({"row": places}), version / PLACES)


def learn_forms(corrected: SourceChanges, written: Iterable[str]) -> dict[str, str]:
    """Return how each class is written, as it is called or else where it occurs first, before anything is written.

    Args:
        corrected: The labels that were swept, and what changes.
        written: The label of each row of the source, in order.

    Raises:
        InputError: A label is not the one that was swept, or there are more rows, or fewer.
    """
    forms: dict[str, str] = {}
    labels: dict[str, str] = {}
    swept = zip(
        corrected.rows.tolist(),
        chain.from_iterable(map(pa.Array.to_pylist, corrected.given.chunks)),
        strict=True,
    )
    (place, label), count = next(swept, (-1, "")), 0
    for number, text in enumerate(written):
        count = number + 1
        if number != place:
            continue
        if labels.get(text) != label:
            # What is written in one way stands for one class.
            if text in labels or not _is_written_so(text, label):
                raise make_source_changed_error(corrected.uri)
            labels[text] = label
            if label not in forms or text == label:
                forms[label] = text
        place, label = next(swept, (-1, ""))
    if place >= 0 or (corrected.total is not None and count != corrected.total):
        raise make_source_changed_error(corrected.uri)
    return forms


def _is_written_so(written: str, label: str) -> bool:
    """Return whether a value may have been read as a label: another spelling of it, or the same number.

    >>> _is_written_so(" Cat", "cat"), _is_written_so("1.0", "1"), _is_written_so("dog", "cat")
    (True, True, False)
    """
    if mean_the_same(written, label):
        return True
    try:
        return float(written) == float(label)
    except ValueError:
        return False
