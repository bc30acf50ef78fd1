"""What rows belong to (a patient, a session, a video, an author), as a number for each group."""

import numpy as np
import pandas as pd

from tasks.arrays import Array
from tasks.ingest.columns.values import convert_to_text
from tasks.records import Dataset
from tasks.storage import read_parquet


def number_groups(dataset: Dataset, column: str) -> Array:
    """Return the group of each row by the values of a column, (n,) int32; a row without a value is alone."""
    values = convert_to_text(read_parquet(dataset.path, columns=[column])[column].combine_chunks())
    return number_values(values.to_numpy(zero_copy_only=False))


def number_values(values: Array) -> Array:
    """Return a number for each group, (n,) int32; a value that is missing is a group of its own.

    >>> number_values(np.array(["b", None, "a", "b", None], object)).tolist()
    [0, 2, 1, 0, 3]
    """
    found: Array = pd.factorize(values)[0].astype(np.int32)
    alone = found < 0
    found[alone] = found.max(initial=-1) + 1 + np.arange(alone.sum(), dtype=np.int32)
    return found
