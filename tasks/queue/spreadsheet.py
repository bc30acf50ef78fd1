"""The queue as CSV for a spreadsheet: a person fills in two columns, and no cell runs as a formula."""

import csv
from pathlib import Path

import pyarrow as pa

from tasks.storage import atomic_path

# What spreadsheets take as the start of a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

DECISION_COLUMNS = ("decision", "new_label")


def neutralise(cell: object) -> object:
    """Put an apostrophe before text that a spreadsheet would run.

    >>> neutralise("=HYPERLINK(1)"), neutralise(-1.5), neutralise("cat")
    ("'=HYPERLINK(1)", -1.5, 'cat')
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def write_spreadsheet(queue: pa.Table, final: Path) -> Path:
    """Write the queue without binary columns, with empty columns for the decision and the new label."""
    kept = [field.name for field in queue.schema if not pa.types.is_binary(field.type)]
    with atomic_path(final) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(neutralise(name) for name in kept), *DECISION_COLUMNS])
        for batch in queue.select(kept).to_batches():
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                writer.writerow([*(neutralise(cell) for cell in row), *("" for _ in DECISION_COLUMNS)])
    return final
