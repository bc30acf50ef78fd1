"""Whole run folders, made from real fits: digits with planted errors, and two Gaussians in the plane."""

import io
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from tasks.controls.estimate import compare_with_shadow
from tasks.records import (
    Dataset,
    EncodedMember,
    Encoding,
    FeatureFile,
    FittedRound,
    Queue,
    Scores,
    Synthetic,
    Validation,
)
from tasks.storage import write_json, write_table, write_text

FOLDS = 3


@dataclass
class Labeled:
    """A data set with planted errors."""

    name: str
    features: np.ndarray
    truth: np.ndarray
    given: np.ndarray
    payload: str
    shape: tuple[int, ...]
    images: list[bytes] | None = None
    synthetic: Synthetic | None = None
    classes: tuple[str, ...] = tuple("0123456789")
    columns: tuple[str, ...] = ()

    @property
    def ids(self) -> list[str]:
        return [f"{self.name}-{i:05d}" for i in range(len(self.given))]

    @property
    def names(self) -> tuple[str, ...]:
        return self.columns or tuple(f"x{i}" for i in range(self.features.shape[1]))

    def labels(self, codes: np.ndarray) -> list[str]:
        return [self.classes[code] for code in codes]


@dataclass
class Audited:
    """Scores of every sample, from a logistic regression in each fold."""

    influence: np.ndarray
    raw: np.ndarray
    probabilities: np.ndarray
    training_loss: np.ndarray
    saliency: np.ndarray
    harms: list[list[dict[str, object]]]
    curve: list[dict[str, float]]


def plant(truth: np.ndarray, share: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    given, classes = truth.copy(), int(truth.max()) + 1
    chosen = generator.permutation(len(truth))[: int(share * len(truth))]
    given[chosen] = (truth[chosen] + generator.integers(1, classes, len(chosen))) % classes
    return given


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(pixels * 255 / 16)).save(buffer, "PNG")
    return buffer.getvalue()


def audit(data: Labeled) -> Audited:
    """Score a labeled data set as METHOD's first section says, with plain numpy on scikit-learn's fits."""
    n, classes = len(data.given), int(data.truth.max()) + 1
    raw, relative, loss = np.zeros(n), np.zeros(n), np.zeros(n)
    probabilities = np.zeros((n, classes))
    onehot = np.eye(classes)[data.given]
    curve: list[dict[str, float]] = []
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(data.features, data.given)
    for fold, (train, held) in enumerate(splits):
        scaler = StandardScaler().fit(data.features[train])
        z = np.column_stack([scaler.transform(data.features), np.ones(n)])
        for iterations in (1, 2, 4, 8, 16, 300):
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # the early points of the training curve have not converged on purpose
                model = LogisticRegression(max_iter=iterations, tol=1e-6).fit(
                    z[train, :-1], data.given[train]
                )
            p = model.predict_proba(z[:, :-1])
            step = -np.log(p[np.arange(n), data.given])
            gradient = np.linalg.norm(z[train].T @ (p - onehot)[train]) / len(train)
            curve.append(
                {"iteration": iterations, "fold": fold, "loss": step[train].mean(), "gradient_norm": gradient}
            )
        inverse, residual = np.linalg.inv(hessian(z[train], p[train])), p - onehot
        gradients = (residual[:, :, None] * z[:, None, :]).reshape(n, -1)
        trust = p[held, data.given[held]] ** 2
        direction = (inverse @ (trust @ gradients[held] / trust.sum())).reshape(classes, -1)
        u = z @ direction.T
        fold_raw = (residual * u).sum(1)
        raw[train] += fold_raw[train] / (FOLDS - 1)
        norm = np.linalg.norm(residual, axis=1) * np.linalg.norm(z, axis=1)
        relative[train] += fold_raw[train] / norm[train] / (FOLDS - 1)
        loss[train] += step[train] / (FOLDS - 1)
        probabilities[held] = p[held]
    relative /= np.abs(relative).mean()
    coefficients = model.coef_ if classes > 2 else np.vstack([np.zeros_like(model.coef_), model.coef_])
    inner = p * u - p * (p * u).sum(1, keepdims=True)
    saliency = (residual @ direction[:, :-1] + inner @ coefficients) / scaler.scale_
    worst = np.argsort(relative)[:200]
    pairwise = gradients[worst] @ inverse @ gradients[held].T
    harms = [
        [
            {"sample_id": data.ids[held[j]], "label": data.classes[data.given[held[j]]], "influence": row[j]}
            for j in np.argsort(row)[:3]
        ]
        for row in pairwise
    ]
    return Audited(relative, raw, probabilities, loss, saliency, harms, curve)


