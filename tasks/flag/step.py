"""The flag step: the last round's scores, and conflicting labels on identical content, become `scores.parquet`."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.arrays import Array
from tasks.flag.conflicts import outvoted
from tasks.options import AuditOptions
from tasks.records import Dataset, Scores
from tasks.steps import recorded
from tasks.storage import read_json, write_json, write_table

COLUMNS = [
    "sample_id",
    "given_label",
    "suggested_label",
    "influence",
    "influence_raw",
    "score",
    "relabel_gain",
    "given_probability",
    "suggested_probability",
    "flagged",
    "n_folds",
    "predicted_label",
    "predicted_probability",
    "conflict",
]


@task(name="flag", cache_policy=NO_CACHE)
def flag(dataset: Dataset, scores: Scores, folder: Path, options: AuditOptions) -> Scores:
    """Decide what is flagged; write the scores, the baselines on the same folds, and the evidence of convergence."""
    inputs = {"dataset": dataset, "scores": scores, "options": options}
    return recorded("flag", folder, Scores, inputs, lambda: _flag(scores, folder))


def _flag(scores: Scores, folder: Path) -> Scores:
    table = pq.read_table(scores.path)
    conflict, lost = _conflicts(table, folder)
    flagged = pc.or_(table["flagged"], pa.array(lost))
    table = table.set_column(table.column_names.index("flagged"), "flagged", flagged)
    table = table.append_column("conflict", pa.array(conflict))
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
    path = write_table(table.select(COLUMNS), folder / "scores.parquet")
    return scores.model_copy(update={"path": path, "flagged": pc.sum(flagged).as_py() or 0})


def _conflicts(table: pa.Table, folder: Path) -> tuple[Array, Array]:
    """Return which samples share their content with another label, and which of those are not in the majority; (n,) bool each."""
    path = folder / "validation" / "conflicts.parquet"
    if not path.exists():
        return np.zeros(len(table), dtype=bool), np.zeros(len(table), dtype=bool)
    found = pq.read_table(path)
    losers = outvoted(found["content_hash"].to_numpy(), found["label"].to_numpy())
    ids = table["sample_id"]
    conflict = pc.is_in(ids, value_set=found["sample_id"].combine_chunks())
    lost = pc.is_in(ids, value_set=found["sample_id"].filter(pa.array(losers)).combine_chunks())
    return conflict.to_numpy(), lost.to_numpy()


def _write_baselines(folder: Path) -> None:
    """Write what simpler methods say of the same samples on the same folds: the first round, nothing left out."""
    first = pq.read_table(folder / "model" / "round-1" / "scores.parquet")
    table = pa.table(
        {
            "sample_id": first["sample_id"],
            "training_loss": pc.negate(first["training_loss"]),
            "self_confidence": first["given_probability"],
            "normalized_margin": first["margin"],
        }
    )
    write_table(table, folder / "baselines.parquet")
