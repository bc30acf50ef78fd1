"""Several raters of each sample: the majority is the given label, and how far they agree is shown beside it.

A tie goes to the rater who was named first among those who tie. Where two or more rated and all said the same, the label counts
as verified, unless the user names another column with --trusted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.labels import as_text, check_type
from tasks.ingest.table import SourceTable

AGREEMENT, UNANIMOUS = "raters_agree", "raters_unanimous"
# Name of the given label where the column that is called so is one of the raters.
MAJORITY = "raters_majority"


@dataclass(frozen=True)
class RatedTable(SourceTable):
    """A source with the columns that follow from its raters: the label, the share that agrees, whether all do."""

    raters: tuple[str, ...] = ()
    label: str = "label"

    def scan(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns."""
        names = list(dict.fromkeys(columns))
        made = {self.label, AGREEMENT, UNANIMOUS}
        if not made.intersection(names):
            yield from super().scan(names, rows)
            return
        read = [name for name in dict.fromkeys([*names, *self.raters]) if name not in made]
        for batch in super().scan(read, rows):
            found = dict(zip(batch.schema.names, batch.columns, strict=True)) | self._consensus(batch)
            schema = pa.schema([self.schema.field(name) for name in names])
            yield pa.RecordBatch.from_arrays([found[name] for name in names], schema=schema)

    def _consensus(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        votes = zip(*(as_text(batch.column(name)).to_pylist() for name in self.raters), strict=True)
        judged = [consensus([vote for vote in row if vote is not None]) for row in votes]
        label, agreement, unanimous = zip(*judged, strict=True) if judged else ((), (), ())
        return {
            self.label: pa.array(label, pa.string()),
            AGREEMENT: pa.array(agreement, pa.float64()),
            UNANIMOUS: pa.array(unanimous, pa.bool_()),
        }


def consensus(votes: Sequence[str]) -> tuple[str | None, float | None, bool]:
    """Return the majority, the share of the raters who are of it, and whether two or more are all of it.

    >>> consensus(["cat", "dog", "cat"])[0], consensus(["dog", "cat"]), consensus([])
    ('cat', ('dog', 0.5, False), (None, None, False))
    """
    if not votes:
        return None, None, False
    counts = Counter(votes)  # in the order of first appearance, in which `most_common` leaves a tie
    label, count = counts.most_common(1)[0]
    return label, count / len(votes), count == len(votes) > 1


def check_raters(table: SourceTable, raters: tuple[str, ...]) -> None:
    """Check that the raters are columns of labels.

    Raises:
        InputError: There are fewer than two raters, or one of them is no column of labels.
    """
    if len(set(raters)) < 2:
        raise InputError("one rater is no vote", where="--raters", fix="name two columns or more, or --label")
    for name in raters:
        if name not in table.schema.names:
            raise InputError(
                f"no column '{name}'", where=table.uri, fix="name the raters' columns with --raters"
            )
        check_type(table.schema.field(name).type, name, table.uri, "raters")


def rated(table: SourceTable, raters: tuple[str, ...], label: str) -> RatedTable:
    """Return the source with what follows from its raters."""
    made = {label: pa.string(), AGREEMENT: pa.float64(), UNANIMOUS: pa.bool_()}
    fields = [field for field in table.schema if field.name not in made] + [
        pa.field(*pair) for pair in made.items()
    ]
    schema = pa.schema(fields, table.schema.metadata)
    return RatedTable(table.uri, table.readers, schema, table.settled, raters=raters, label=label)