def hessian(z: np.ndarray, p: np.ndarray) -> np.ndarray:
    classes, width = p.shape[1], z.shape[1]
    blocks = np.empty((classes, width, classes, width))
    for a in range(classes):
        for b in range(a, classes):
            weight = p[:, a] * ((a == b) - p[:, b])
            blocks[a, :, b, :] = blocks[b, :, a, :] = (z * weight[:, None]).T @ z / len(z)
    return blocks.reshape(classes * width, -1) + np.eye(classes * width) / len(z)


def write_run(folder: Path, data: Labeled) -> Path:
    """Write every file of a run but the summary and the report."""
    audited = audit(data)
    n, ids = len(data.given), data.ids
    dataset = write_dataset(folder, data)
    own = audited.probabilities[np.arange(n), data.given]
    others = audited.probabilities.copy()
    others[np.arange(n), data.given] = -1
    other, predicted = others.argmax(1), audited.probabilities.argmax(1)
    margin = own - others.max(1)
    flagged = (audited.influence < 0) & (margin < 0)
    score = (audited.influence.argsort().argsort() + margin.argsort().argsort()) / (2 * n)
    suggested = np.where(margin < 0, other, data.given)
    columns = {
        "sample_id": ids,
        "given_label": data.labels(data.given),
        "suggested_label": data.labels(suggested),
        "influence": audited.influence,
        "influence_raw": audited.raw,
        "score": score,
        "relabel_gain": -np.minimum(audited.raw, 0),
        "given_probability": own,
        "suggested_probability": np.where(margin < 0, others.max(1), own),
        "flagged": flagged,
        "n_folds": np.full(n, FOLDS - 1),
        "predicted_label": data.labels(predicted),
        "predicted_probability": audited.probabilities.max(1),
        "conflict": np.zeros(n, dtype=bool),
    }
    scores = pa.table(columns)
    write_table(scores, folder / "scores.parquet")
    write_table(
        pa.table(
            {
                "sample_id": ids,
                "training_loss": -audited.training_loss,
                "self_confidence": own,
                "normalized_margin": margin,
            }
        ),
        folder / "baselines.parquet",
    )
    write_queue(folder, data, audited, scores)
    write_model(folder, audited)
    write_steps(folder, dataset, int(flagged.sum()))
    write_text(
        yaml.safe_dump(
            {
                "source": data.name,
                "out": "/data/our results",
                "model": "linear",
                "evaluation": "crossfit",
                "solver": "auto",
                "score": "consensus",
                "seed": 0,
            }
        ),
        folder / "config.yaml",
    )
    return folder


def write_dataset(folder: Path, data: Labeled) -> Dataset:
    """Write `dataset.parquet`, `truth.parquet` and the quarantine."""
    flat = pa.FixedSizeListArray.from_arrays(
        pa.array(data.features.astype(np.float32).ravel()), data.features.shape[1]
    )
    columns: dict[str, object] = {
        "sample_id": data.ids,
        "label": data.labels(data.given),
        "features": flat,
        "content_hash": [f"{i:064x}" for i in range(len(data.given))],
        "source_row": np.arange(len(data.given)),
    }
    display: tuple[str, ...] = ()
    if data.images:
        columns["image"] = data.images
    else:
        columns |= {name: data.features[:, i] for i, name in enumerate(data.names)}
        display = data.names
    table = pa.table(columns)
    write_table(table, folder / "dataset.parquet")
    write_table(
        pa.table({"sample_id": data.ids, "true_label": data.labels(data.truth)}), folder / "truth.parquet"
    )
    reasons = ["the label is missing", "the label is missing", "a feature is not finite"]
    set_aside = table.drop_columns(["features"]).slice(0, 3).append_column("reason", pa.array(reasons))
    write_table(set_aside, folder / "quarantine.parquet")
    dataset = Dataset(
        path=folder / "dataset.parquet",
        name=data.name,
        uri=f"sample:{data.name}",
        rows=len(data.given),
        classes=data.classes[: int(data.truth.max()) + 1],
        payload="image" if data.images else "tabular",
        feature_names=data.names,
        feature_shape=data.shape,
        display_columns=display,
        digest="0" * 64,
        truth=folder / "truth.parquet",
        synthetic=data.synthetic,
    )
    write_table(
        pa.table({"sample_id": data.ids[:2], "label": data.classes[:2], "content_hash": ["a" * 64] * 2}),
        folder / "validation/conflicts.parquet",
    )
    return dataset


