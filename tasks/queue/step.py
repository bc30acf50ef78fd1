"""The queue step: the flagged samples, worst first, each with a reason and evidence, for people to review."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from tasks.arrays import Array
from tasks.heads.ensemble import predict_unseen_classes
from tasks.heads.store import load_parameters
from tasks.ingest.columns.values import convert_to_text
from tasks.models import open_model
from tasks.options import AuditOptions
from tasks.queue.evidence import LikelyClasses, find_evidence
from tasks.queue.open_samples import OPEN, SEEN, choose_shown
from tasks.queue.picture_store import PictureStore, write_queue
from tasks.queue.reason import write_reason
from tasks.queue.rows import order_worst_first, take_rows
from tasks.queue.spreadsheet import write_spreadsheet
from tasks.records import VERDICTS, Dataset, Encoding, FittedRound, Queue, Reask, Scores
from tasks.runs.step import step
from tasks.storage import write_table


@step()
def queue(
    dataset: Dataset,
    encoding: Encoding,
    model: FittedRound,
    scores: Scores,
    folder: Path,
    options: AuditOptions,
    max_queue: int | None = None,
    min_queue: int = 0,
    previous: Path | None = None,
    *,
    anew: bool = False,
    reask: Reask = "content",
) -> Queue:
    """Write the queue as Parquet and CSV, and the saliency of its top.

    Args:
        encoding: The feature file, and the members of the ensemble.
        model: The fitted folds of the last round.
        max_queue: Length of the queue at most; None for all that is flagged.
        min_queue: Length of the queue at least: where less is flagged, it holds the most doubtful other samples too.
        previous: Folder of the last finished run of the same data set, whose queue need not be shown again.
        anew: Whether it is shown again but for what people have decided.
        reask: What has to change of a row that people have decided on for it to be shown again.

    Raises:
        InputError: The Dask cluster cannot be used.
    """
    found = choose_shown(scores, dataset, folder, previous, min_queue, anew=anew, reask=reask)
    asked = order_worst_first(scores.path, found.shown, max_queue)
    order = np.concatenate([asked, order_worst_first(scores.path, found.still_open, None)])
    chosen = take_rows(scores.path, order)
    evidence, neighbours, agree = _gather_evidence(
        dataset, encoding, model, folder, options, scores, order, chosen
    )
    reasons = _write_reasons(chosen, neighbours, _list_answers(dataset, order), agree, dataset.typos)
    ranked = chosen.add_column(0, "rank", pa.array(np.arange(1, len(order) + 1), pa.int64()))
    ranked = ranked.append_column("seen", pa.array(np.array(SEEN, object)[found.seen[order]], pa.string()))
    ranked = ranked.append_column("reason", pa.array(reasons, pa.string()))
    ranked = ranked.append_column("evidence", pa.array(evidence, pa.string()))
    payload = read_payload(dataset, order)
    for name in payload.column_names:
        ranked = ranked.append_column(payload.schema.field(name), payload[name])
    pictures = PictureStore(dataset.path, "image", order) if dataset.payload == "image" else None
    if found.run is not None:
        run = found.run.take(pa.array(order[len(asked) :]))
        still_open = ranked.slice(len(asked)).append_column("run", run)
        write_queue(still_open, folder / OPEN, pictures, len(asked))
    ranked = ranked.slice(0, len(asked))
    path = write_queue(ranked, folder / "queue.parquet", pictures)
    sheet = write_spreadsheet(ranked, folder / "queue.csv")
    from tasks.queue.workbook import write_workbook  # noqa: PLC0415 (a third of a second to import)

    write_workbook(ranked, dataset.offered, VERDICTS, folder / "queue.xlsx", pictures)
    counts = {"rows": len(asked), "flagged": scores.flagged, "still_open": len(order) - len(asked)}
    counts["unflagged"] = pc.sum(pc.invert(ranked["flagged"])).as_py() or 0
    return Queue(parquet=path, csv=sheet, **counts)


def _write_reasons(
    chosen: pa.Table,
    neighbours: Sequence[Sequence[str]],
    answers: Sequence[Sequence[str]],
    agree: Sequence[tuple[int, int]],
    typos: Collection[str],
) -> list[str]:
    """Return for each row of the queue why it is there."""
    rows = (row for batch in chosen.to_batches(4_096) for row in batch.to_pylist())
    return [
        write_reason(
            row["given_label"],
            row["suggested_label"],
            row["given_probability"],
            row["suggested_probability"],
            neighbours[number],
            conflict=row["conflict"],
            answers=answers[number],
            typo=row["given_label"] in typos,
            agree=agree[number],
            flagged=row["flagged"],
        )
        for number, row in enumerate(rows)
    ]


def read_payload(dataset: Dataset, rows: Array) -> pa.Table:
    """Return content hash and what a reviewer reads of some rows, in their order."""
    own = ["text"] if dataset.payload == "text" else []
    return take_rows(dataset.path, rows, ["content_hash", *own, *dataset.display_columns])


def _list_answers(dataset: Dataset, rows: Array) -> list[list[str]]:
    """Return what raters said of some rows, nothing where there is one label alone."""
    if not dataset.raters:
        return [[]] * len(rows)
    table = take_rows(dataset.path, rows, dataset.raters)
    columns = [convert_to_text(column.combine_chunks()).to_pylist() for column in table.columns]
    return [[answer for answer in row if answer is not None] for row in zip(*columns, strict=True)]


def _restrict_to_pixels(saliency: Array, dataset: Dataset, encoding: Encoding) -> Array:
    """Return the part of a saliency (q, d) that a picture shows, as float32; all of it where a model sees no pixels."""
    pixels = saliency[:, : encoding.features.plain]
    found: Array = pixels if dataset.payload == "image" and pixels.any() else saliency
    return found.astype(np.float32)


def _rank_classes(found: LikelyClasses, classes: tuple[str, ...]) -> list[list[dict[str, object]]]:
    """Return the likeliest classes of each queued sample, likeliest first."""
    return [
        [{"label": classes[place], "probability": float(f"{p:.3g}")} for place, p in zip(*row, strict=True)]
        for row in zip(found.classes.tolist(), found.probability.tolist(), strict=True)
    ]


def _gather_evidence(
    dataset: Dataset,
    encoding: Encoding,
    model: FittedRound,
    folder: Path,
    options: AuditOptions,
    scores: Scores,
    order: Array,
    chosen: pa.Table,
) -> tuple[list[str], list[list[str]], list[tuple[int, int]]]:
    """Return for each queued sample its evidence as JSON, its neighbours' labels, and how many of how many models agree.

    The saliency of the top is written.

    Args:
        order: (q,) the queued samples, worst first.
        chosen: Their scores.
    """
    ensemble = open_model(dataset, encoding, options).load(encoding, model)
    # A copy: Arrow gives memory that must not be written to.
    index = torch.from_numpy(order.copy()).to(ensemble.samples.labels.device)
    like = ensemble.samples.features.like
    found = find_evidence(ensemble, index, load_parameters(model.path, "ihvp", len(ensemble.heads), like))
    ids = chosen["sample_id"].slice(0, len(found.saliency))
    shown = pa.array(list(_restrict_to_pixels(found.saliency, dataset, encoding)), pa.list_(pa.float32()))
    write_table(pa.table({"sample_id": ids, "saliency": shown}), folder / "saliency.parquet")
    near, distances = found.close.index.tolist(), found.close.distance.tolist()
    named = sorted({j for row in near for j in row} | {j for pairs in found.hurt.values() for j, _ in pairs})
    names = take_rows(scores.path, np.array(named, int), ["sample_id", "given_label"])
    known = dict(zip(named, names.rename_columns(["sample_id", "label"]).to_pylist(), strict=True))
    # Behind those whose neighbours were looked for, the queue has none.
    rest: list[list[int]] = [[] for _ in order[len(near) :]]
    near, distances, evidence = near + rest, distances + rest, []
    likely = _rank_classes(found.likely, dataset.classes)
    predicted = predict_unseen_classes(ensemble, index)
    agree = _count_agreeing(predicted, chosen["suggested_label"], dataset.classes)
    rows = zip(order.tolist(), near, distances, likely, agree, strict=True)
    for sample, others, distance, classes, models in rows:
        harms = [known[j] | {"influence": float(f"{i:.4g}")} for j, i in found.hurt.get(sample, ())]
        pairs = zip(others, distance, strict=True)
        neighbours = [known[j] | {"distance": float(f"{d:.4g}")} for j, d in pairs]
        found_of = {"harms": harms, "neighbours": neighbours, "likely": classes, "models": models}
        evidence.append(json.dumps(found_of, ensure_ascii=False))
    return evidence, [[known[j]["label"] for j in others] for others in near], agree


def _count_agreeing(
    predicted: Array, suggested: pa.ChunkedArray, classes: tuple[str, ...]
) -> list[tuple[int, int]]:
    """Return for each sample how many models, (models, q) classes, predict what is suggested, and how many there are."""
    places = pc.index_in(suggested, value_set=pa.array(classes, pa.string()))
    counts = (predicted == pc.fill_null(places, -1).to_numpy()).sum(0)
    return [(int(count), len(predicted)) for count in counts]
