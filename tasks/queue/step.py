"""The queue step: the flagged samples, worst first, each with a reason and evidence, for people to review."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.arrays import Array
from tasks.encode.store import load_encoding, load_parameters
from tasks.fit.data import read_samples
from tasks.fit.step import stacks_of_round
from tasks.options import AuditOptions
from tasks.queue.evidence import HARMED_ROWS, SALIENCY_ROWS, harmed, nearest, saliency_of
from tasks.queue.reason import reason
from tasks.queue.since import to_show
from tasks.queue.spreadsheet import write_spreadsheet
from tasks.records import Dataset, Encoding, Model, Queue, Scores
from tasks.steps import recorded
from tasks.storage import write_table


@task(name="queue", cache_policy=NO_CACHE)
def queue(
    dataset: Dataset,
    encoding: Encoding,
    model: Model,
    scores: Scores,
    folder: Path,
    options: AuditOptions,
    max_queue: int | None = None,
    previous: Path | None = None,
) -> Queue:
    """Write the queue as Parquet and CSV, and the saliency of its top."""
    inputs = {
        "dataset": dataset,
        "model": model,
        "scores": scores,
        "options": options,
        "max_queue": max_queue,
        "previous": previous,
    }
    return recorded(
        "queue",
        folder,
        Queue,
        inputs,
        lambda: _queue(dataset, encoding, model, scores, folder, options, max_queue, previous),
    )


def _queue(
    dataset: Dataset,
    encoding: Encoding,
    model: Model,
    scores: Scores,
    folder: Path,
    options: AuditOptions,
    max_queue: int | None,
    previous: Path | None,
) -> Queue:
    table = pq.read_table(scores.path)
    order = worst_first(table, max_queue, to_show(table, dataset, folder, previous))
    chosen = table.take(pa.array(order))
    evidence, neighbours = _evidence(dataset, encoding, model, folder, options, order, table)
    reasons = [
        reason(
            row["given_label"],
            row["suggested_label"],
            row["given_probability"],
            row["suggested_probability"],
            row["influence"],
            labels,
            conflict=row["conflict"],
        )
        for row, labels in zip(chosen.to_pylist(), neighbours, strict=True)
    ]
    ranked = chosen.add_column(0, "rank", pa.array(np.arange(1, len(order) + 1), pa.int64()))
    ranked = ranked.append_column("reason", pa.array(reasons, pa.string()))
    ranked = ranked.append_column("evidence", pa.array(evidence, pa.string()))
    payload = read_payload(dataset, order)
    for name in payload.column_names:
        ranked = ranked.append_column(payload.schema.field(name), payload[name])
    path = write_table(ranked, folder / "queue.parquet")
    sheet = write_spreadsheet(ranked, folder / "queue.csv")
    return Queue(parquet=path, csv=sheet, rows=len(order), flagged=scores.flagged)


def worst_first(scores: pa.Table, max_queue: int | None, shown: Array) -> Array:
    """Return the rows of the samples to show, (n,) bool, by score, ties by sample id; at most `max_queue`."""
    flagged = np.flatnonzero(shown)
    part = scores.select(["score", "sample_id"]).take(pa.array(flagged))
    order = pc.sort_indices(part, sort_keys=[("score", "ascending"), ("sample_id", "ascending")]).to_numpy()
    rows: Array = flagged[order][:max_queue]
    return rows


def read_payload(dataset: Dataset, rows: Array) -> pa.Table:
    """Return content hash and what a reviewer is shown of some rows, in their order."""
    own = [name for name in ("image", "text") if name == dataset.payload]
    columns = ["content_hash", *own, *dataset.display_columns]
    parts, start = [], 0
    with pq.ParquetFile(dataset.path) as file:
        for batch in file.iter_batches(columns=columns):
            inside = np.sort(rows[(rows >= start) & (rows < start + len(batch))])
            parts.append(pa.table(batch).take(pa.array(inside - start)))
            start += len(batch)
    in_file_order = pa.concat_tables(parts)
    return in_file_order.take(pa.array(np.argsort(np.argsort(rows)))).select(columns)


def _evidence(
    dataset: Dataset,
    encoding: Encoding,
    model: Model,
    folder: Path,
    options: AuditOptions,
    order: Array,
    table: pa.Table,
) -> tuple[list[str], list[list[str]]]:
    """Return for each queued sample its evidence as JSON, and its neighbours' labels; write the saliency of the top."""
    samples = read_samples(dataset, encoding.features, options.device)
    like = samples.features.like
    members = load_encoding(encoding, like)
    # Every flagged sample needs a solve of its own here: the narrowest member gives it at the least cost.
    number = min(range(len(members)), key=lambda m: members[m].feature_map.width)
    member = members[number]
    theta = load_parameters(model.path, "theta", len(members), like)[number]
    ihvp = load_parameters(model.path, "ihvp", len(members), like)[number]
    design = samples.design(options)
    stack = stacks_of_round(samples, design, [member], model.left_out, options)[0]
    index = torch.from_numpy(order).to(samples.labels.device)
    close = nearest(samples.features, member.feature_map, index)
    hurt = harmed(stack, theta, index[:HARMED_ROWS]) if len(order) else {}
    top = index[:SALIENCY_ROWS]
    gradients = saliency_of(member, samples, design, top, theta, ihvp).astype(np.float32)
    saliency_table = {
        "sample_id": table["sample_id"].take(pa.array(order[:SALIENCY_ROWS])),
        "saliency": pa.array(list(gradients), pa.list_(pa.float32())),
    }
    write_table(pa.table(saliency_table), folder / "saliency.parquet")
    ids, labels = table["sample_id"].to_numpy(), table["given_label"].to_numpy()
    evidence = [
        _as_json(ids, labels, hurt.get(int(sample), []), close.index[row], close.distance[row])
        for row, sample in enumerate(order)
    ]
    return evidence, [labels[close.index[row]].tolist() for row in range(len(order))]


def _as_json(ids: Array, labels: Array, hurt: list[tuple[int, float]], near: Array, distance: Array) -> str:
    """Return a sample's evidence as a JSON object."""
    harms = [
        {"sample_id": ids[j], "label": labels[j], "influence": float(f"{value:.4g}")} for j, value in hurt
    ]
    neighbours = [
        {"sample_id": ids[j], "label": labels[j], "distance": float(f"{d:.4g}")}
        for j, d in zip(near, distance, strict=True)
    ]
    return json.dumps({"harms": harms, "neighbours": neighbours}, ensure_ascii=False)
