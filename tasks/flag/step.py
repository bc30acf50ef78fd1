"""The flag step: the last round's scores, and conflicting labels on identical content, become `scores.parquet`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.arrays import Array
from tasks.encode.groups import has_coincidences
from tasks.flag.verified import read_verified
from tasks.options import AuditOptions
from tasks.records import SCORE_COLUMNS, Dataset, Scores
from tasks.runs.step import step
from tasks.storage import (
    open_table_writer,
    read_batches,
    read_json,
    read_parquet,
    write_json,
)


@step()
def flag(
    dataset: Dataset,
    scores: Scores,
    folder: Path,
    options: AuditOptions,  # noqa: ARG001 (and under these)
) -> Scores:
    """Decide what is flagged; write the scores, the baselines on the same folds, and the evidence of convergence.

    Labels that are nearly the name of a class come before all others, with that class as the suggestion.
    """
    rounds = range(1, scores.round + 1)
    write_json(
        {
            kind: [
                entry for r in rounds for entry in read_json(folder / "model" / f"round-{r}" / f"{kind}.json")
            ]
            for kind in ("fit", "solve")
        },
        folder / "model" / "convergence.json",
    )
    _write_baselines(folder)
    path = folder / "scores.parquet"
    flagged = _write_scores(dataset, scores.path, folder, path)
    return scores.model_copy(update={"path": path, "flagged": flagged})


def _read_conflicts(dataset: Dataset, folder: Path) -> tuple[pa.Array, pa.Array]:
    """Return the ids of the samples whose content has another label too, and of those that are not in the majority.

    Rows that are alike because their columns have few values may well have different labels.
    """
    path = folder / "validation" / "conflicts.parquet"
    if not path.exists() or has_coincidences(dataset):
        return pa.array([], pa.string()), pa.array([], pa.string())
    found = read_parquet(path)
    ids, right = found["sample_id"].combine_chunks(), np.zeros(len(found), bool)
    if (verified := read_verified(dataset)) is not None:
        known = read_parquet(dataset.path, columns=["sample_id"])["sample_id"].filter(pa.array(verified))
        right = pc.is_in(ids, value_set=known.combine_chunks()).to_numpy(zero_copy_only=False)
    losers = find_outvoted(found["content_hash"].to_numpy(), found["label"].to_numpy(), right)
    return ids, ids.filter(pa.array(losers & ~right))


def find_outvoted(content: Array, labels: Array, verified: Array | None = None) -> Array:
    """Return which samples carry another label than the majority of the samples with the same content.

    At least one of different labels on the same content is wrong, whatever any model says.

    Where no label has the majority alone, all of the group are returned: a person has to look at each. A label that a person
    has verified is before any majority.

    Args:
        content: (n,) content hashes.
        labels: (n,) given labels.
        verified: (n,) bool; None where none is.

    Returns:
        (n,) bool.

    >>> import numpy as np
    >>> find_outvoted(np.array(["a", "a", "a", "b", "b"]), np.array(["cat", "cat", "dog", "cat", "dog"])).tolist()
    [False, False, True, True, True]
    """
    frame = pd.DataFrame({"content": content, "label": labels, "votes": 1})
    if verified is not None:
        frame["votes"] += len(frame) * verified
    votes = frame.groupby(["content", "label"])["votes"].sum().reset_index()
    most = votes.groupby("content")["votes"].transform("max")
    leaders = votes[votes["votes"] == most]
    winners = leaders[~leaders["content"].duplicated(keep=False)].set_index("content")["label"]
    lost: Array = (frame["content"].map(winners) != frame["label"]).to_numpy()
    return lost


def _write_scores(dataset: Dataset, scored: Path, folder: Path, final: Path) -> int:
    """Write the scores with what is flagged in the end, batch by batch; return how many are."""
    conflicting, lost = _read_conflicts(dataset, folder)
    count = 0
    labels, before_all, verified = None, 0.0, None
    if dataset.typos:
        labels, verified = read_parquet(dataset.path, columns=["label"])["label"], read_verified(dataset)
        before_all = pc.min(read_parquet(scored, columns=["score"])["score"]).as_py() - 1.0
    stored = pq.read_schema(scored)
    schema = pa.schema(pa.field(n, pa.bool_()) if n == "conflict" else stored.field(n) for n in SCORE_COLUMNS)
    with open_table_writer(final, schema) as writer:
        for rows, batch in read_batches(scored):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            ids = columns["sample_id"]
            columns["flagged"] = pc.or_(columns["flagged"], pc.is_in(ids, value_set=lost))
            columns["conflict"] = pc.is_in(ids, value_set=conflicting)
            if labels is not None:
                given = labels.slice(rows.start, len(batch)).combine_chunks()
                asked = np.ones(len(batch), bool) if verified is None else ~verified[rows]
                columns |= _add_typos(columns, given, dataset.typos, before_all, pa.array(asked))
            count += columns["flagged"].true_count
            arrays = [columns[n] for n in SCORE_COLUMNS]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return count


def _add_typos(
    columns: Mapping[str, pa.Array],
    given: pa.Array,
    typos: Mapping[str, str],
    before_all: float,
    asked: pa.Array,
) -> dict[str, pa.Array]:
    """Return the columns that change where the given label is nearly the name of a class; the models took it for that class.

    Where nobody is asked, the label that a person verified is the suggested one, too.
    """
    meant = pa.array([typos.get(label) for label in given.to_pylist()], pa.string())
    is_typo = meant.is_valid()
    suggested = pc.if_else(asked, meant, given)
    changed = {"given_label": given, "suggested_label": suggested, "flagged": asked}
    changed["score"] = pc.if_else(asked, before_all, columns["score"])
    # No model knows such a class.
    changed |= {"given_probability": 0.0, "relabel_gain": 0.0}
    return {name: pc.if_else(is_typo, value, columns[name]) for name, value in changed.items()}


def _write_baselines(folder: Path) -> None:
    """Write what simpler methods say of the same samples on the same folds: the first round, nothing left out."""
    read = ["sample_id", "training_loss", "given_probability", "margin"]
    names = ["sample_id", "training_loss", "self_confidence", "normalized_margin"]
    schema = pa.schema([(name, pa.float64() if place else pa.string()) for place, name in enumerate(names)])
    with open_table_writer(folder / "baselines.parquet", schema) as writer:
        for _, batch in read_batches(folder / "model" / "round-1" / "scores.parquet", read):
            ids, loss, probability, margin = map(batch.column, read)
            columns = [ids, pc.negate(loss), probability, margin]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