def write_queue(folder: Path, data: Labeled, audited: Audited, scores: pa.Table) -> None:
    """Write the queue with reasons and evidence, and the saliency of its top."""
    score = scores["score"].to_numpy()
    order = np.flatnonzero(scores["flagged"].to_numpy())
    order = order[np.argsort(score[order], kind="stable")]
    worst = {int(i): place for place, i in enumerate(np.argsort(audited.influence)[:200])}
    evidence, reasons = [], []
    for i in order:
        distance = np.linalg.norm(data.features - data.features[i], axis=1)
        near = [
            {"sample_id": data.ids[j], "label": data.classes[data.given[j]], "distance": distance[j]}
            for j in np.argsort(distance)[1:6]
        ]
        evidence.append(
            json.dumps({"harms": audited.harms[worst[i]] if i in worst else [], "neighbours": near})
        )
        agree = sum(item["label"] == data.classes[data.given[i]] for item in near)
        reasons.append(f"Given as {data.classes[data.given[i]]}; {agree} of 5 neighbours carry that label.")
    queue = scores.take(pa.array(order)).drop_columns(["flagged", "conflict"])
    queue = queue.add_column(0, "rank", pa.array(np.arange(1, len(order) + 1)))
    queue = queue.append_column("reason", pa.array(reasons)).append_column("evidence", pa.array(evidence))
    queue = queue.append_column("content_hash", pa.array([f"{i:064x}" for i in order]))
    if data.images:
        queue = queue.append_column("image", pa.array([data.images[i] for i in order]))
    else:
        for j, name in enumerate(data.names):
            queue = queue.append_column(name, pa.array(data.features[order, j]))
    write_table(queue, folder / "queue.parquet")
    top = order[:24]
    saliency = pa.table({"sample_id": [data.ids[i] for i in top], "saliency": audited.saliency[top].tolist()})
    write_table(saliency, folder / "saliency.parquet")


def write_model(folder: Path, audited: Audited) -> None:
    """Write the training curve and the convergence of every fit and solve."""
    curve = pa.Table.from_pylist([{"round": 1, **row} for row in audited.curve])
    write_table(curve, folder / "model/training_curve.parquet")
    fit = [
        {"round": 1, "fold": f, "gradient_norm": 2.1e-7, "iterations": 9 + f, "converged": True}
        for f in range(FOLDS)
    ]
    solve = [
        {"round": 1, "fold": f, "residual": 3.4e-5, "iterations": 31 + f, "converged": True}
        for f in range(FOLDS)
    ]
    write_json({"fit": fit, "solve": solve}, folder / "model/convergence.json")


