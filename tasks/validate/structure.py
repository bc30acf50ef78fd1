"""Data that cannot be used at all: what is wrong, where, and what to do, before any row is judged."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.records import Dataset
from tasks.validate.facts import Facts
from tasks.validate.parts import cell
from tasks.validate.words import alike

REQUIRED = ("sample_id", "label", "content_hash", "source_row")


def required_columns(dataset: Dataset) -> list[str]:
    """Return the columns that a canonical data set has to have."""
    features = ["features"] if dataset.feature_names else []
    shown = [dataset.payload] if dataset.payload in ("image", "text") else []
    trusted = ["trusted"] if dataset.trusted else []
    return list(dict.fromkeys([*REQUIRED, *features, *shown, *trusted, *dataset.display_columns]))


def require_layout(dataset: Dataset) -> None:
    """Check that the file is the one its record speaks of.

    Raises:
        InputError: The file is gone, is not Parquet, or has other rows or columns than its record says.
    """
    fix = "start a new run, so that the source is read again"
    try:
        metadata = pq.read_metadata(dataset.path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"it cannot be read ({reason})", where=str(dataset.path), fix=fix) from error
    schema = metadata.schema.to_arrow_schema()
    missing = [name for name in required_columns(dataset) if name not in schema.names]
    if missing:
        raise InputError(f"there is no column '{missing[0]}'", where=str(dataset.path), fix=fix)
    for name in ("sample_id", "label", "content_hash"):
        if schema.field(name).type != pa.string():
            raise InputError(
                f"column '{name}' is {schema.field(name).type}, not string", where=str(dataset.path), fix=fix
            )
    if metadata.num_rows != dataset.rows:
        raise InputError(
            f"it has {metadata.num_rows:,} rows where {dataset.rows:,} were read",
            where=str(dataset.path),
            fix=fix,
        )


def require_usable(dataset: Dataset, facts: Facts, folds: int, tolerance: float) -> None:
    """Check what makes an audit possible at all.

    Raises:
        InputError: There are no rows or no labels, only one class, an id occurs twice, too many rows have features that are
            not finite, or fewer than two classes have as many samples as there are folds.
    """
    if not facts.rows:
        raise InputError("there are no rows", where=dataset.uri, fix="name a source with labeled samples")
    if not (facts.labels >= 0).any():
        raise InputError(
            "every label is missing", where=dataset.uri, fix="name the column of labels with --label"
        )
    _require_unique_ids(dataset, facts)
    counts = class_counts(facts.labels, len(dataset.classes))
    _require_two_classes(dataset, counts, "")
    _require_finite(dataset, facts, tolerance)
    require_classes(dataset, counts, counts, folds)


def class_counts(labels: NDArray[np.int32], classes: int) -> NDArray[np.int64]:
    """Return how many samples each class has, one number a class."""
    return np.bincount(labels[labels >= 0], minlength=classes).astype(np.int64)


def large_classes(dataset: Dataset, facts: Facts, folds: int) -> list[str]:
    """Return the classes that have a sample for each fold."""
    counts = class_counts(facts.labels, len(dataset.classes))
    return [name for name, count in zip(dataset.classes, counts, strict=True) if count >= folds]


def require_classes(
    dataset: Dataset, counts: NDArray[np.int64], before: NDArray[np.int64], folds: int
) -> None:
    """Check that two classes or more have a sample for each fold; the others can be set aside.

    Args:
        dataset: Names the classes.
        counts: Samples of each class now  # (classes,)
        before: Samples of each class before rows were set aside  # (classes,)
        folds: Number of folds.

    Raises:
        InputError: Only one class is left, or fewer than two have as many samples as there are folds.
    """
    aside = int(before.sum() - counts.sum())
    note = f" after {aside:,} rows were set aside" if aside else ""
    _require_two_classes(dataset, counts, note)
    small = np.flatnonzero((counts > 0) & (counts < folds))
    if (counts >= folds).sum() >= 2:
        return
    worst = small[counts[small].argmax()]
    count = int(counts[worst])
    lost = f" ({before[worst]:,} before rows were set aside)" if before[worst] > count else ""
    others = {1: "", 2: "; so has another class"}.get(len(small), f"; so have {len(small) - 1} other classes")
    fewer = f"use --folds {count}, or " if count > 1 else ""
    name = dataset.classes[worst]
    twin = alike(name, dataset.classes)
    another = "another" if twin is None else f"'{twin}', whose name is nearly the same,"
    raise InputError(
        f"class '{name}' has {count} sample{'s' if count > 1 else ''}{lost}, "
        f"fewer than the {folds} folds{others}",
        where=dataset.uri,
        fix=f"{fewer}merge the class with {another} or remove it",
    )


def source_row(path: Path, row: int) -> int:
    """Return the row of the source, counted from 0, that a row of the data set came from."""
    return int(cell(path, "source_row", row))


def _require_two_classes(dataset: Dataset, counts: NDArray[np.int64], note: str) -> None:
    present = np.flatnonzero(counts)
    if len(present) == 1:
        raise InputError(
            f"there is only one class ('{dataset.classes[present[0]]}'){note}",
            where=dataset.uri,
            fix="finding wrong labels needs two classes or more",
        )


def _require_unique_ids(dataset: Dataset, facts: Facts) -> None:
    if not facts.repeated_ids:
        return
    name, rows = next(iter(facts.repeated_ids.items()))
    first, second = (source_row(dataset.path, row) for row in rows[:2])
    more = "; other ids repeat too" if len(facts.repeated_ids) > 1 else ""
    raise InputError(
        f"the id '{name}' occurs {len(rows)} times, first in source rows {first} and {second}{more}",
        where=dataset.uri,
        fix="make the ids unique, or leave --id out so that they come from the content",
    )


def _require_finite(dataset: Dataset, facts: Facts, tolerance: float) -> None:
    if dataset.payload == "image":
        return  # files that do not decode are no mistake about columns: the checks of the rows count them
    found = facts.nonfinite
    share = len(found.rows) / facts.rows
    if share <= tolerance:
        return
    worst = int(found.by_feature.argmax())
    in_worst = int(found.by_feature[worst])
    first = source_row(dataset.path, int(found.first_row[worst]))
    raise InputError(
        f"{share:.1%} of the rows have NaN or infinite features (tolerance {tolerance:.0%}); "
        f"worst is '{dataset.feature_names[worst]}' "
        f"in {in_worst:,} rows ({in_worst / facts.rows:.1%}), first in source row {first}",
        where=dataset.uri,
        fix="fill the gaps, or leave the column out with --features",
    )
