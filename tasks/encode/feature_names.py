"""Names of the features in the feature file: those of the data set, or those that an encoder gave."""

from collections.abc import Sequence
from pathlib import Path

from tasks.records import Dataset
from tasks.storage import read_json, write_json

_FILE = "features.json"


def write_names(names: Sequence[str], folder: Path) -> None:
    """Write the name of each feature into the folder of the model."""
    write_json(list(names), folder / _FILE)


def read_names(run: Path, dataset: Dataset) -> tuple[str, ...]:
    """Return the name of each feature that a run audited."""
    path = run / "model" / _FILE
    return tuple(read_json(path)) if path.is_file() else dataset.feature_names
