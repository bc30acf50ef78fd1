"""Labels that a file keeps as lists of one, as doccano and other tools for several labels write them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.kinds import has_text, is_list
from tasks.ingest.table import SourceTable

_LOOK = 2**16


@dataclass(frozen=True)
class SingleLabelTable(SourceTable):
    """A source whose label column holds lists of one label each."""

    label: str = "label"

    def scan(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns, with the label out of its list."""
        source = SourceTable(self.uri, self.readers, self._as_lists(), self.settled)
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


def single_labels(table: SourceTable, label: str) -> SourceTable:
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
    return SingleLabelTable(table.uri, table.readers, schema, table.settled, label=label)


def _longest(column: pa.Array) -> int:
    return int(pc.max(pc.list_value_length(column)).as_py() or 0)


def _first(column: pa.Array) -> pa.Array:
    """Return the only value of each list; an empty one is missing."""
    filled = pc.if_else(pc.greater(pc.list_value_length(column), 0), column, None)
    return pc.list_element(pc.fill_null(filled, pa.scalar([None], column.type)), 0)
