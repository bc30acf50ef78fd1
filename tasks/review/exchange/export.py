"""The decision log as Parquet and CSV, one row a decision, with what was known of the sample."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.ingest.columns.values import convert_to_text
from tasks.queue.rows import find_rows
from tasks.queue.spreadsheet import write_csv
from tasks.review.ledger import Key, Ledger
from tasks.review.log import COLUMNS, Decision, read_log
from tasks.show.text import pluralise
from tasks.storage import write_table

_ORDER = ("seq", *(name for name in COLUMNS if name != "seq"), "standing")
_TYPES = {"seq": pa.int64(), "undoes": pa.int64(), "seconds": pa.float64(), "standing": pa.bool_()}
_FIGURES = ["score", "influence", "relabel_gain", "given_probability", "suggested_probability", "flagged"]
# What is said already, or means nothing outside a run.
_OURS = frozenset({"sample_id", "label", "content_hash", "source_row", "trusted"})
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _ORDER])


class Exported(NamedTuple):
    """Rows that were written, those of them that stand, and of these the ones on samples with known answers."""

    rows: int
    standing: int
    known: int

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [f"{pluralise(self.standing, 'answer')} that {'stands' if self.standing == 1 else 'stand'}"]
        parts[0] += f", {self.known:,} of them on samples with known answers" if self.known else ""
        gone = self.rows - self.standing
        return f"{pluralise(self.rows, 'row')}: {'; '.join([*parts, *([f'{gone:,} undone or replaced'] if gone else [])])}"


def list_decision_rows(rows: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return the rows of the log with `standing`: whether it is the present answer of its reviewer."""
    ledger = Ledger(rows)
    present = {row.seq for key in ledger for row in ledger.find_standing(key).values()}
    return [{**asdict(row), "standing": row.seq in present} for row in rows]


def export_decisions(out: Path, file: Path, *, run_id: str | None = None) -> Exported:
    """Write the log of an output folder to `file`, as CSV or Parquet by its ending; return how many rows of which kind.

    Each row has what its run says of the sample too, where the run is still there: the scores, the rank and the reason in the
    queue, the sample's own columns as `data.NAME`, and in `together` what its reviewers say together.

    Args:
        file: Where to; an existing file is replaced in one piece.
        run_id: Only the decisions made in this run.
    """
    log = read_log(out)
    rows = [row for row in list_decision_rows(log) if run_id is None or row["run"] == run_id]
    ledger = Ledger(log)
    keys = [Key(row["content_hash"], row["given_label"], row["control"]) for row in rows]
    # Null where they disagree.
    together = pa.array([ledger.resolve(key).outcome for key in keys], pa.string())
    table = pa.Table.from_pylist(rows, schema=SCHEMA).append_column("together", together)
    table = _add_samples(table, out / "runs")
    if file.suffix == ".csv":
        write_csv([table.column_names, *(tuple(row.values()) for row in table.to_pylist())], file)
    else:
        write_table(table, file)
    standing = [row for row in rows if row["standing"]]
    return Exported(len(rows), len(standing), sum(bool(row["control"]) for row in standing))


def _add_samples(table: pa.Table, runs: Path) -> pa.Table:
    """Return the decisions with what their runs say of the samples."""
    parts = []
    for run in pc.unique(table["run"]).to_pylist():
        part = table.filter(pc.equal(table["run"], run))
        if run and (runs / run / "scores.parquet").exists():
            part = _join(part, runs / run)
        parts.append(part)
    if not parts:
        return table
    return pa.concat_tables(_unify_types(parts), promote_options="permissive").sort_by("seq")


def _unify_types(parts: Sequence[pa.Table]) -> list[pa.Table]:
    """Return the decisions of several runs with columns of one type each: text, where the runs have kept no other one."""
    kinds: dict[str, set[pa.DataType]] = defaultdict(set)
    for field in (field for part in parts for field in part.schema):
        kinds[field.name].add(field.type)
    as_text = {name for name, found in kinds.items() if not _fit_together(found)}
    return [
        pa.table(
            {name: _write_text(part[name]) if name in as_text else part[name] for name in part.column_names}
        )
        for part in parts
    ]


def _write_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([convert_to_text(chunk) for chunk in column.chunks], pa.string())


def _fit_together(kinds: Collection[pa.DataType]) -> bool:
    try:
        pa.unify_schemas([pa.schema({"": kind}) for kind in kinds], promote_options="permissive")
    except pa.ArrowTypeError:
        return False
    return True


def _join(part: pa.Table, run: Path) -> pa.Table:
    schema = pq.read_schema(run / "dataset.parquet")
    own = [field.name for field in schema if field.name not in _OURS and not _is_left_out(field.type)]
    files = {"scores.parquet": _FIGURES, "queue.parquet": ["rank", "reason"], "dataset.parquet": own}
    ids = part["sample_id"].to_pylist()
    for name, columns in files.items():
        found = find_rows(run / name, "sample_id", ids, ["sample_id", *columns])
        found = found.set_column(0, "sample_id", found["sample_id"].cast(pa.string()))
        prefix = "data." if columns is own else ""
        found = found.rename_columns(["sample_id", *(f"{prefix}{column}" for column in columns)])
        part = part.join(found, "sample_id", join_type="left outer", use_threads=False)
    return part


def _is_left_out(kind: pa.DataType) -> bool:
    """Whether a column holds nothing, or what no spreadsheet can: lists, or files."""
    return bool(
        pa.types.is_null(kind)
        or pa.types.is_nested(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )
