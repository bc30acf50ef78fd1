"""Read the answer to a query; which one, the address says (`tasks/queries.py`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tasks.ingest.database import Answer, QueryPart
from tasks.ingest.source import Part

# No file has this format.
SUFFIXES: tuple[str, ...] = ()
GZIP, TYPED = False, True


@dataclass(frozen=True)
class QueryReader:
    """The answer to one query."""

    part: Part
    answer: Answer

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return self.answer.schema

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        return self.answer.batches(columns, rows)

    def place(self, row: int) -> str:
        """Return how a person finds the row."""
        return f"row {row + 1} of the query"


def open_part(part: Part, as_text: frozenset[str]) -> QueryReader:  # noqa: ARG001 (a database has types of its own)
    """Ask the query.

    Raises:
        InputError: The database refuses the query or the user, or the query gives no rows.
        StoreError: The database does not answer.
    """
    if not isinstance(part, QueryPart):
        raise TypeError(f"no query: {part}")
    return QueryReader(part, part.answer)
