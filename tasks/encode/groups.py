"""Which samples of a run belong together, found before the folds are dealt: by the user's column, or because they are copies."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tasks.arrays import Array
from tasks.encode.copies import are_coincidences, drop_whole_classes, find_copy_sets, find_identical
from tasks.encode.distances import MOST_ROWS, choose_distance, draw_row_numbers, pick_rows, search
from tasks.encode.encoded import read_stored
from tasks.heads.features import FileFeatures
from tasks.heads.groups import check_groups
from tasks.heads.neighbours import NEIGHBOURS, Neighbours
from tasks.heads.samples import read_labels
from tasks.ingest.groups import number_groups
from tasks.options import AuditOptions
from tasks.records import Dataset, FeatureFile, SampleGroups
from tasks.storage import open_atomically, read_batches

# Copies of one sample that are found, with the sample itself: augmentation makes 10 or 20 as a rule.
MOST_COPIES = 32
# Rows on which identical ones are told from coincidences, and numbers that are looked at.
_ROWS, _VALUES = 20_000, 4_000_000


def find_groups(
    dataset: Dataset, features: FeatureFile, folder: Path, options: AuditOptions
) -> SampleGroups | None:
    """Write `folder/groups.npy`, which says of each sample what group it is in; None where each is alone.

    Without a column of the user's these are identical samples, and near-duplicates where there are at most `MOST_ROWS` samples.
    The neighbours that they are found by stay in `folder/neighbours.npz`.

    Args:
        options: How many folds the groups are dealt to, and how features were made.

    Raises:
        InputError: The user's column has fewer groups than there are folds.
    """
    folds = 2 if options.evaluation == "holdout" else options.folds
    if dataset.group is not None:
        groups = number_groups(dataset, dataset.group)
        check_groups(groups, folds, f"--group {dataset.group}")
        return write_groups(groups, folder / "groups.npy", dataset.group)
    if dataset.probabilities or dataset.rows < 3:
        return None
    content = read_contents(dataset)
    sets = find_identical(content)
    if sets and has_coincidences(dataset):
        sets = []
    if dataset.rows <= MOST_ROWS:
        raw = FileFeatures(features, torch.empty(0))
        found = search(raw, np.arange(dataset.rows), choose_distance(dataset, options), MOST_COPIES)
        save_neighbours(found, folder / "neighbours.npz")
        sets = find_copy_sets(found, content) + sets
    labels, trusted = read_labels(dataset)
    dealt = (
        ~trusted if trusted is not None and options.evaluation == "trusted" else np.ones_like(labels, bool)
    )
    sets = drop_whole_classes(sets, labels, dealt, folds)
    return write_groups(_unite(sets, dataset.rows), folder / "groups.npy", None)


def read_contents(dataset: Dataset) -> Array:
    """Return a number for the content of each sample, (n,) uint64."""
    keys = [
        pd.util.hash_array(batch.column(0).to_numpy(zero_copy_only=False), categorize=False)
        for _, batch in read_batches(dataset.path, ["content_hash"])
    ]
    return np.concatenate(keys)


def has_coincidences(dataset: Dataset) -> bool:
    """Return whether rows of a table are identical because its columns have few values: then they are not copies."""
    if not dataset.columns:
        return False
    rows = draw_row_numbers(dataset.rows, min(_ROWS, max(2, _VALUES // len(dataset.columns))))
    return are_coincidences(np.concatenate(list(pick_rows(read_stored(dataset), rows))))


def _unite(sets: list[Array], n: int) -> Array:
    """Return the group of each of n samples, (n,); a sample that is in an earlier set is in no later one."""
    groups = np.arange(n)
    taken = np.zeros(n, bool)
    for rows in sets:
        free = rows[~taken[rows]]
        groups[free], taken[free] = free.min(initial=n), True
    return groups


def save_neighbours(found: Neighbours, final: Path) -> None:
    """Write the nearest of the neighbours, for whoever asks next."""
    # On a full disk numpy's own file would be closed once more later, with a traceback beside the one line.
    held = io.BytesIO()
    np.savez(held, distance=found.distance[:, :NEIGHBOURS], index=found.index[:, :NEIGHBOURS])
    with open_atomically(final) as path:
        path.write_bytes(held.getvalue())


def load_neighbours(path: Path) -> Neighbours | None:
    """Read what `save_neighbours` wrote; None where it wrote nothing."""
    if not path.exists():
        return None
    with np.load(path) as kept:
        return Neighbours(kept["distance"], kept["index"])


def write_groups(groups: Array, final: Path, column: str | None) -> SampleGroups | None:
    """Write the group of each sample; None where each is alone."""
    size = np.bincount(groups)
    size = size[size > 0]
    if len(size) == len(groups):
        return None
    with open_atomically(final) as path, path.open("wb") as file:
        np.save(file, groups.astype(np.int32))
    return SampleGroups(
        path=final,
        count=len(size),
        largest=int(size.max()),
        shared=int(size[size > 1].sum()),
        column=column,
    )
