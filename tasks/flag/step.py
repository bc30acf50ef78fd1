"""The flag step: the last round's scores, and conflicting labels on identical content, become `scores.parquet`."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tasks.flag.conflicts import outvoted
from tasks.options import AuditOptions
from tasks.records import SCORE_COLUMNS, Dataset, Scores
from tasks.runs.step import step
from tasks.storage import ROWS_PER_GROUP, open_parquet, read_json, read_parquet, table_writer, write_json


@step()
def flag(
    dataset: Dataset,  # noqa: ARG001 (the scores were made from it)
    scores: Scores,
    folder: Path,
    options: AuditOptions,  # noqa: ARG001 (and under these)
) -> Scores:
    """Decide what is flagged; write the scores, the baselines on the same folds, and the evidence of convergence.

    Args:
        dataset: The validated data.
        scores: Those of the last round.
        folder: The run folder.
        options: Options of the audit.
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
    flagged = _write_scores(scores.path, _Conflicts.read(folder), path)
    return scores.model_copy(update={"path": path, "flagged": flagged})


@dataclass(frozen=True)
class _Conflicts:
    """Samples that share their content with another label, and those of them that are not in the majority; sample ids."""

    all: pa.Array
    lost: pa.Array

    @classmethod
    def read(cls, folder: Path) -> "_Conflicts":
        path = folder / "validation" / "conflicts.parquet"
        if not path.exists():
            return cls(pa.array([], pa.string()), pa.array([], pa.string()))
        found = read_parquet(path)
        losers = outvoted(found["content_hash"].to_numpy(), found["label"].to_numpy())
        ids = found["sample_id"]
        return cls(ids.combine_chunks(), ids.filter(pa.array(losers)).combine_chunks())


def _write_scores(scored: Path, conflicts: _Conflicts, final: Path) -> int:
    """Write the scores with what is flagged in the end, batch by batch; return how many are."""
    count = 0
    with open_parquet(scored) as file:
        fields = [
            pa.field("conflict", pa.bool_()) if n == "conflict" else file.schema_arrow.field(n)
            for n in SCORE_COLUMNS
        ]
        with table_writer(final, pa.schema(fields)) as writer:
            for batch in file.iter_batches(ROWS_PER_GROUP):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                ids = columns["sample_id"]
                columns["flagged"] = pc.or_(columns["flagged"], pc.is_in(ids, value_set=conflicts.lost))
                columns["conflict"] = pc.is_in(ids, value_set=conflicts.all)
                count += columns["flagged"].true_count
                writer.write_batch(
                    pa.RecordBatch.from_arrays([columns[n] for n in SCORE_COLUMNS], schema=pa.schema(fields))
                )
    return count


def _write_baselines(folder: Path) -> None:
    """Write what simpler methods say of the same samples on the same folds: the first round, nothing left out."""
    names = ["sample_id", "training_loss", "self_confidence", "normalized_margin"]
    with open_parquet(folder / "model" / "round-1" / "scores.parquet") as file:
        schema = pa.schema(
            [pa.field(names[0], pa.string()), *(pa.field(name, pa.float64()) for name in names[1:])]
        )
        with table_writer(folder / "baselines.parquet", schema) as writer:
            for batch in file.iter_batches(
                ROWS_PER_GROUP, columns=["sample_id", "training_loss", "given_probability", "margin"]
            ):
                loss = pc.negate(batch.column("training_loss"))
                columns = [
                    batch.column("sample_id"),
                    loss,
                    batch.column("given_probability"),
                    batch.column("margin"),
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
