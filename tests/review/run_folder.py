"""Run folders as the pipeline leaves them, for the review to work on: real digits and a real table, audited for real.

The labels carry planted errors; the scores are those of `tasks.attribute.audit` on the raw features.
"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits, load_wine
from sklearn.neighbors import NearestNeighbors

from tasks.attribute import audit
from tasks.maps.placement import place_samples
from tasks.maps.step import write_positions
from tasks.options import AuditOptions
from tasks.queue.reason import write_reason
from tasks.records import Dataset
from tasks.storage import finish_run, write_json, write_table


def digits_run(
    out: Path, *, n: int = 700, flips: float = 0.1, run_id: str = "digits-run", copies: int = 2
) -> Path:
    """Pictures of digits with planted flips; the first `copies` samples occur twice, once more with another label."""
    images, truth = load_digits(return_X_y=True)
    images, truth = images[:n], truth[:n].astype(str)
    labels = plant(truth, flips, [str(c) for c in range(10)])
    images = np.vstack([images, images[:copies], images[:copies]])
    truth = np.concatenate([truth, truth[:copies], truth[:copies]])
    wrong = [str((int(label) + 1) % 10) for label in labels[:copies]]
    labels = np.concatenate([labels, labels[:copies], wrong])
    frame = pd.DataFrame({"image": [_png(row) for row in images]})
    names = tuple(f"pixel_{r}_{c}" for r in range(8) for c in range(8))
    return write_run(out, run_id, "digits", "image", frame, images, labels, truth, names, (8, 8))


def wine_run(out: Path, *, run_id: str = "wine-run") -> Path:
    """A table of wines with planted flips and column names that try to be markup."""
    data = load_wine(as_frame=True)
    truth = np.array(["Barolo", "<b>Grignolino</b>", "Barbera & co"])[data.target]
    labels = plant(truth, 0.12, list(np.unique(truth)))
    frame = data.data.rename(columns={"hue": "hue <script>alert(1)</script>"})
    return write_run(
        out,
        run_id,
        "wine",
        "tabular",
        frame,
        data.data.to_numpy(),
        labels,
        truth,
        tuple(frame.columns),
        (13,),
    )


def notes_run(out: Path, *, run_id: str = "notes-run", n: int = 240) -> Path:
    """Short notes about goods, as text with a column of their own, with planted flips."""
    rng = np.random.default_rng(0)
    topics = {
        "bread": "loaf crust oven flour rye slice dough baker yeast crumb",
        "cheese": "rind cellar milk goat blue wheel cream ripe curd whey",
        "tea": "leaf steep cup green brew pot harvest bitter steam aroma",
    }
    truth = np.array([list(topics)[i % len(topics)] for i in range(n)])
    common = [
        "the",
        "and",
        "with",
        "from",
        "very",
        "almost",
        "<b>not</b>",
        "quite",
        "some",
        "more",
        "for",
        "a",
        "long",
        "time",
    ]
    words = [topics[topic].split() for topic in truth]
    texts = [" ".join(rng.choice([*own, *own, *common], size=14)) + "." for own in words]
    vocabulary = sorted({word for own in topics.values() for word in own.split()})
    counts = np.array([[text.split().count(word) for word in vocabulary] for text in texts], dtype=float)
    frame = pd.DataFrame({"text": texts, "shop": [f"shop {i % 7}" for i in range(n)]})
    names = tuple(f"word {word}" for word in vocabulary)
    return write_run(
        out,
        run_id,
        "notes",
        "text",
        frame,
        counts,
        plant(truth, 0.1, list(topics)),
        truth,
        names,
        (len(names),),
    )


def plant(truth: np.ndarray, share: float, classes: list[str], seed: int = 0) -> np.ndarray:
    """Return labels of which `share` are wrong."""
    rng = np.random.default_rng(seed)
    labels = truth.copy()
    for row in rng.permutation(len(truth))[: round(share * len(truth))]:
        labels[row] = rng.choice([c for c in classes if c != truth[row]])
    return labels


def write_run(
    out: Path,
    run_id: str,
    name: str,
    payload: str,
    frame: pd.DataFrame,
    features: np.ndarray,
    labels: np.ndarray,
    truth: np.ndarray,
    names: tuple[str, ...],
    shape: tuple[int, ...],
) -> Path:
    run = out / "runs" / run_id
    classes, given = np.unique(labels, return_inverse=True)
    ids = np.array([f"{name}-{i:05d}" for i in range(len(labels))])
    content = [hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in features]
    width = features.shape[1]
    columns = {
        "sample_id": pa.array(ids),
        "label": pa.array(labels.astype(str)),
        "features": pa.FixedSizeListArray.from_arrays(pa.array(features.astype(np.float32).ravel()), width),
        "content_hash": pa.array(content),
        "source_row": pa.array(np.arange(len(labels))),
    }
    columns |= {str(c): pa.array(list(frame[c])) for c in frame.columns}
    write_table(pa.table(columns), run / "dataset.parquet")
    write_table(pa.table({"sample_id": ids, "true_label": truth.astype(str)}), run / "truth.parquet")

    result = audit(features.astype(float), given, AuditOptions(feature_map="raw"))
    scores = pd.DataFrame(
        {
            "sample_id": ids,
            "given_label": labels.astype(str),
            "suggested_label": classes[result.suggested].astype(str),
            "influence": result.influence,
            "influence_raw": result.scores.influence_raw,
            "score": result.score,
            "relabel_gain": result.relabel_gain,
            "given_probability": result.scores.given_probability,
            "suggested_probability": result.scores.suggested_probability,
            "flagged": result.flagged,
            "n_folds": result.scores.n_folds,
        }
    )
    write_table(pa.Table.from_pandas(scores, preserve_index=False), run / "scores.parquet")
    twins = pd.DataFrame({"sample_id": ids, "label": labels.astype(str), "content_hash": content})
    contested = twins.groupby("content_hash")["label"].transform("nunique") > 1
    write_table(
        pa.Table.from_pandas(twins[contested], preserve_index=False), run / "validation" / "conflicts.parquet"
    )
    _write_queue(run, scores, content, frame, features)
    found = place_samples(features.astype(np.float32), given.astype(np.int64))
    write_positions(np.arange(len(labels)), found, run / "map.parquet")

    dataset = Dataset(
        path=run / "dataset.parquet",
        name=name,
        uri=f"sample:{name}",
        rows=len(labels),
        classes=tuple(classes.astype(str)),
        payload=payload,
        feature_names=names,
        feature_shape=shape,
        display_columns=tuple(name for name in frame.columns if name not in ("image", "text")),
        digest=hashlib.sha256(f"{name}{len(labels)}".encode()).hexdigest(),
        truth=run / "truth.parquet",
    )
    entry = {"step": "ingest", "inputs": "", "seconds": 0, "peak_memory_mb": 0, "finished": 0}
    write_json({**entry, "record": dataset.model_dump(mode="json")}, run / "steps" / "ingest.json")
    finish_run(run)
    return run


def _write_queue(
    run: Path, scores: pd.DataFrame, content: list[str], frame: pd.DataFrame, features: np.ndarray
) -> None:
    scale = np.where(features.std(0) > 0, features.std(0), 1)
    near = NearestNeighbors(n_neighbors=6).fit(features / scale)
    queue = scores[scores["flagged"]].sort_values("score", kind="stable")
    distance, neighbours = near.kneighbors(features[queue.index] / scale)
    evidence = []
    for row, away, others in zip(queue.index, distance, neighbours, strict=True):
        close = [(i, float(d)) for i, d in zip(others, away, strict=True) if i != row][:5]
        found = [
            {"sample_id": scores["sample_id"][i], "label": scores["given_label"][i], "distance": d}
            for i, d in close
        ]
        harms = [
            {"sample_id": near["sample_id"], "label": near["label"], "influence": -0.1}
            for near in found
            if near["label"] == scores["suggested_label"][row]
        ]
        evidence.append(json.dumps({"harms": harms, "neighbours": found}))
    shown = ("given_label", "suggested_label", "given_probability", "suggested_probability")
    queue = queue.assign(
        reason=[
            write_reason(g, s, p, q, [near["label"] for near in json.loads(e)["neighbours"]], conflict=False)
            for g, s, p, q, e in zip(*(queue[name] for name in shown), evidence, strict=True)
        ],
        evidence=evidence,
        content_hash=[content[i] for i in queue.index],
        seen="new",
    )
    queue.insert(0, "rank", np.arange(1, len(queue) + 1))
    table = pa.Table.from_pandas(queue, preserve_index=False)
    for column in frame.columns:
        table = table.append_column(str(column), pa.array([frame[column].iloc[i] for i in queue.index]))
    write_table(table, run / "queue.parquet")
    written = queue.assign(decision="", new_label="")
    if "image" not in frame.columns:
        written = written.join(frame)
    written.to_csv(run / "queue.csv", index=False)
    rng = np.random.default_rng(0)
    saliency = rng.normal(size=(len(queue), features.shape[1])) * (features[queue.index] != 0)
    top = pa.table(
        {
            "sample_id": list(queue["sample_id"]),
            "saliency": pa.array([list(map(float, row)) for row in saliency]),
        }
    )
    write_table(top, run / "saliency.parquet")


def stretched(run: Path, rows: int) -> None:
    """Make the queue `rows` long by repeating it with new identities: what a large data set gives."""
    table = pq.read_table(run / "queue.parquet")
    take = np.arange(rows) % len(table)
    longer = table.take(pa.array(take))
    ids = pa.array([f"{i}-{n:05d}" for n, i in enumerate(longer["sample_id"].to_pylist())])
    hashes = pa.array([hashlib.sha256(f"{n}".encode()).hexdigest() for n in range(rows)])
    for name, values in {
        "rank": pa.array(np.arange(1, rows + 1)),
        "sample_id": ids,
        "content_hash": hashes,
    }.items():
        longer = longer.set_column(longer.schema.get_field_index(name), name, values)
    write_table(longer, run / "queue.parquet")
    finish_run(run)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.round(pixels.reshape(8, 8) * 255 / 16).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()
