"""From canonical Parquet to tensors: raw features, classes, verified samples."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.fit.design import Design, make_design
from tasks.fit.device import pick_device, pick_dtype
from tasks.options import AuditOptions
from tasks.records import Dataset


@dataclass(frozen=True)
class Samples:
    """The samples of a data set as tensors on the device of the run.

    Attributes:
        features: (n, d) raw features.
        labels: (n,) long, index into the data set's classes.
        trusted: (n,) bool on the CPU, or None where no label was verified.
        n_classes: C.
    """

    features: Tensor
    labels: Tensor
    trusted: Array | None
    n_classes: int

    def design(self, options: AuditOptions) -> Design:
        """Return who is fitted, evaluated and scored on what."""
        labels = self.labels.cpu().numpy()
        return make_design(labels, options.evaluation, options.folds, options.seed, self.trusted).to(
            self.labels.device
        )


def read_samples(dataset: Dataset, device: str) -> Samples:
    """Read a validated data set, one row group at a time.

    Args:
        dataset: Canonical data without missing labels or features that are not finite.
        device: `auto`, `cpu` or `cuda`.
    """
    where = pick_device(device)
    width = len(dataset.feature_names)
    features = np.empty((dataset.rows, width), dtype=np.float32)
    labels = np.empty(dataset.rows, dtype=np.int64)
    trusted = np.zeros(dataset.rows, dtype=bool) if dataset.trusted else None
    classes = pa.array(dataset.classes, pa.string())
    start = 0
    with pq.ParquetFile(dataset.path) as file:
        for batch in file.iter_batches(
            columns=["features", "label", *(["trusted"] if dataset.trusted else [])]
        ):
            rows = slice(start, start + len(batch))
            features[rows] = (
                batch.column("features").flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
            )
            labels[rows] = pc.index_in(batch.column("label"), value_set=classes).to_numpy(
                zero_copy_only=False
            )
            if trusted is not None:
                trusted[rows] = pc.fill_null(batch.column("trusted"), fill_value=False).to_numpy(
                    zero_copy_only=False
                )
            start += len(batch)
    raw = torch.from_numpy(features).to(where, pick_dtype(features.size, where))
    return Samples(raw, torch.from_numpy(labels).to(where), trusted, len(dataset.classes))
