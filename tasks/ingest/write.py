"""Write the canonical files: one pass over the source, a row group at a time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.ingest.columns.numerals import drop_missing_marks
from tasks.ingest.columns.roles import Roles
from tasks.ingest.columns.types import has_text
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.content import Content, EncodedBatch
from tasks.ingest.identity import OccurrenceCounter, make_sample_id, write_identity_line
from tasks.ingest.labels.survey import LabelSurvey
from tasks.ingest.table import SourceTable, regroup
from tasks.runs.progress import report_progress
from tasks.storage import ROWS_PER_GROUP, open_parquet, open_table_writer, read_batches, write_table

# What one row group may hold of the source and of features; about ten copies of it are alive while it is made.
_GROUP_BYTES = 16 * 2**20
# What a reviewer is shown in place of columns, by kind of content.
_SHOWN = {"image": pa.binary(), "text": pa.string()}

# Words of a column that says which labels are verified.
_TRUE = pa.array(["true", "1", "yes", "y", "t"])
_FALSE = pa.array(["false", "0", "no", "n", "f"])


@dataclass(frozen=True)
class Canonical:
    """Writes the rows of one source.

    Attributes:
        without_id: Why a row has no id of its own, by its number: it gets one, and is set aside later.
        problems: Why a row cannot be read, by its number; known once all rows are written.
    """

    table: SourceTable
    roles: Roles
    content: Content
    labels: LabelSurvey
    rows: int
    without_id: dict[int, str] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """Columns of `dataset.parquet`."""
        features = pa.field("features", pa.list_(pa.float32(), self._width), nullable=False)
        fields = [
            pa.field("sample_id", pa.string(), nullable=False),
            pa.field("label", pa.string()),
            *([features] if self._width else []),
            pa.field("content_hash", pa.string(), nullable=False),
            pa.field("source_row", pa.int64(), nullable=False),
        ]
        if self.roles.payload in _SHOWN:
            fields.append(pa.field(self.roles.payload, _SHOWN[self.roles.payload]))
        if self.roles.trusted:
            fields.append(pa.field("trusted", pa.bool_()))
        kept = [self.table.schema.field(name).with_name(stored) for name, stored in self.roles.kept.items()]
        note = (self.table.schema.metadata or {}).get(b"labelsweep.synthetic")
        return pa.schema(fields + kept, {"labelsweep.synthetic": note} if note else None)

    @property
    def _width(self) -> int:
        return int(np.prod(self.content.shape))

    def write(self, path: Path) -> str:
        """Write all rows and return the digest of contents and labels in their order."""
        digest = hashlib.sha256()
        occurrences = None if self.roles.id else OccurrenceCounter()
        with open_table_writer(path, self.schema) as writer:
            for batch in self._read_batches(digest, occurrences):
                writer.write_batch(batch)
        self.problems.update(self.without_id)
        numbers = occurrences.count_earlier() if occurrences else None
        if numbers is not None:
            number_occurrences(path, numbers)
        return digest.hexdigest()

    def _read_batches(
        self, digest: "hashlib._Hash", occurrences: OccurrenceCounter | None
    ) -> Iterator[pa.RecordBatch]:
        roles = self.roles
        named = [roles.label, roles.id, roles.trusted, *roles.content, *roles.kept]
        rows = min(ROWS_PER_GROUP, max(1, _GROUP_BYTES // (4 * max(1, self._width))))
        row = 0
        for batch in regroup(self.table.scan([name for name in named if name], rows), rows, _GROUP_BYTES):
            encoded = self.content.encode(batch, row)
            self.problems.update({row + offset: why for offset, why in encoded.problems.items()})
            labels = self.labels.read_text(batch.column(roles.label))
            texts = labels.to_pylist()
            for row_hash, label in zip(encoded.hashes, texts, strict=True):
                digest.update(write_identity_line(row_hash, label))
            if occurrences is None:
                ids = self._choose_ids(batch, encoded, texts, row)
            else:
                made = [make_sample_id(*pair) for pair in zip(encoded.hashes, texts, strict=True)]
                occurrences.see(made)
                ids = pa.array(made, pa.string())
            yield self._build_batch(batch, encoded, ids, labels, row)
            row += batch.num_rows
            report_progress("rows", row, self.rows)

    def _choose_ids(
        self, batch: pa.RecordBatch, encoded: EncodedBatch, labels: list[str | None], row: int
    ) -> pa.Array:
        """Return the ids of the source, with one that is made where a row has none of its own."""
        ids = convert_to_text(batch.column(self.roles.id))
        wrong = [at for at in range(len(ids)) if row + at in self.without_id] if self.without_id else []
        if not wrong:
            return ids
        values = ids.to_pylist()
        for at in wrong:
            values[at] = make_sample_id(encoded.hashes[at], labels[at], row + at + 1)
        return pa.array(values, pa.string())

    def _build_batch(
        self, batch: pa.RecordBatch, encoded: EncodedBatch, ids: pa.Array, labels: pa.Array, row: int
    ) -> pa.RecordBatch:
        columns = [ids, labels]
        if encoded.matrix is not None:
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(encoded.matrix.ravel()), self._width))
        columns += [pa.array(encoded.hashes, pa.string()), pa.array(np.arange(row, row + batch.num_rows))]
        if encoded.payload is not None:
            columns.append(encoded.payload)
        if self.roles.trusted:
            columns.append(
                read_trusted(self.table, self.roles.trusted, batch.column(self.roles.trusted), row)
            )
        columns.extend(batch.column(name) for name in self.roles.kept)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def read_trusted(table: SourceTable, column: str, values: pa.Array, first_row: int) -> pa.Array:
    """Return a column of true and false; a missing value is not verified.

    Raises:
        InputError: A value means neither.
    """
    if pa.types.is_boolean(values.type):
        return pc.fill_null(values, fill_value=False)
    if not has_text(values.type):
        raise table.problem(
            f"trusted column '{column}' holds {values.type}", fix="use true or false", row=first_row
        )
    text = pc.utf8_lower(drop_missing_marks(convert_to_text(values)))
    yes = pc.is_in(text, value_set=_TRUE)
    known = pc.or_(pc.or_(yes, pc.is_in(text, value_set=_FALSE)), text.is_null())
    if not pc.all(known).as_py():
        offset = known.index(pa.scalar(value=False)).as_py()
        raise table.problem(
            f"trusted column '{column}': '{text[offset]}' is neither true nor false",
            fix="use true or false, 1 or 0, yes or no",
            row=first_row + offset,
        )
    return yes


def number_occurrences(path: Path, numbers: NDArray[np.int64]) -> None:
    """Rewrite the ids of rows whose content and label occurred before, `numbers` times each."""
    with open_parquet(path) as file, open_table_writer(path, file.schema_arrow) as writer:
        start = 0
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            some = numbers[start : start + len(table)]
            start += len(table)
            columns = (table[name].to_pylist() for name in ("sample_id", "content_hash", "label"))
            rows = zip(*columns, some.tolist(), strict=True)
            ids = [make_sample_id(content, label, k) if k else first for first, content, label, k in rows]
            writer.write_table(table.set_column(0, file.schema_arrow.field(0), pa.array(ids, pa.string())))


def write_problems(problems: dict[int, str], final: Path) -> None:
    """Write why the content of some rows cannot be read, in the order of the rows."""
    rows = sorted(problems)
    columns = [pa.array(rows, pa.int64()), pa.array([problems[row] for row in rows], pa.string())]
    write_table(pa.Table.from_arrays(columns, ["source_row", "reason"]), final)


def write_truth(table: SourceTable, truths: LabelSurvey, dataset: Path, final: Path) -> None:
    """Write the true labels, in the order of the rows of `dataset`, to a file of their own."""
    schema = pa.schema(
        [pa.field("sample_id", pa.string(), nullable=False), pa.field("true_label", pa.string())]
    )
    ids = (batch for _, batch in read_batches(dataset, ["sample_id"]))
    pairs = zip(_rebatch(ids), _rebatch(table.scan([truths.column], ROWS_PER_GROUP)), strict=True)
    with open_table_writer(final, schema) as writer:
        for named, true in pairs:
            columns = [named.column(0), truths.read_text(true.column(0))]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _rebatch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches of the same numbers of rows, whatever the bytes in them."""
    return regroup(batches, ROWS_PER_GROUP, 2**62)
