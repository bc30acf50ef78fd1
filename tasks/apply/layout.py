"""Corrected data in the layout that they came in: as the datasets library saves them to disk, or as Parquet and Arrow files.

A version of a data set holds canonical data, labels as text among them. Whoever brought a Hugging Face data set, or labels that
are numbers, booleans or categories, wants the same files back: the same folders, parts, columns, types and features (class names,
images as structs), with corrected labels and without the rows that are gone. Row i of what is written, over all parts, is row i
of the version's `dataset.parquet`; so a version can itself be swept and corrected.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from tasks.apply.layout_notes import STATE, beside, describe
from tasks.errors import InputError
from tasks.ingest.formats.arrow import ArrowReader
from tasks.ingest.formats.parquet import ParquetReader
from tasks.ingest.kinds import is_numeric
from tasks.ingest.labels import as_text, class_names, named
from tasks.ingest.reading import Reader
from tasks.ingest.source import Part, access, locate
from tasks.ingest.table import open_part, plain_type
from tasks.records import Dataset
from tasks.storage import open_parquet, read_json, sha256_file

# Folders beside a version's canonical data: in the layout of the datasets library, or of any other files with types.
HUGGING_FACE, SOURCE = "huggingface", "source"
# Rows of a row group where the source does not say: what the datasets library gives images.
_ROWS = 100


@dataclass(frozen=True)
class Layout:
    """The files that a data set came in.

    Attributes:
        uri: What was swept; for a version, its files of this layout.
        label: Column of the given label in them.
        parts: The files with data, in the order in which rows are numbered.
        folder: Name of the folder that the version's files of this layout lie in.
        digests: SHA-256 of parts when they were swept, by what they are called; empty where none was kept.
    """

    uri: str
    label: str
    parts: tuple[Part, ...]
    folder: str
    digests: dict[str, str]

    @property
    def is_folder(self) -> bool:
        """Whether a folder was swept, not one file."""
        return self.parts[0].shown.startswith(self.uri.rstrip("/") + "/")

    def relative(self, part: Part) -> str:
        """Return the path of a part within what was swept."""
        return part.shown[len(self.uri.rstrip("/")) + 1 :] if self.is_folder else part.path.rsplit("/", 1)[-1]

    def root(self) -> Part:
        """Return what stands for the swept folder, to read files beside it."""
        part = self.parts[0]
        return Part(part.filesystem, part.path.removesuffix(self.relative(part)) + "any", self.uri)


def layout_of(run: Path, dataset: Dataset) -> Layout | None:
    """Return the layout that a run's data came in, None where canonical data say as much as the source does.

    Args:
        run: The run folder.
        dataset: Its data set.

    Raises:
        InputError: The source is not there any more.
    """
    config = yaml.safe_load((run / "config.yaml").read_text()) if (run / "config.yaml").exists() else {}
    uri, label = dataset.uri, dataset.label_column or str(config.get("label") or "label")
    if config.get("raters"):
        return None  # the label is a majority, and no column of the source
    lineage = Path(uri).with_name("version.json") if "://" not in uri else None
    if lineage and Path(uri).name == "dataset.parquet" and lineage.is_file():
        label = read_json(lineage).get("source_label") or ""
        written = written_in(lineage.parent)
        if not label or written is None:
            return None
        uri = str(written)
    parts = locate(uri) if not uri.startswith("sample:") else []
    if not parts or not (_is_hugging_face(parts[0]) or _is_typed(parts, label)):
        return None
    folder = HUGGING_FACE if _is_hugging_face(parts[0]) else SOURCE
    return Layout(uri, label, tuple(parts), folder, _digests(run))


def written_in(version: Path) -> Path | None:
    """Return the folder with a version's files in the layout of their source, None where there is none."""
    return next((version / name for name in (HUGGING_FACE, SOURCE) if (version / name).is_dir()), None)


def _digests(run: Path) -> dict[str, str]:
    path = run / "version.json"
    return {part["part"]: part["digest"] for part in read_json(path)["parts"]} if path.exists() else {}


def _is_hugging_face(part: Part) -> bool:
    """Return whether the datasets library wrote a file: its notes are in the schema, or beside it, or images are its structs."""
    if part.kind not in ("arrow", "parquet"):
        return False
    schema = open_part(part, frozenset()).schema
    if b"huggingface" in (schema.metadata or {}):
        return True
    if part.kind == "arrow" and beside(part, STATE) is not None:
        return True
    structs = [field.type for field in schema if pa.types.is_struct(field.type)]
    return any({"bytes", "path"} == {kind.field(i).name for i in range(kind.num_fields)} for kind in structs)


def _is_typed(parts: Sequence[Part], label: str) -> bool:
    """Return whether the labels of all files have a type that text does not keep."""
    if any(part.kind not in ("arrow", "parquet") for part in parts):
        return False
    schema = open_part(parts[0], frozenset()).schema
    if label not in schema.names:
        return False
    kind = schema.field(label).type
    return is_numeric(kind) or bool(pa.types.is_dictionary(kind))


@dataclass(frozen=True)
class Corrected:
    """Rows of the source, counted from 0 over all its parts and ascending: those that stay, and those that were swept.

    `labels` belong to `rows`, `given` to `given_rows`.
    """

    rows: NDArray[np.int64]
    labels: pa.Array
    given_rows: NDArray[np.int64]
    given: pa.Array


def corrected_labels(tables: Iterator[pa.Table], given: Path) -> Corrected:
    """Return which rows of the source stay, with which labels.

    Args:
        tables: The new version's rows, with `source_row` and `label`.
        given: Canonical data before the changes.
    """
    names = ["source_row", "label"]
    after = pa.concat_tables([table.select(names) for table in tables])
    with open_parquet(given) as file:
        before = file.read(columns=names)
    columns = [
        found
        for table in (after, before)
        for found in (table["source_row"].to_numpy(), table["label"].cast(pa.string()).combine_chunks())
    ]
    return Corrected(*columns)


