"""The map step: map.parquet, from which the review page draws the data set and finds similar samples.

map.parquet   row (of the data set), x, y (what samples are), class_x, class_y (what tells classes apart), directions
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from tasks.encode.distances import FEWER_DIMENSIONS, MOST_ROWS, choose_distance, draw_row_numbers, place_rows
from tasks.heads.features import FileFeatures
from tasks.heads.samples import read_labels
from tasks.maps.placement import Ints, Places, place_samples
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, Map, Scores
from tasks.runs.step import step
from tasks.storage import read_parquet, write_table


@step()
def map(  # noqa: A001 (steps are named by plain nouns, and people read them)
    dataset: Dataset, encoding: Encoding, scores: Scores, folder: Path, options: AuditOptions
) -> Map:
    """Place the samples on the map: all of them, or what is flagged and a random part of the others.

    Args:
        options: Says whether an encoder made the features.
    """
    features = FileFeatures(encoding.features, torch.empty(0))
    flagged = np.flatnonzero(read_parquet(scores.path, columns=["flagged"])["flagged"].to_numpy())
    rows = np.union1d(draw_row_numbers(features.n, MOST_ROWS), flagged[:MOST_ROWS])
    found = place_samples(
        place_rows(features, rows, choose_distance(dataset, options), FEWER_DIMENSIONS),
        read_labels(dataset)[0][rows],
        options.seed,
    )
    return Map(path=write_positions(rows, found, folder / "map.parquet"), rows=len(rows))


def write_positions(rows: Ints, found: Places, path: Path) -> Path:
    """Write where some rows of the data set are, one row each."""
    columns = {"row": pa.array(rows, pa.int64())}
    for name, values in (("", found.plane), ("class_", found.classes)):
        columns |= {f"{name}{axis}": pa.array(values[:, place]) for place, axis in enumerate("xy")}
    width = found.directions.shape[1]
    columns["directions"] = pa.FixedSizeListArray.from_arrays(pa.array(found.directions.ravel()), width)
    return write_table(pa.table(columns), path)