def write_steps(folder: Path, dataset: Dataset, flagged: int) -> None:
    """Write the records of the steps as a run leaves them."""
    reasons = {"the label is missing": 2, "a feature is not finite": 1}
    checks = [
        {
            "check": "unique sample id",
            "says": "sample_id is unique",
            "source": "contract",
            "success": True,
            "unexpected": 0,
        },
        {
            "check": "label",
            "says": "label has a value",
            "source": "contract",
            "success": False,
            "unexpected": 2,
        },
    ]
    result = {"success": True, "rows_in": dataset.rows + 3, "quarantined": 3, "checks": checks}
    write_json(result, folder / "validation/result.json")
    records = {
        "ingest": dataset.model_copy(update={"rows": dataset.rows + 3}),
        "validate": Validation(
            dataset=dataset,
            rows_in=dataset.rows + 3,
            quarantined=3,
            quarantine=folder / "quarantine.parquet",
            result=folder / "validation/result.json",
            reasons=reasons,
            conflicting=2,
            duplicates=1,
        ),
        "encode": Encoding(
            path=folder / "model/encoding",
            features=FeatureFile(
                path=folder / "model/features.f32", rows=dataset.rows, width=len(dataset.feature_names)
            ),
            members=(EncodedMember(name="raw", width=len(dataset.feature_names), l2=0.01, log_loss=0.312),),
        ),
        "fit-1": FittedRound(
            path=folder / "model",
            round=1,
            left_out=None,
            folds=FOLDS,
            converged=True,
            gradient_norm=2.1e-7,
            iterations=11,
        ),
        "attribute-1": Scores(
            path=folder / "scores.parquet",
            round=1,
            rows=dataset.rows,
            flagged=flagged,
            residual=3.4e-5,
            converged=True,
        ),
        "queue": Queue(
            parquet=folder / "queue.parquet", csv=folder / "queue.csv", rows=flagged, flagged=flagged
        ),
    }
    for place, (name, record) in enumerate(records.items()):
        entry = {
            "step": name,
            "inputs": "",
            "seconds": 0.4 + place / 3,
            "peak_memory_mb": 300.0 + 20 * place,
            "finished": 1.75e9 + place,
        }
        write_json({**entry, "record": record.model_dump(mode="json")}, folder / "steps" / f"{name}.json")


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of scikit-learn's digits with 8 % planted errors; not to be changed."""
    features, truth = load_digits(return_X_y=True)
    images = [png(row.reshape(8, 8)) for row in features]
    data = Labeled("digits", features, truth, plant(truth, 0.08, 20), "image", (8, 8), images)
    run = write_run(tmp_path_factory.mktemp("runs") / "digits-20260101-120000-abcd", data)
    # The planted errors double as controls: what the section says of them is known to be right.
    scores = pq.read_table(run / "scores.parquet", columns=["score", "flagged"])
    score, flagged = (scores[name].to_numpy() for name in ("score", "flagged"))
    controls = np.flatnonzero(data.given != data.truth)[:60]
    wrong = np.where(flagged, 0.9, 0.01)
    write_json(
        asdict(compare_with_shadow(score, flagged, wrong, controls, int(flagged.sum()))),
        run / "controls.json",
    )
    return run


@pytest.fixture(scope="session")
def plane_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of two Gaussians in the plane with 5 % planted errors; not to be changed."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 1_000)
    features = generator.normal(truth[:, None] * np.ones(2), 0.2)
    synthetic = Synthetic(mean_0=(0.0, 0.0), mean_1=(1.0, 1.0), sigma=0.2)
    data = Labeled("gaussians", features, truth, plant(truth, 0.05, 1), "tabular", (2,), synthetic=synthetic)
    return write_run(tmp_path_factory.mktemp("runs") / "gaussians-20260101-120000-abcd", data)


HOSTILE = (
    "<script>alert(document.domain)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)><a href=http://evil.example>",
    "\x1b[31mred\x1b[0m\x07\x00",
    "abc\u202egnp.exe\u2066",
    "A" * 10_000,
)


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a data set whose labels, columns, ids and name try to break the page; not to be changed."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, len(HOSTILE), 600)
    features = generator.normal(3 * np.eye(len(HOSTILE))[truth], 0.8)
    name = "</style><script>alert(1)</script>{{ 7 * 7 }}"
    data = Labeled(
        name,
        features,
        truth,
        plant(truth, 0.1, 1),
        "tabular",
        (len(HOSTILE),),
        classes=HOSTILE,
        columns=HOSTILE,
    )
    return write_run(tmp_path_factory.mktemp("runs") / "hostile-20260101-120000-abcd", data)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """Return a copy of a run folder that a test may change."""
    return lambda run: shutil.copytree(run, tmp_path / run.name)
