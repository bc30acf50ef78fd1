"""The queue as CSV for a spreadsheet: a person fills in two columns, and no cell runs as a formula.

What a person reads and fills in comes first. The file begins with a byte order mark, without which Excel takes it for
the local 8-bit code and shows other letters than English ones as noise.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.records import DECISION_COLUMNS
from tasks.storage import open_atomically

# What spreadsheets take as the start of a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

# A number in the plainest form is not a formula, whatever its sign: labels such as -1 stay what they are.
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")

# What an import reads beside the decision: a column of the data that happens to be called so must not be taken for it.
READ_BACK = ("reviewer", "comment", "seconds", "time", "standing")
FIRST_COLUMNS = ("rank", "sample_id", "given_label", "suggested_label", *DECISION_COLUMNS, "reason")


def neutralise(cell: object) -> object:
    r"""Put an apostrophe before text that a spreadsheet would run, and a mark for the NUL that no reader of CSV takes.

    >>> neutralise("=HYPERLINK(1)"), neutralise("-1"), neutralise("cat"), neutralise("a\0b")
    ("'=HYPERLINK(1)", '-1', 'cat', 'a\ufffdb')
    """
    if not isinstance(cell, str):
        return cell
    cell = cell.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not cell.startswith(FORMULA_STARTS) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def write_spreadsheet(queue: pa.Table, final: Path) -> Path:
    """Write the queue without binary columns, with empty columns for the decision and the new label."""
    columns, names = list_sheet_columns(queue.schema)
    return write_csv(chain([names], list_sheet_rows(queue, columns)), final, "utf-8-sig")


def write_csv(rows: Iterable[Sequence[object]], final: Path, encoding: str = "utf-8") -> Path:
    """Write rows of which no cell runs, in one piece."""
    with open_atomically(final) as path, path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows(map(neutralise, row) for row in rows)
    return final


def list_sheet_rows(queue: pa.Table, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of each row; a column that the queue does not have is one that a person fills in."""
    for batch in queue.select([name for name in columns if name in queue.schema.names]).to_batches(4_096):
        empty = [""] * batch.num_rows
        held = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        yield from zip(*(held.get(name, empty) for name in columns), strict=True)


def list_sheet_columns(schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Return the columns of a sheet, first those that a person reads and fills in, and the names that they have there."""
    kept = [field.name for field in schema if not pa.types.is_binary(field.type)]
    columns = [name for name in FIRST_COLUMNS if name in kept or name in DECISION_COLUMNS]
    columns += [name for name in kept if name not in columns]
    return columns, _name_columns(columns)


def _name_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns by the names that they have in the sheet.

    >>> _name_columns(["sample_id", "decision", "time", "source.time"])
    ['sample_id', 'decision', 'source.source.time', 'source.time']
    """
    taken, named = {*READ_BACK, *columns}, []
    for name in columns:
        stored = name
        while stored.strip() in READ_BACK or (stored != name and stored in taken):
            stored = f"source.{stored.strip()}"
        named.append(stored)
        taken.add(stored)
    return named
