"""The sample of rows on which columns are asked how well they tell the label."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.columns.kinds import DIFFERENT
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.content import exact_values
from tasks.ingest.leaks.measures import Flags, Floats, Ints
from tasks.ingest.table import SourceTable
from tasks.records import Column, ColumnKind

# Rows of the sample: the standard error of a share of 1 % is 0.07 % then. Fewer where a table is wide: 4 million values.
MOST_ROWS, _MOST_VALUES, _FEWEST_ROWS = 20_000, 4_000_000, 500
_LOOK = 2**14


@dataclass(frozen=True)
class SampledColumn:
    """One column on the sampled rows, which are in random order.

    Attributes:
        codes: (m,) number of each row's value; a missing value is one, too.
        distinct: The different values, by their number: text, or numbers.
        numbers: (m,) values, NaN where missing; None where they are not numbers.
        rows: (m,) number of each row in the order of the source.
    """

    name: str
    kind: ColumnKind
    codes: Ints
    distinct: tuple[str, ...] | Floats
    numbers: Floats | None
    rows: Ints

    @property
    def different(self) -> int:
        """How many different values there are, a missing one included."""
        return len(self.distinct)

    @property
    def values(self) -> tuple[str, ...]:
        """The different values as text; a missing one is empty."""
        return tuple(
            value if isinstance(value, str) else "" if np.isnan(value) else f"{value:.15g}"
            for value in self.distinct
        )

    @cached_property
    def present(self) -> Flags:
        """(m,) whether there is a value."""
        if self.numbers is not None:
            return np.isfinite(self.numbers)
        return np.array([value != "" for value in self.values])[self.codes]

    @cached_property
    def known(self) -> Floats:
        """The numbers that there are; for a column of text, the codes."""
        numbers = self.codes.astype(np.float64) if self.numbers is None else self.numbers
        return numbers[self.present]

    @property
    def in_rows(self) -> Floats:
        """The values that there are, in the order of the source."""
        return self.known[np.argsort(self.rows[self.present])]


def read_columns(
    table: SourceTable, label: str, columns: Sequence[Column]
) -> tuple[Ints, tuple[str, ...], list[SampledColumn]]:
    """Read a random sample of the rows that have a label.

    Returns:
        (m,) classes, their names, and the columns.
    """
    most = min(MOST_ROWS, max(_FEWEST_ROWS, _MOST_VALUES // max(1, len(columns))))
    rows, sample = draw_labeled_rows(table, label, [column.name for column in columns], most)
    coded = convert_to_text(sample[label]).dictionary_encode()
    labels = coded.indices.to_numpy().astype(np.int64)
    asked = [_sample_column(column, sample[column.name], rows) for column in columns]
    labels, asked = _without_copies(labels, asked)
    return labels, tuple(coded.dictionary.to_pylist()), asked


def _without_copies(labels: Ints, columns: list[SampledColumn]) -> tuple[Ints, list[SampledColumn]]:
    """Return the rows without copies of others: each measurement of a row that is there twice would tell the label.

    Rows without a measurement, in which nearly every value is different, are alike by chance, and stay.
    """
    again = pd.DataFrame(np.column_stack([labels, *(column.codes for column in columns)])).duplicated()
    first = np.flatnonzero(~again.to_numpy())
    measured = any(
        column.numbers is not None and column.different > DIFFERENT * len(first) for column in columns
    )
    if len(first) == len(labels) or not measured:
        return labels, columns
    kept = [
        replace(
            column,
            codes=column.codes[first],
            numbers=None if column.numbers is None else column.numbers[first],
            rows=column.rows[first],
        )
        for column in columns
    ]
    return labels[first], kept


def draw_labeled_rows(
    table: SourceTable, label: str, names: Sequence[str], most: int
) -> tuple[Ints, dict[str, pa.Array]]:
    """Return some random rows with a label, in random order: their numbers, and their columns.

    Every row draws a number, and those with the lowest are kept, so that one pass over any number of rows is enough.
    """
    generator = np.random.default_rng(0)
    kept: pa.Table | None = None
    drawn, rows = np.empty(0), np.empty(0, np.int64)
    below, first = np.inf, 0
    for batch in table.scan([label, *names], _LOOK):
        lots = generator.random(batch.num_rows)
        wanted = np.flatnonzero(
            (lots < below) & convert_to_text(batch.column(label)).is_valid().to_numpy(zero_copy_only=False)
        )
        part = pa.Table.from_batches([batch]).take(pa.array(wanted))
        kept = part if kept is None else pa.concat_tables([kept, part])
        drawn, rows = np.concatenate([drawn, lots[wanted]]), np.concatenate([rows, first + wanted])
        first += batch.num_rows
        if len(drawn) > 2 * most:
            order = np.argsort(drawn)[:most]
            kept, drawn, rows = kept.take(pa.array(order)), drawn[order], rows[order]
            below = drawn[-1]
    order = np.argsort(drawn)[:most]
    if kept is None:
        return rows, {name: pa.array([], pa.string()) for name in (label, *names)}
    kept = kept.take(pa.array(order)).combine_chunks()
    return rows[order], {name: _one_array(kept[name]) for name in kept.schema.names}


def _sample_column(column: Column, values: pa.Array, rows: Ints) -> SampledColumn:
    if column.kind == "category":
        coded = pc.fill_null(convert_to_text(values), "").dictionary_encode()
        codes = coded.indices.to_numpy().astype(np.int64)
        return SampledColumn(column.name, column.kind, codes, tuple(coded.dictionary.to_pylist()), None, rows)
    # In full precision, which tells large ids apart.
    numbers = exact_values(values, column).astype(np.float64)
    different, codes = np.unique(numbers, return_inverse=True)
    return SampledColumn(column.name, column.kind, codes.astype(np.int64), different, numbers, rows)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined
