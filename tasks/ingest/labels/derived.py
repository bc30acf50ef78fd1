"""Sources whose label is not a column as it stands: lists of one label, or the answers of several raters.

Of several raters the majority is the given label, and how far they agree is shown beside it. A tie goes to the rater who was
named first among those who tie. Where two or more rated and all said the same, the label counts as verified, unless the user
names another column with --trusted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import InputError
from tasks.ingest.columns.types import has_text, is_list
from tasks.ingest.columns.values import as_text
from tasks.ingest.labels.survey import check_type
from tasks.ingest.table import SourceTable

_LOOK = 2**16
AGREEMENT, UNANIMOUS = "raters_agree", "raters_unanimous"
# Name of the given label where the column that is called so is one of the raters.
MAJORITY = "raters_majority"


@dataclass(frozen=True)
class SingleLabelTable(SourceTable):
    """A source whose label column holds lists of one label each."""

    label: str = "label"

    def scan(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns, with the label out of its list."""
        source = SourceTable(self.uri, self.readers, self._as_lists(), self.conversion)
        for batch in source.scan(columns, rows):
            found = [
                _first(column) if name == self.label else column
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(found, names=batch.schema.names)

    def _as_lists(self) -> pa.Schema:
        field = self.schema.field(self.label)
        place = self.schema.get_field_index(self.label)
        return self.schema.set(place, field.with_type(pa.list_(field.type)))


def unwrap_labels(table: SourceTable, label: str) -> SourceTable:
    """Return the source with its labels out of their lists, where no list holds more than one."""
    if label not in table.schema.names:
        return table
    kind = table.schema.field(label).type
    if not is_list(kind) or not has_text(kind.value_type):
        return table
    longest = max((_longest(batch.column(0)) for batch in table.scan([label], _LOOK)), default=0)
    if longest != 1:
        return table
    place = table.schema.get_field_index(label)
    schema = table.schema.set(place, pa.field(label, kind.value_type))
    return SingleLabelTable(table.uri, table.readers, schema, table.conversion, label=label)


def _longest(column: pa.Array) -> int:
    return int(pc.max(pc.list_value_length(column)).as_py() or 0)


def _first(column: pa.Array) -> pa.Array:
    """Return the only value of each list; an empty one is missing."""
    filled = pc.if_else(pc.greater(pc.list_value_length(column), 0), column, None)
    return pc.list_element(pc.fill_null(filled, pa.scalar([None], column.type)), 0)


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
    return RatedTable(table.uri, table.readers, schema, table.conversion, raters=raters, label=label)
