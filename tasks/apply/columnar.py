"""Corrected Parquet, Arrow and Feather files: the same columns, types and row groups, labels in their own type."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.apply.corrected import TAKE_LABELS, SourceChanges, learn_forms, make_source_changed_error
from tasks.errors import InputError
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.formats.arrow import is_stream
from tasks.ingest.labels.survey import name_classes, read_class_names
from tasks.ingest.nested import flatten_objects
from tasks.ingest.reading import FileReader
from tasks.ingest.source import Part
from tasks.ingest.table import open_part, simplify_type

# Rows of a row group where the source does not say: what the datasets library gives images.
_ROWS = 100


def write_columnar(
    parts: Sequence[Part], label: str, corrected: SourceChanges, targets: Sequence[Path]
) -> list[int]:
    """Write corrected Parquet or Arrow files, as `tasks.apply.layout.Write` says."""
    readers = [open_part(part, frozenset()) for part in parts]
    values = _map_values(readers, label, corrected)
    start, written = 0, []
    for reader, target in zip(readers, targets, strict=True):
        names, rows = read_class_names(reader.schema, label), 0
        with _open_writer(reader, target) as writer:
            for batch in reader.batches(reader.schema.names, _group_rows(reader)):
                changes = corrected.select_changes(start, batch.num_rows)
                start += batch.num_rows
                kept = _change_batch(batch, label, changes, names, values) if changes else batch
                if kept.num_rows:
                    writer.write_batch(pa.RecordBatch.from_arrays(kept.columns, schema=reader.schema))
                    rows += kept.num_rows
        written.append(rows)
    return written


def _map_values(readers: Sequence[FileReader], label: str, corrected: SourceChanges) -> dict[str, Any]:
    """Check that the labels are those that were swept, and return the value that stands for each of them in the source."""
    values: dict[str, Any] = {}

    def read_written() -> Iterator[str]:
        for reader in readers:
            if label in flatten_objects(reader).schema.names and label not in reader.schema.names:
                raise reader.part.problem(f"the label '{label}' lies within an object", fix=TAKE_LABELS)
            if label not in reader.schema.names:
                raise make_source_changed_error(corrected.uri)
            names = read_class_names(reader.schema, label)
            values.update({name: place for place, name in enumerate(names)})
            for batch in reader.batches([label], 2**16):
                column = _simplify_column(batch.column(0))
                yield from (word or "" for word in _read_labels(column, names).to_pylist())
                if not names:
                    seen = column.unique()
                    pairs = zip(convert_to_text(seen).to_pylist(), seen.to_pylist(), strict=True)
                    values.update({text: value for text, value in pairs if text not in values})

    learn_forms(corrected, read_written())
    return values


def _simplify_column(column: pa.Array) -> pa.Array:
    return column.cast(simplify_type(column.type))


def _read_labels(column: pa.Array, names: tuple[str, ...]) -> pa.Array:
    """Return labels of plain type as the audit reads them."""
    return name_classes(column, names) if names else convert_to_text(column)


def _change_batch(
    batch: pa.RecordBatch,
    label: str,
    changes: Mapping[int, str | None],
    names: tuple[str, ...],
    values: Mapping[str, Any],
) -> pa.RecordBatch:
    """Return a batch with new labels and without the rows that are dropped."""
    place = batch.schema.get_field_index(label)
    relabeled = {row: new for row, new in changes.items() if new is not None}
    columns = list(batch.columns)
    columns[place] = _relabel_column(columns[place], relabeled, names, values)
    changed = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
    kept = [row for row in range(batch.num_rows) if row not in changes or changes[row] is not None]
    return changed if len(kept) == batch.num_rows else changed.take(pa.array(kept, pa.int64()))


def _relabel_column(
    column: pa.Array, changes: Mapping[int, str], names: tuple[str, ...], values: Mapping[str, Any]
) -> pa.Array:
    """Return a column with other labels, in its own type; a label that stays is not touched."""
    plain = _simplify_column(column)
    before = _read_labels(plain, names).to_pylist()
    changes = {row: label for row, label in changes.items() if before[row] != label}
    if not changes:
        return column
    new = plain.to_pylist()
    for row, label in changes.items():
        new[row] = values[label] if label in values else _value(label, plain.type)
    relabeled = pa.array(new, plain.type)
    if not pa.types.is_dictionary(column.type):
        return relabeled.cast(column.type)
    # A category without samples is one all the same.
    places = pc.index_in(relabeled, value_set=column.dictionary.cast(plain.type))
    if places.null_count > relabeled.null_count:
        raise InputError(f"a label is not one of the categories of column '{column.type}'")
    kind = column.type
    return pa.DictionaryArray.from_arrays(
        places.cast(kind.index_type), column.dictionary, ordered=kind.ordered
    )


def _value(label: str, kind: pa.DataType) -> object:
    """Return a label that the source does not have as a value of its type."""
    try:
        return pa.scalar(label, pa.string()).cast(kind).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the label '{label}' is not of type {kind}") from error


def _group_rows(reader: FileReader) -> int:
    """Return how many rows the source keeps together."""
    if reader.part.kind != "parquet":
        return 1_000  # what the datasets library writes at once
    with reader.part.open() as file:
        meta = pq.read_metadata(file)
    # The first one alone may hold no row: that of an empty split does, and of whoever wrote the head before the data.
    return max((int(meta.row_group(i).num_rows) for i in range(meta.num_row_groups)), default=0) or _ROWS


def _open_writer(reader: FileReader, target: Path) -> Any:  # noqa: ANN401 (one of two classes that do not share a base)
    if reader.part.kind == "parquet":
        return pq.ParquetWriter(target, reader.schema)
    return (pa.ipc.new_stream if is_stream(reader.part) else pa.ipc.new_file)(str(target), reader.schema)
