"""The oddities step: near-duplicates, outliers and telling features, each in a file of its own.

duplicates.parquet   group, sample_id, given_label, distance, content_hash: groups of nearly the same samples, the closest first
outliers.parquet     sample_id, given_label, distance: farthest first, in multiples of the usual distance to neighbours
oddities.json        how many of each, the telling features, how much was looked at and how
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tasks.encode import distances
from tasks.encode.encoded import read_stored
from tasks.encode.feature_names import read_names
from tasks.encode.groups import load_neighbours
from tasks.heads.features import FileFeatures
from tasks.heads.neighbours import EXACT_ROWS, NEIGHBOURS
from tasks.heads.samples import read_labels
from tasks.ingest.leaks.measures import measure_column
from tasks.oddities.outliers import NearDuplicates, find_near_duplicates, find_outliers
from tasks.options import AuditOptions
from tasks.queue.rows import take_rows
from tasks.records import Dataset, Encoding, Oddities
from tasks.runs.step import step
from tasks.storage import write_json, write_table

# Nineteen of twenty errors avoided by one feature alone: as well as whole models do, and more than the most telling
# measurement of classic data sets (a petal's width tells irises apart with 0.93).
TELLS = 0.95
# Numbers that are looked at for telling features: 20,000 rows of 200 features.
LEAK_VALUES, LEAK_ROWS, LEAST_LEAK_ROWS = 4_000_000, 20_000, 500
# Wider than this no single feature means something to a person.
MOST_FEATURES = 4_096


@step()
def oddities(
    dataset: Dataset, encoding: Encoding, folder: Path, options: AuditOptions, *, probabilities: bool = False
) -> Oddities:
    """Look for what stands out apart from the labels' influence.

    Args:
        options: Says whether an encoder made the features.
        probabilities: Whether the features are a model's predictions: they are alike, and tell the label, as a matter of course.
    """
    features = FileFeatures(encoding.features, torch.empty(0))
    labels = read_labels(dataset)[0]
    rows: distances.Ints = distances.draw_row_numbers(features.n, 0 if probabilities else distances.MOST_ROWS)
    groups: list[NearDuplicates] = []
    far, times = np.empty(0, np.int64), np.empty(0, np.float32)
    if len(rows) > 1:
        found = load_neighbours(folder / "model" / "neighbours.npz")
        if found is None or len(found.index) != len(rows):
            found = distances.search(features, rows, distances.choose_distance(dataset, options), NEIGHBOURS)
        content = take_rows(dataset.path, rows, ["content_hash"])["content_hash"].to_numpy()
        groups = find_near_duplicates(found, content)
        far, times = find_outliers(found)
    members = _write_groups(dataset, rows, groups, folder / "duplicates.parquet")
    _write_outliers(dataset, rows[far], times, folder / "outliers.parquet")
    leaks, tried = ([], 0) if probabilities else _find_leaks(dataset, features, labels, folder)
    kept: dict[str, Any] = {
        "rows": features.n,
        "looked_at": len(rows),
        "exact": len(rows) <= EXACT_ROWS,
        "near_duplicates": members,
        "near_duplicate_groups": len(groups),
        "near_duplicate_groups_with_different_labels": sum(
            len(np.unique(labels[rows[group.members]])) > 1 for group in groups
        ),
        "outliers": len(far),
        "features_tried": tried,
        "telling_features": leaks,
    }
    path = write_json(kept, folder / "oddities.json")
    return Oddities(path=path, duplicates=members, outliers=len(far), leaks=len(leaks))


def _write_groups(dataset: Dataset, rows: distances.Ints, groups: list[NearDuplicates], final: Path) -> int:
    """Write the groups of nearly the same samples; return how many samples are in them."""
    nobody: distances.Ints = np.empty(0, np.int64)
    members = np.concatenate([nobody, *(group.members for group in groups)])
    table = take_rows(dataset.path, rows[members], ["sample_id", "label", "content_hash"])
    sizes = [len(group.members) for group in groups]
    columns = {
        "group": pa.array(np.repeat(np.arange(1, len(groups) + 1), sizes), pa.int64()),
        "sample_id": table["sample_id"],
        "given_label": table["label"],
        "distance": pa.array(
            _round_values(np.repeat([group.distance for group in groups], sizes)), pa.float64()
        ),
        "content_hash": table["content_hash"],
    }
    write_table(pa.table(columns), final)
    return len(members)


def _write_outliers(dataset: Dataset, rows: distances.Ints, times: distances.Floats, final: Path) -> None:
    table = take_rows(dataset.path, rows, ["sample_id", "label"])
    columns = {"sample_id": table["sample_id"], "given_label": table["label"]}
    write_table(pa.table({**columns, "distance": pa.array(_round_values(times), pa.float64())}), final)


def _round_values(values: Iterable[float]) -> list[float]:
    """Return numbers to four digits: what is behind them is rounding."""
    return [float(f"{value:.4g}") for value in values]


def _find_leaks(
    dataset: Dataset, features: FileFeatures, labels: distances.Ints, folder: Path
) -> tuple[list[dict[str, Any]], int]:
    """Return the features that tell the label alone, the most telling first, and how many were tried.

    The columns of a table are tried as they are, categories included, not one by one as they were encoded.
    """
    raw = bool(dataset.columns)
    names = dataset.feature_names if raw else read_names(folder, dataset)
    if len(names) > MOST_FEATURES:
        return [], 0
    rows = distances.draw_row_numbers(
        features.n, min(LEAK_ROWS, max(LEAST_LEAK_ROWS, LEAK_VALUES // max(1, len(names))))
    )
    blocks = read_stored(dataset) if raw else distances.read_blocks(features)
    mixed = np.random.default_rng(0).permutation(len(rows))  # rows are in an order that may tell the label
    values = np.concatenate(list(distances.pick_rows(blocks, rows)))[mixed].astype(np.float64)
    codes = (np.unique(column, return_inverse=True)[1] for column in values.T)
    given = labels[rows][mixed]
    share = np.array(
        [measure_column(code, column, given) for code, column in zip(codes, values.T, strict=True)]
    )
    order = [int(place) for place in np.argsort(-share, kind="stable") if share[place] >= TELLS]
    return [{"feature": names[place], "told": float(f"{share[place]:.4g}")} for place in order], len(names)