def write_layout(layout: Layout, corrected: Corrected, state: str, folder: Path) -> None:
    """Write the corrected data as the source has them.

    Args:
        layout: The files of the source.
        corrected: Which rows stay, and their labels.
        state: Digest of the new version: the name under which the datasets library caches is made of it.
        folder: Where to; it is made.

    Raises:
        InputError: The source is gone, or is not what was swept any more.
    """
    with access(layout.uri):
        readers = [open_part(part, frozenset()) for part in layout.parts]
        values = _unchanged_values(layout, readers, corrected)
        start, left = 0, {}
        for reader in readers:
            name = layout.relative(reader.part)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            left[name], start = _write_part(reader, layout.label, corrected, values, start, folder / name)
        if layout.is_folder:
            describe(layout, left, state, folder)


def _unchanged_values(layout: Layout, readers: list[Reader], corrected: Corrected) -> dict[str, Any]:
    """Check that the source is what was swept, and return the value that stands for each label in it."""
    changed = InputError(
        "the source has changed since it was swept", where=layout.uri, fix="sweep it again, then apply"
    )
    for part in layout.parts:
        known = layout.digests.get(part.shown)
        if known and part.local and sha256_file(Path(part.path)) != known:
            raise changed
    values: dict[str, Any] = {}
    start = 0
    for reader in readers:
        names = class_names(reader.schema, layout.label)
        values |= {name: place for place, name in enumerate(names)}
        for batch in reader.batches([layout.label], 2**16):
            column = _plain(batch.column(0))
            words = _written(column, names)
            here = _span(corrected.given_rows, start, batch.num_rows)
            if not words.take(pa.array(corrected.given_rows[here] - start)).equals(corrected.given[here]):
                raise changed
            if not names:
                seen = column.unique()
                values = dict(zip(as_text(seen).to_pylist(), seen.to_pylist(), strict=True)) | values
            start += batch.num_rows
    if len(corrected.given_rows) and corrected.given_rows[-1] >= start:
        raise changed
    return values


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(plain_type(column.type))


def _written(column: pa.Array, names: tuple[str, ...]) -> pa.Array:
    """Return labels of plain type as the audit reads them."""
    return named(column, names) if names else as_text(column)


def _span(rows: NDArray[np.int64], start: int, count: int) -> slice:
    """Return which of ascending row numbers lie in a batch."""
    first, last = np.searchsorted(rows, [start, start + count])
    return slice(int(first), int(last))


def _write_part(
    reader: Reader, label: str, corrected: Corrected, values: Mapping[str, Any], start: int, target: Path
) -> tuple[int, int]:
    """Write what stays of one part; return how many rows that is, and where the next part starts."""
    names, written = class_names(reader.schema, label), 0
    rows = _group_rows(reader)
    with _writer(reader, target) as writer:
        for batch in reader.batches(reader.schema.names, rows):
            here = _span(corrected.rows, start, batch.num_rows)
            start += batch.num_rows
            if here.start == here.stop:
                continue
            kept = batch.take(pa.array(corrected.rows[here] - (start - batch.num_rows)))
            place = kept.schema.get_field_index(label)
            column = _relabeled(kept.column(place), corrected.labels[here], names, values)
            columns = [*kept.columns[:place], column, *kept.columns[place + 1 :]]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=reader.schema))
            written += kept.num_rows
    return written, start


def _relabeled(
    column: pa.Array, labels: pa.Array, names: tuple[str, ...], values: Mapping[str, Any]
) -> pa.Array:
    """Return a column with other labels, in its own type; a label that stays is not touched."""
    plain = _plain(column)
    before = _written(plain, names).to_pylist()
    after = labels.to_pylist()
    if before == after:
        return column
    old = plain.to_pylist()
    new = [
        value if was == now else values[now] if now in values else _value(now, plain.type)
        for value, was, now in zip(old, before, after, strict=True)
    ]
    relabeled = pa.array(new, plain.type)
    if not pa.types.is_dictionary(column.type):
        return relabeled.cast(column.type)
    # A category without samples is one all the same.
    places = pc.index_in(relabeled, value_set=column.dictionary.cast(plain.type))
    if places.null_count > relabeled.null_count:
        raise InputError(f"a label is none of the categories of column '{column.type}'")
    kind = column.type
    return pa.DictionaryArray.from_arrays(
        places.cast(kind.index_type), column.dictionary, ordered=kind.ordered
    )


def _value(label: str, kind: pa.DataType) -> object:
    """Return a label that the source does not have as a value of its type."""
    try:
        return pa.scalar(label, pa.string()).cast(kind).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the label '{label}' is no {kind}") from error


def _group_rows(reader: Reader) -> int:
    """Return how many rows the source keeps together."""
    if not isinstance(reader, ParquetReader):
        return 1_000  # what the datasets library writes at once
    with reader.part.open() as file:
        meta = pq.read_metadata(file)
    # The first one alone may hold no row: that of an empty split does, and of whoever wrote the head before the data.
    return max((int(meta.row_group(i).num_rows) for i in range(meta.num_row_groups)), default=0) or _ROWS


def _writer(reader: Reader, target: Path) -> Any:  # noqa: ANN401 (one of two classes that do not share a base)
    if isinstance(reader, ParquetReader):
        return pq.ParquetWriter(target, reader.schema)
    stream = isinstance(reader, ArrowReader) and reader.stream
    return (pa.ipc.new_stream if stream else pa.ipc.new_file)(str(target), reader.schema)
