"""The decision log as Parquet and CSV, one row a decision."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.queue.spreadsheet import neutralise
from tasks.review.ledger import Ledger
from tasks.review.log import COLUMNS, Decision, read_log
from tasks.show.text import counted
from tasks.storage import atomic_path, write_table

_ORDER = ("seq", *(name for name in COLUMNS if name != "seq"), "standing")
_TYPES = {"seq": pa.int64(), "undoes": pa.int64(), "seconds": pa.float64(), "standing": pa.bool_()}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _ORDER])


class Exported(NamedTuple):
    """Rows that were written, those of them that stand, and of these the ones on samples with known answers."""

    rows: int
    standing: int
    known: int

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [f"{counted(self.standing, 'answer')} that {'stands' if self.standing == 1 else 'stand'}"]
        parts[0] += f", {self.known:,} of them on samples with known answers" if self.known else ""
        gone = self.rows - self.standing
        return f"{counted(self.rows, 'row')}: {'; '.join([*parts, *([f'{gone:,} undone or replaced'] if gone else [])])}"


def decision_rows(rows: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return the rows of the log with `standing`: whether it is the present answer of its reviewer."""
    ledger = Ledger(rows)
    present = {row.seq for key in ledger for row in ledger.standing(key).values()}
    return [{**asdict(row), "standing": row.seq in present} for row in rows]


def export_decisions(out: Path, file: Path, *, run_id: str | None = None) -> Exported:
    """Write the log of an output folder to `file`, as CSV or Parquet by its ending; return how many rows of which kind.

    Args:
        out: The output folder.
        file: Where to; an existing file is replaced in one piece.
        run_id: Only the decisions made in this run.
    """
    rows = [row for row in decision_rows(read_log(out)) if run_id is None or row["run"] == run_id]
    if file.suffix == ".csv":
        _write_csv(rows, file)
    else:
        write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file)
    standing = [row for row in rows if row["standing"]]
    return Exported(len(rows), len(standing), sum(bool(row["control"]) for row in standing))


def _write_csv(rows: Sequence[dict[str, Any]], file: Path) -> None:
    with atomic_path(file) as path, path.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(_ORDER)
        writer.writerows([neutralise(row[name]) for name in _ORDER] for row in rows)
