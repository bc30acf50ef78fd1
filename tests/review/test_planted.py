"""Planted controls look like the rest of the queue."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.review.queue import load_queue
from tasks.storage import write_table


def neighbours(run: Path) -> dict[str, list[dict[str, object]]]:
    """Return what each control shows as its neighbours."""
    items = load_queue(run, control_share=0.3).items
    return {item.sample_id: item.evidence["neighbours"] for item in items if item.is_control}


def test_missing_values_do_not_change_what_is_near_a_control(wine: Path) -> None:
    before = neighbours(wine)
    table = pq.read_table(wine / "dataset.parquet")
    features = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1).copy()
    features[np.random.default_rng(0).permutation(len(table))[:5], -1] = (
        np.nan
    )  # the column of the largest numbers
    filled = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.shape[1])
    place = table.schema.get_field_index("features")
    write_table(table.set_column(place, "features", filled), wine / "dataset.parquet")
    after = neighbours(wine)
    assert before.keys() == after.keys()
    shared = [
        len({near["sample_id"] for near in before[name]} & {near["sample_id"] for near in after[name]})
        for name in before
    ]
    assert np.mean(shared) > 4
    farthest, now = (
        max(near["distance"] for close in found.values() for near in close) for found in (before, after)
    )
    assert now < 2 * farthest
