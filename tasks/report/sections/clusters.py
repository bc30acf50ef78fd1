"""Where the flagged samples cluster: values of the user's own columns, and stretches of the source, with more than their share.

Each value is compared with all other rows by the two-proportion z-test; values of all columns are many tests, so the bound is
Bonferroni's. Columns of measurements are left out: near the border of two classes every model doubts more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import Array
from tasks.report.summary import Summary
from tasks.show.parts import Cell, Section, Table, TableRows, Text
from tasks.show.text import NAME, format_share, pluralise, show_plain
from tasks.show.view import RunView

# A column with more values than this names rows, and not where they come from.
MOST_VALUES = 200
# Columns beyond these are not looked at: a person would not know what they are either.
MOST_COLUMNS = 60
# Stretches of the source in its own order, which mostly is that of time.
STRETCHES = 20
# Chance that one value stands out by luck alone, all columns together.
CHANCE = 0.01
SHOWN = 8
# Fewer flagged samples than this are not a cluster, whatever the test says of small counts.
_FEWEST = 5


@dataclass(frozen=True)
class ValueCluster:
    """A value of a column: its rows, and those of them that are flagged; `z` says how far from the rest."""

    column: str
    value: str
    rows: int
    flagged: int
    z: float


def build(view: RunView, _: Summary) -> Section | None:
    """Return the values that stand out; None where nothing does, or nothing is flagged."""
    scores = view.scores
    if scores is None or not scores.flagged.any() or view.dataset is None:
        return None
    tables = [*_count_columns(view, scores.flagged), *_count_stretches(scores.flagged)]
    tests = sum(len(rows) for _, _, rows, _ in tables)
    bound = NormalDist().inv_cdf(1 - CHANCE / max(tests, 1))
    tested = (_test_values(*table, len(scores), int(scores.flagged.sum())) for table in tables)
    found = sorted((one for one in chain(*tested) if one.z > bound), key=lambda one: -one.z)
    if not found:
        return None
    overall = float(scores.flagged.mean())
    rest = f" {pluralise(len(found) - SHOWN, 'other value')} stand out too." if len(found) > SHOWN else ""
    text = Text(
        f"{format_share(overall, 1)} of all samples are flagged; of these, far more. One cause may be behind each: a person, a "
        f"device, a day.{rest}"
    )
    largest = max(one.flagged / one.rows for one in found)
    rows: TableRows = [
        [
            show_plain(one.column, NAME),
            show_plain(one.value),
            f"{one.flagged:,} of {one.rows:,}",
            Cell(format_share(one.flagged / one.rows, 1), one.flagged / one.rows / largest),
        ]
        for one in found[:SHOWN]
    ]
    header = ["Column", "Value", "Flagged", "Share"]
    caption = "Values with far more flagged samples than all others"
    table = Table(caption, header, rows, numeric=frozenset({2, 3}))
    return Section("clusters", "Where the errors cluster", [text, table], "Clusters")


Counted = tuple[str, list[str], Array, Array]


def _count_columns(view: RunView, flagged: Array) -> Iterator[Counted]:
    """Yield for each column of few values its name, its values, and (values,) rows and flagged rows."""
    data = view.dataset
    path = view.path("dataset.parquet")
    if data is None or path is None:
        return
    numbers = {column.name for column in data.columns if column.kind == "number"}
    dates = {column.name: column for column in data.columns if column.kind == "date"}
    for name in [name for name in data.display_columns if name not in numbers][:MOST_COLUMNS]:
        values = _encode_column(view, name, is_date=name in dates)
        if values is not None and len(values) == len(flagged):
            codes, names = values.indices.fill_null(len(values.dictionary)), values.dictionary.to_pylist()
            places = codes.to_numpy(zero_copy_only=False)
            yield name, [*map(str, names), "missing"], *_count(places, flagged, len(names) + 1)


def _encode_column(view: RunView, name: str, *, is_date: bool) -> pa.DictionaryArray | None:
    """Return a column as codes of its values, a time as its day or its month; None where it has too many."""
    chunks = []
    for file, group in view.row_groups(name):
        chunk = pc.cast(file.read_row_group(group, columns=[name])[name], pa.string(), safe=False)
        chunks.extend(pc.utf8_slice_codeunits(chunk, 0, 10).chunks if is_date else chunk.chunks)
        if len(pc.unique(chunks[-1])) > MOST_VALUES * (100 if is_date else 1):
            return None
    column = pa.chunked_array(chunks, pa.string())
    found = column.dictionary_encode().combine_chunks()
    if is_date and len(found.dictionary) > MOST_VALUES:
        found = pc.utf8_slice_codeunits(column, 0, 7).dictionary_encode().combine_chunks()
    return found if 1 < len(found.dictionary) <= MOST_VALUES else None


def _count_stretches(flagged: Array) -> Iterator[Counted]:
    """Yield the stretches of the source in its own order."""
    if len(flagged) < 100 * STRETCHES:
        return
    edges = np.linspace(0, len(flagged), STRETCHES + 1).astype(int)
    places = np.repeat(np.arange(STRETCHES), np.diff(edges))
    names = [f"{first + 1:,} to {last:,}" for first, last in pairwise(edges.tolist())]
    yield "place in the source", names, *_count(places, flagged, STRETCHES)


def _count(places: Array, flagged: Array, size: int) -> tuple[Array, Array]:
    return np.bincount(places, minlength=size), np.bincount(places[flagged], minlength=size)


def _test_values(
    column: str, names: list[str], rows: Array, hits: Array, every: int, flagged: int
) -> Iterator[ValueCluster]:
    for name, count, hit in zip(names, rows.tolist(), hits.tolist(), strict=True):
        if 0 < count < every:
            rest, pooled = (flagged - hit) / (every - count), flagged / every
            spread = np.sqrt(pooled * (1 - pooled) * (1 / count + 1 / (every - count)))
            z = float((hit / count - rest) / spread) if spread else 0.0
            yield ValueCluster(column, name, count, hit, z if hit >= _FEWEST else 0.0)
