"""Corrected data in the layout that they came in: as the datasets library saves them to disk, or as its Parquet files.

A version of a data set holds canonical data. Whoever brought a Hugging Face data set wants the same files back: the same folders,
parts, columns and features (class names, images as structs), with corrected labels and without the rows that are gone. Row i
of what is written, over all parts, is row i of the version's `dataset.parquet`; so a version can itself be swept and corrected.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.ingest.formats.arrow import ArrowReader
from tasks.ingest.formats.parquet import ParquetReader
from tasks.ingest.labels import as_text, class_names, named
from tasks.ingest.reading import Reader
from tasks.ingest.source import Part, access, locate
from tasks.ingest.table import open_part, plain_type
from tasks.records import Dataset
from tasks.storage import open_parquet, read_json, sha256_file

FOLDER = "huggingface"
# Rows of a row group where the source does not say: what the datasets library gives images.
_ROWS = 100
_STATE = "state.json"


@dataclass(frozen=True)
class Layout:
    """The files that a data set came in.

    Attributes:
        uri: What was swept; for a version, its files of this layout.
        label: Column of the given label in them.
        parts: The files with data, in the order in which rows are numbered.
        digests: SHA-256 of parts when they were swept, by what they are called; empty where none was kept.
    """

    uri: str
    label: str
    parts: tuple[Part, ...]
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
    """Return the layout that a run's data came in, None where it is none of the datasets library's.

    Args:
        run: The run folder.
        dataset: Its data set.

    Raises:
        InputError: The source is not there any more.
    """
    config = yaml.safe_load((run / "config.yaml").read_text()) if (run / "config.yaml").exists() else {}
    uri, label = dataset.uri, str(config.get("label") or "label")
    if config.get("raters"):
        return None  # the label is a majority, and no column of the source
    lineage = Path(uri).with_name("version.json") if "://" not in uri else None
    if lineage and Path(uri).name == "dataset.parquet" and lineage.is_file():
        label = read_json(lineage).get("source_label") or ""
        uri = str(lineage.with_name(FOLDER))
        if not label or not Path(uri).exists():
            return None
    parts = locate(uri) if not uri.startswith("sample:") else []
    if not parts or not _is_hugging_face(parts[0]):
        return None
    return Layout(uri, label, tuple(parts), _digests(run))


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
    if part.kind == "arrow" and _beside(part, _STATE) is not None:
        return True
    structs = [field.type for field in schema if pa.types.is_struct(field.type)]
    return any({"bytes", "path"} == {kind.field(i).name for i in range(kind.num_fields)} for kind in structs)


def _beside(part: Part, name: str) -> bytes | None:
    try:
        return part.read_beside(name)
    except FileNotFoundError:
        return None


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
            _describe(layout, left, state, folder)


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
    new = [value if was == now else values[now] for value, was, now in zip(old, before, after, strict=True)]
    return pa.array(new, plain.type).cast(column.type)


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


def _describe(layout: Layout, left: Mapping[str, int], state: str, folder: Path) -> None:
    """Write what the datasets library keeps beside the data: what they are called, and how many rows each split has."""
    inside: dict[str, Part] = {"": layout.root()}
    counts: dict[str, int] = defaultdict(int)
    for part in layout.parts:
        name = layout.relative(part)
        step, _, file = name.rpartition("/")
        inside.setdefault(step, part)
        counts[step.rsplit("/", 1)[-1]] += left[name]
        if part.kind == "parquet":
            counts[file.split("-")[0].split(".")[0]] += left[name]
    for step, part in inside.items():
        for name, change in (
            ("dataset_dict.json", lambda text: text),
            (_STATE, lambda text: _new_name(text, state)),
            ("dataset_info.json", lambda text: _counted_info(text, counts)),
            ("README.md", lambda text: _counted_card(text, counts)),
        ):
            found = _beside(part, name)
            if found is not None:
                (folder / step / name).write_text(change(found.decode()), encoding="utf-8")


def _new_name(text: str, state: str) -> str:
    """Return the state of a saved data set under another fingerprint: the library caches results under it."""
    found = json.loads(text)
    both = f"{found.get('_fingerprint')} {state}"
    return json.dumps(found | {"_fingerprint": hashlib.sha256(both.encode()).hexdigest()[:16]}, indent=2)


def _counted_info(text: str, counts: Mapping[str, int]) -> str:
    found = json.loads(text)
    splits = found.get("splits") or {}
    for name, split in splits.items():
        _count(split, name, counts, len(splits))
    return json.dumps(found, indent=2)


def _counted_card(text: str, counts: Mapping[str, int]) -> str:
    """Return a data set card whose counts are those of the corrected data: the library compares them."""
    if not text.startswith("---\n") or "\n---" not in text[4:]:
        return text
    head, _, rest = text[4:].partition("\n---")
    said = yaml.safe_load(head)
    infos = (said or {}).get("dataset_info") if isinstance(said, dict) else None
    if not infos:
        return text
    for info in infos if isinstance(infos, list) else [infos]:
        splits = info.get("splits") or []
        for split in splits:
            _count(split, split.get("name"), counts, len(splits))
        for size in ("download_size", "dataset_size"):
            info.pop(size, None)
    return f"---\n{yaml.safe_dump(said, sort_keys=False, allow_unicode=True)}---{rest}"


def _count(split: dict[str, Any], name: object, counts: Mapping[str, int], splits: int) -> None:
    """Set how many rows a split has, and forget the sizes that the files no longer have."""
    rows = counts.get(str(name), max(counts.values()) if splits == 1 else None)
    if rows is not None:
        split["num_examples"] = rows
        for size in ("num_bytes", "shard_lengths"):
            split.pop(size, None)
