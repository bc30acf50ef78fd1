"""Samples whose label a person has verified: nobody is asked about them."""

import pyarrow.compute as pc

from tasks.arrays import Array
from tasks.records import Dataset
from tasks.storage import read_parquet


def read_verified(dataset: Dataset) -> Array | None:
    """Return which samples of a data set are verified, (n,) bool, as `tasks.heads.samples.Samples.verified` does."""
    if not dataset.trusted or dataset.raters:
        return None
    column = read_parquet(dataset.path, columns=["trusted"])["trusted"]
    verified: Array = pc.fill_null(column, fill_value=False).to_numpy()
    return verified
