"""Which samples of a run belong together, found before the folds are dealt: by the user's column, or because they are copies."""

from pathlib import Path

import numpy as np

from tasks.arrays import Array
from tasks.fit.groups import check_groups
from tasks.ingest.groups import named_groups
from tasks.options import AuditOptions
from tasks.records import Dataset, Groups
from tasks.storage import atomic_path


def find_groups(dataset: Dataset, folder: Path, options: AuditOptions) -> Groups | None:
    """Write `folder/groups.npy`, which says of each sample what group it is in; None where each stands alone.

    Args:
        dataset: The validated data.
        folder: Where to write.
        options: How many folds the groups are dealt to.

    Raises:
        InputError: There are fewer groups than folds.
    """
    if dataset.group is None:
        return None
    groups = named_groups(dataset, dataset.group)
    folds = 2 if options.evaluation == "holdout" else options.folds
    check_groups(groups, folds, f"--group {dataset.group}")
    return write_groups(groups, folder / "groups.npy", dataset.group)


def write_groups(groups: Array, final: Path, column: str | None) -> Groups | None:
    """Write the group of each sample; None where each stands alone."""
    size = np.bincount(groups)
    size = size[size > 0]
    if len(size) == len(groups):
        return None
    with atomic_path(final) as path, path.open("wb") as file:
        np.save(file, groups.astype(np.int32))
    return Groups(
        path=final,
        count=len(size),
        largest=int(size.max()),
        shared=int(size[size > 1].sum()),
        column=column,
    )
