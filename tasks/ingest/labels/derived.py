"""Sources whose label is not a column as it is: lists of one label, or the answers of several raters.

Of several raters the majority is the given label, and how far they agree is shown beside it. A tie goes to the rater who was
named first among those who tie. Where two or more rated and all said the same, the label counts as verified, unless the user
names another column with --trusted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import InputError
from tasks.ingest.columns.types import has_text, is_list
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.labels.spelling import describe_spellings, find_spellings
from tasks.ingest.labels.survey import check_type
from tasks.ingest.nested import take_first
from tasks.ingest.table import LOOK, SourceTable

AGREEMENT, UNANIMOUS = "raters_agree", "raters_unanimous"
# Name of the given label where the column that is called so is one of the raters.
MAJORITY = "raters_majority"


@dataclass(frozen=True)
class SingleLabelTable(SourceTable):
    """A source whose label column holds lists of one label, as doccano and other tools for several labels write them."""

    label: str = "label"

    def scan(self, columns: Sequence[str], rows: int = LOOK) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns, with the label out of its list."""
        kind = pa.list_(self.schema.field(self.label).type)
        source = SourceTable(
            self.uri, self.readers, replace_column_type(self.schema, self.label, kind), self.conversion
        )
        for batch in source.scan(columns, rows):
            place = batch.schema.get_field_index(self.label)
            if place < 0:
                yield batch
                continue
            # An empty list is a missing label.
            only = take_first(batch.column(place))
            yield batch.set_column(place, self.label, only)


def unwrap_labels(table: SourceTable, label: str) -> SourceTable:
    """Return the source with its labels out of their lists, where no list holds more than one."""
    kind = table.schema.field(label).type if label in table.schema.names else pa.null()
    if not is_list(kind) or not has_text(kind.value_type):
        return table
    lengths = (pc.max(pc.list_value_length(batch.column(0))).as_py() or 0 for batch in table.scan([label]))
    if max(lengths, default=0) != 1:
        return table
    return SingleLabelTable(
        table.uri,
        table.readers,
        replace_column_type(table.schema, label, kind.value_type),
        table.conversion,
        label=label,
    )


@dataclass(frozen=True)
class RatedTable(SourceTable):
    """A source with the columns that follow from its raters: the label, the share that agrees, whether all do.

    Attributes:
        spellings: The class of each answer that is another spelling of it: raters who write Cat and cat agree.
        spelled: What to say of them, a line each.
    """

    raters: tuple[str, ...] = ()
    label: str = "label"
    spellings: Mapping[str, str] = field(default_factory=dict)
    spelled: tuple[str, ...] = ()

    def scan(self, columns: Sequence[str], rows: int = LOOK) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns."""
        names = list(dict.fromkeys(columns))
        made = {self.label, AGREEMENT, UNANIMOUS}
        if not made.intersection(names):
            yield from super().scan(names, rows)
            return
        read = [name for name in dict.fromkeys([*names, *self.raters]) if name not in made]
        for batch in super().scan(read, rows):
            found = dict(zip(batch.schema.names, batch.columns, strict=True)) | self._find_majorities(batch)
            schema = pa.schema([self.schema.field(name) for name in names])
            yield pa.RecordBatch.from_arrays([found[name] for name in names], schema=schema)

    def _find_majorities(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        votes = zip(*(convert_to_text(batch.column(name)).to_pylist() for name in self.raters), strict=True)
        said = self.spellings
        judged = [find_majority([said.get(vote, vote) for vote in row if vote is not None]) for row in votes]
        label, agreement, unanimous = zip(*judged, strict=True) if judged else ((), (), ())
        return {
            self.label: pa.array(label, pa.string()),
            AGREEMENT: pa.array(agreement, pa.float64()),
            UNANIMOUS: pa.array(unanimous, pa.bool_()),
        }


def find_majority(votes: Sequence[str]) -> tuple[str | None, float | None, bool]:
    """Return the majority, the share of the raters who are of it, and whether two or more are all of it.

    >>> find_majority(["cat", "dog", "cat"])[0], find_majority(["dog", "cat"]), find_majority([])
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
        InputError: There are fewer than two raters, or one of them is not a column of labels.
    """
    if len(set(raters)) < 2:
        raise InputError(
            "one rater is not a vote", where="--raters", fix="name two columns or more, or --label"
        )
    for name in raters:
        if name not in table.schema.names:
            raise table.problem(f"no column '{name}'", fix="name the raters' columns with --raters")
        check_type(table.schema.field(name).type, name, table.uri, "raters")


def replace_column_type(schema: pa.Schema, name: str, kind: pa.DataType) -> pa.Schema:
    """Return a schema with another type of one column."""
    return schema.set(schema.get_field_index(name), pa.field(name, kind))


def add_majority(table: SourceTable, raters: tuple[str, ...], label: str) -> RatedTable:
    """Return the source with what follows from its raters."""
    counts: Counter[str] = Counter()
    for batch in table.scan(raters):
        for column in batch.columns:
            counts.update(convert_to_text(column).drop_null().to_pylist())
    spellings = find_spellings(counts)
    made = {label: pa.string(), AGREEMENT: pa.float64(), UNANIMOUS: pa.bool_()}
    fields = [*(each for each in table.schema if each.name not in made), *pa.schema(made)]
    return RatedTable(
        table.uri,
        table.readers,
        pa.schema(fields, table.schema.metadata),
        table.conversion,
        raters=raters,
        label=label,
        spellings=spellings,
        spelled=describe_spellings(spellings, counts),
    )
