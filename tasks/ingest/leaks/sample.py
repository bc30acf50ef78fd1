"""The sample of rows on which columns are asked how well they tell the label."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.columns.kinds import DIFFERENT, LEAST_ROWS
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.content import read_exact_values
from tasks.ingest.labels.survey import LabelSurvey
from tasks.ingest.leaks.measures import Flags, Floats, Ints
from tasks.ingest.table import SourceTable
from tasks.records import Column, ColumnKind

# Rows of the sample: the standard error of a share of 1 % is 0.07 % then. Fewer where a table is wide: 4 million values.
MOST_ROWS, _MOST_VALUES, _FEWEST_ROWS = 20_000, 4_000_000, 500
_LOOK = 2**14


@dataclass(frozen=True)
class SampledColumn:
    """One column on the sampled rows.

    Attributes:
        codes: (m,) number of each row's value; a missing value is one, too.
        distinct: The different values, by their number: text, empty where missing, or numbers.
        numbers: (m,) values, NaN where missing; None where they are not numbers.
    """

    name: str
    kind: ColumnKind
    codes: Ints
    distinct: tuple[str, ...] | Floats
    numbers: Floats | None

    @property
    def different(self) -> int:
        """How many different values there are, a missing one included."""
        return len(self.distinct)

    @property
    def is_whole(self) -> bool:
        """Whether no number has a fraction."""
        return self.numbers is None or not (self.known != np.rint(self.known)).any()

    @cached_property
    def present(self) -> Flags:
        """(m,) whether there is a value."""
        if self.numbers is not None:
            return np.isfinite(self.numbers)
        return np.array([value != "" for value in self.distinct])[self.codes]

    @cached_property
    def known(self) -> Floats:
        """The numbers that there are; for a column of text, the codes."""
        numbers = self.codes.astype(np.float64) if self.numbers is None else self.numbers
        return numbers[self.present]


@dataclass(frozen=True)
class Sample:
    """Some rows that have a label, in random order.

    Attributes:
        rows: (m,) number of each row in the order of the source.
        labels: (m,) classes, by their places in `classes`.
    """

    rows: Ints
    labels: Ints
    classes: tuple[str, ...]
    columns: list[SampledColumn]

    def without_copies(self) -> "Sample":
        """Return the rows without copies of others: each measurement of a row that is there twice would tell the label.

        Rows without a measurement, in which nearly every value is different, are alike by chance, and stay. So do those of which
        only a few are left for each class: beside a text, numbers that say nothing but the label are no measurements.
        """
        values = np.column_stack([self.labels, *(column.codes for column in self.columns)])
        first = np.flatnonzero(~pd.DataFrame(values).duplicated().to_numpy())
        if len(first) < LEAST_ROWS * len(self.classes):
            return self
        most = DIFFERENT * len(first)
        if not any(column.numbers is not None and column.different > most for column in self.columns):
            return self
        columns = [
            replace(one, codes=one.codes[first], numbers=None if one.numbers is None else one.numbers[first])
            for one in self.columns
        ]
        return replace(self, rows=self.rows[first], labels=self.labels[first], columns=columns)


def sample_columns(table: SourceTable, survey: LabelSurvey, columns: Sequence[Column]) -> Sample:
    """Return some columns on a random sample of the rows that have a label."""
    most = min(MOST_ROWS, max(_FEWEST_ROWS, _MOST_VALUES // max(1, len(columns))))
    rows, drawn = draw_labeled_rows(table, survey.column, [column.name for column in columns], most)
    labels, classes = encode_text(survey.read_text(drawn[survey.column]))
    return Sample(rows, labels, classes, [_sample_column(column, drawn[column.name]) for column in columns])


def draw_labeled_rows(
    table: SourceTable, label: str, names: Sequence[str], most: int
) -> tuple[Ints, dict[str, pa.Array]]:
    """Return some random rows with a label, in random order: their numbers, and their columns.

    Every row draws a number, and those with the lowest are kept, so that one pass over any number of rows is enough.
    """
    generator = np.random.default_rng(0)
    wanted = [label, *names]
    kept = pa.schema([table.schema.field(name) for name in wanted]).empty_table()
    drawn, rows = np.empty(0), np.empty(0, np.int64)
    below, first = np.inf, 0
    for batch in table.scan(wanted, _LOOK):
        lots = generator.random(batch.num_rows)
        labeled = convert_to_text(batch.column(label)).is_valid().to_numpy(zero_copy_only=False)
        found = np.flatnonzero((lots < below) & labeled)
        kept = pa.concat_tables([kept, pa.Table.from_batches([batch]).take(pa.array(found))])
        drawn, rows = np.concatenate([drawn, lots[found]]), np.concatenate([rows, first + found])
        first += batch.num_rows
        if len(drawn) > 2 * most:
            order = np.argsort(drawn)[:most]
            kept, drawn, rows = kept.take(pa.array(order)), drawn[order], rows[order]
            below = drawn[-1]
    order = np.argsort(drawn)[:most]
    kept = kept.take(pa.array(order))
    return rows[order], {name: kept[name].combine_chunks() for name in wanted}


def encode_text(values: pa.Array) -> tuple[Ints, tuple[str, ...]]:
    """Return the number of each value as text, and the different values by their numbers; a missing one is empty."""
    coded = pc.fill_null(convert_to_text(values), "").dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), tuple(coded.dictionary.to_pylist())


def _sample_column(column: Column, values: pa.Array) -> SampledColumn:
    if column.kind == "category":
        return SampledColumn(column.name, column.kind, *encode_text(values), None)
    # In full precision, which tells large ids apart.
    numbers = read_exact_values(values, column).astype(np.float64)
    different, codes = np.unique(numbers, return_inverse=True)
    return SampledColumn(column.name, column.kind, codes.astype(np.int64), different, numbers)
