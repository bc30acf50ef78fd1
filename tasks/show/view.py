"""A finished run as the report sees it: every file read once, only the columns that are needed, nothing but the run folder.

Paths inside records are not followed: a run folder may have been moved, or come from another machine.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from tasks.encode.feature_names import read_names
from tasks.records import QUEUE_COLUMNS, Dataset, Record, Validation
from tasks.runs.finished import read_run_config
from tasks.show.scores import ScoreColumns, read_scores
from tasks.storage import open_parquet, read_json, read_parquet
from tasks.word_weights import Terms, read_terms

# What speaks about a sample of the queue: the samples that it harms, and its nearest neighbours.
EVIDENCE = ("harms", "neighbours")

R = TypeVar("R", bound=Record)
Row = dict[str, Any]
Floats = npt.NDArray[np.float64]

# Cards on the page: about what a person looks through before going to the review; the page's size is bounded by it.
TOP = 24

# Row groups that a random part of the data is drawn from: enough to see all of an ordered file, few enough to read in a moment.
SPREAD = 32

# Samples that the spread of each feature is taken from: its standard error is then 1.6 %.
SPREAD_SAMPLES = 2_000

# Columns of the queue that are not the sample's own, or that no cell of text shows.
NOT_SHOWN = frozenset({*QUEUE_COLUMNS, "content_hash", "image"})


class RunView:
    """What a run folder holds, read when first asked for.

    Args:
        folder: The run folder.

    >>> import tempfile
    >>> RunView(Path(tempfile.mkdtemp())).scores is None
    True
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def run_id(self) -> str:
        """Name of the run: that of its folder."""
        return self.folder.name

    def path(self, name: str) -> Path | None:
        """Return the path of a file of the run, None where the run has no such file."""
        path = self.folder / name
        return path if path.exists() else None

    def json(self, name: str) -> Any:  # noqa: ANN401 (JSON has no narrower type)
        """Return what a JSON file of the run holds, None where the run has no such file."""
        path = self.path(name)
        return None if path is None else read_json(path)

    def first_rows(self, name: str, most: int, columns: Sequence[str] | None = None) -> list[Row]:
        """Return the first rows of a Parquet file of the run, none where the run has no such file.

        Args:
            columns: The columns wanted, all of them if None.
        """
        path = self.path(name)
        if path is None:
            return []
        with open_parquet(path) as file:
            batch = next(file.iter_batches(batch_size=most, columns=columns), None)
        return [] if batch is None else batch.to_pylist()

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The parameters of the run, as far as they were written down."""
        return read_run_config(self.folder)

    @cached_property
    def steps(self) -> list[Row]:
        """The step records in the order in which the steps finished, without the report's own."""
        paths = sorted((self.folder / "steps").glob("*.json"))
        entries = [read_json(path) for path in paths if path.stem != "report"]
        return sorted(entries, key=lambda entry: entry["finished"])

    def record(self, kind: type[R]) -> R | None:
        """Return the newest record of one type among the steps; the type, not the step's name, says what a record is."""
        for entry in reversed(self.steps):
            try:
                return kind.model_validate(entry["record"])
            except ValidationError:
                continue
        return None

    @cached_property
    def validation(self) -> Validation | None:
        """What validation kept and set aside."""
        return self.record(Validation)

    @cached_property
    def dataset(self) -> Dataset | None:
        """The audited data set: what validation kept."""
        return self.validation.dataset if self.validation else self.record(Dataset)

    @property
    def name(self) -> str:
        """What people call the data set."""
        return self.dataset.name if self.dataset else self.run_id

    @cached_property
    def scores(self) -> ScoreColumns | None:
        """Scores of every audited sample, with the truth where it is known."""
        path = self.path("scores.parquet")
        if path is None:
            return None
        return read_scores(path, self.path("truth.parquet"), self.dataset.classes if self.dataset else ())

    @cached_property
    def queued(self) -> int:
        """Length of the queue."""
        path = self.path("queue.parquet")
        return 0 if path is None else int(pq.read_metadata(path).num_rows)

    @cached_property
    def top(self) -> list[Row]:
        """The first rows of the queue, worst first, `evidence` parsed."""
        rows = self.first_rows("queue.parquet", TOP)
        evidence = [json.loads(row.get("evidence") or "{}") for row in rows]
        return [
            {**row, "evidence": {kind: said.get(kind, []) for kind in EVIDENCE}}
            for row, said in zip(rows, evidence, strict=True)
        ]

    @cached_property
    def saliency(self) -> dict[str, Floats]:
        """Derivative of a sample's influence with respect to its input, (features,), for the worst of the queue."""
        path = self.path("saliency.parquet")
        if path is None:
            return {}
        table = read_parquet(path, columns=["sample_id", "saliency"])
        rows = zip(table["sample_id"].to_pylist(), table["saliency"].to_pylist(), strict=True)
        return {name: np.asarray(values, dtype=np.float64) for name, values in rows if values}

    @cached_property
    def terms(self) -> Terms | None:
        """What the run learned of words; None where it learned from none."""
        return read_terms(self.folder)

    @cached_property
    def neighbour_images(self) -> dict[str, bytes]:
        """Images of the samples that the evidence of the top names, by sample id."""
        named = (item for row in self.top for items in row["evidence"].values() for item in items)
        return self.payload({item["sample_id"] for item in named}, "image")

    def payload(self, wanted: set[str], column: str) -> dict[str, Any]:
        """Return one column of the data set for a few samples.

        Only the ids are read of a row group that holds none of them, so that memory does not grow with the data set.
        """
        found: dict[str, Any] = {}
        value_set = pa.array(sorted(wanted), pa.string())
        for file, group in self.row_groups(column):
            ids = file.read_row_group(group, columns=["sample_id"])["sample_id"]
            places = pc.indices_nonzero(pc.is_in(ids, value_set=value_set))
            if len(places):
                values = file.read_row_group(group, columns=[column])[column].take(places).to_pylist()
                found.update(zip(ids.take(places).to_pylist(), values, strict=True))
            if len(found) == len(wanted):
                break
        return found

    def features(self, most: int) -> tuple[pa.Array, Floats] | None:
        """Return ids and features, (n, d) with n about `most` or all, of a seeded random part of the data set.

        Args:
            most: Number of samples; each part that is drawn from is rounded up to a whole one.
        """
        table = self.some_rows(["sample_id", "features"], most)
        if table is None:
            return None
        flat = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        columns = self.dataset.columns if self.dataset else ()
        centres = np.array([column.centre for column in columns]) if columns else 0.0
        values = flat.reshape(len(table), -1).astype(np.float64)
        return table["sample_id"].combine_chunks(), values + centres

    def some_rows(self, columns: Sequence[str], most: int) -> pa.Table | None:
        """Return a seeded random part of the data set, about `most` rows of it or all; None where it has none.

        Args:
            columns: What is read; the last one must be in the data set.
            most: Number of samples; each part that is drawn from is rounded up to a whole one.
        """
        groups = self.row_groups(columns[-1], at_most=SPREAD)
        rows = sum(file.metadata.row_group(group).num_rows for file, group in groups)
        generator = np.random.default_rng(0)
        parts = []
        for file, group in groups:
            table = file.read_row_group(group, columns=list(columns))
            count = min(len(table), int(np.ceil(most * len(table) / rows)))
            parts.append(table.take(pa.array(np.sort(generator.permutation(len(table))[:count]))))
        return pa.concat_tables(parts) if parts else None

    @cached_property
    def spreads(self) -> Floats | None:
        """Standard deviation of each feature that the models saw, (features,), from a part of the data spread over all of it."""
        path, width = self.path("model/features.f32"), len(self.feature_names)
        if path is not None and width:
            rows = path.stat().st_size // (4 * width)
            # Read, not mapped: the system maps what is around each row too, and counts it as resident.
            some = [
                np.fromfile(path, "<f4", count=width, offset=4 * width * row)
                for row in range(0, rows, -(-rows // SPREAD_SAMPLES))
            ]
            return np.asarray(np.stack(some).astype(np.float64).std(axis=0))
        found = self.features(SPREAD_SAMPLES)
        return None if found is None else np.asarray(np.nanstd(found[1], axis=0))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each feature that the models saw."""
        return () if self.dataset is None else read_names(self.folder, self.dataset)

    def row_groups(self, column: str, at_most: int | None = None) -> list[tuple[pq.ParquetFile, int]]:
        """Return the row groups of the data set with rows, in order, all or some evenly spread; none without the column."""
        path = self.path("dataset.parquet")
        file = open_parquet(path) if path else None
        if file is None or column not in file.schema_arrow.names:
            return []
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        groups = [(file, group) for group, size in enumerate(sizes) if size]
        return groups[:: -(-len(groups) // at_most)] if at_most and len(groups) > at_most else groups
