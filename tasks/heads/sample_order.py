"""An order of the samples that does not depend on how their file is sorted: what is drawn at random is drawn along it.

A file that comes back in another order is the same data, and has the same folds, landmarks and queue.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.arrays import Array

_CHUNK_VALUES = 2**20


def order_by_id(batches: Iterable[pa.Array]) -> Array:
    """Return the samples in the order of the hashes of their ids, (n,) int32 places in the file.

    Args:
        batches: The ids, as strings. Hashed to 64 bits, of which 8 bytes a sample are held; of ten million ids two meet by
            chance in one data set of 370,000, and then their places in the file decide between the two.

    >>> order_by_id([pa.array(["a", "b"]), pa.array(["c"])]).tolist() == [
    ...     2 - place for place in order_by_id([pa.array(["c", "b", "a"])]).tolist()
    ... ]
    True
    """
    keys = [pd.util.hash_array(ids.to_numpy(zero_copy_only=False), categorize=False) for ids in batches]
    return _sort(np.concatenate(keys) if keys else np.empty(0, np.uint64))


def order_by_content(features: Array, labels: Array, told: Sequence[Array] = ()) -> Array:
    """Return the samples in the order of the hashes of their features and label, (n,) int32, where they have no ids.

    Rows of which all that is known is the same are the same sample twice: which of them comes first makes no difference.

    Args:
        features: (n, d) floating-point numbers.
        labels: (n,) classes.
        told: What else is known of each, (n,) or (n, k) of any type: it decides between rows with the same features and label.

    >>> features, labels = np.array([[0.5, 1.0], [2.0, 3.0], [2.0, 3.0]]), np.array([0, 0, 1])
    >>> order_by_content(features, labels).tolist() == [
    ...     2 - place for place in order_by_content(features[::-1], labels[::-1]).tolist()
    ... ]
    True
    """
    # Multilinear hashing modulo 2^64 (Lemire and Kaser, 2014): sums of integers, exact in any order, unlike those of floats.
    # In single precision, so that the same data in double precision have the same order; + 0 gives zero one sign.
    single = np.ascontiguousarray(features, dtype=np.float32) + np.float32(0)
    bits: Array = single.view(np.uint32).reshape(len(features), -1)
    factors = np.random.default_rng(0).integers(2**64, size=bits.shape[1] + 1, dtype=np.uint64) | np.uint64(1)
    keys = labels.astype(np.uint64) * factors[-1]
    chunk = max(1, _CHUNK_VALUES // bits.shape[1])
    for start in range(0, len(bits), chunk):
        rows = slice(start, start + chunk)
        keys[rows] += bits[rows].astype(np.uint64) @ factors[:-1]
    columns = [column for one in told for column in one.reshape(len(labels), -1).T]
    if not columns or len(np.unique(keys)) == len(keys):
        return _sort(keys)
    others = [pd.util.hash_array(np.ascontiguousarray(column)) for column in columns]
    order: Array = np.lexsort((*others, keys)).astype(np.int32)
    return order


def _sort(keys: Array) -> Array:
    order: Array = np.argsort(keys, kind="stable").astype(np.int32)
    return order
