"""The feature file: what the audit reads, one row of float32 for each sample, whatever the samples are."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tasks.arrays import Array
from tasks.fit.features import STORED
from tasks.records import Dataset, FeatureFile
from tasks.storage import atomic_path

# Bytes of one batch as float32: the memory of this step, about three times over.
BATCH_BYTES = 16 * 2**20


def featurize(dataset: Dataset, folder: Path) -> FeatureFile:
    """Copy the features of a validated data set into one flat file, batch by batch.

    Args:
        dataset: Canonical data with a `features` column.
        folder: Where to write `features.f32`.
    """
    final = folder / "features.f32"
    with atomic_path(final) as path, path.open("wb") as file:
        for batch in feature_batches(dataset):
            batch.astype(STORED, copy=False).tofile(file)
    return FeatureFile(path=final, rows=dataset.rows, width=len(dataset.feature_names))


def feature_batches(dataset: Dataset) -> Iterator[Array]:
    """Yield the features in the order of the data set, (b, d) float32 each."""
    width = len(dataset.feature_names)
    rows = max(1, BATCH_BYTES // (STORED.itemsize * width))
    with pq.ParquetFile(dataset.path) as file:
        for batch in file.iter_batches(rows, columns=["features"]):
            flat = batch.column("features").flatten().to_numpy(zero_copy_only=False)
            yield np.ascontiguousarray(flat, dtype=np.float32).reshape(-1, width)
