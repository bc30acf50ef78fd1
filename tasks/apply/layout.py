"""Corrected data in the layout that they came in: the user's own files again, with other labels and without what was dropped.

A version of a data set holds canonical data, labels as text among them. Beside them lie the files of the source once more: the
same folders, parts, names, columns, types and order, and every value but the labels as it was. A row that was not swept, because
validation set it aside, stays: only a reviewer drops rows. Where rows are therefore not numbered as in the version, `PLACES` says
which is which; so a version can itself be swept and corrected.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from tasks.apply.columnar import write_columnar
from tasks.apply.corrected import TAKE_LABELS, SourceChanges, make_source_changed_error
from tasks.apply.dataset_cards import STATE, read_file_beside, write_cards
from tasks.apply.delimited import write_delimited
from tasks.apply.json_documents import write_json_files
from tasks.apply.moved_images import MOVES
from tasks.apply.packing import pack_again
from tasks.apply.version import find_origin, find_swept_version
from tasks.apply.workbook import write_workbooks
from tasks.errors import InputError
from tasks.ingest.images.folder import ClassFolderReader
from tasks.ingest.partitions import read_folder_values
from tasks.ingest.source import Part, explain_access_errors, locate, split_sheet
from tasks.ingest.table import open_part, open_source
from tasks.json_objects import read_object
from tasks.queries import parse_query
from tasks.records import Dataset
from tasks.runs.finished import read_part_digests, read_run_config

# Folders beside a version's canonical data: in the layout of the datasets library, or of any other files.
HUGGING_FACE, SOURCE = "huggingface", "source"

# Writes the files of a format: given those of the source, their column of the label, what changes, and where each one goes, it
# returns how many rows each one has. It raises InputError where the source is not what was swept, a label cannot be a value of
# the column, or a file has another form.
Write = Callable[[Sequence[Part], str, SourceChanges, Sequence[Path]], list[int]]
WRITERS: dict[str, Write] = {
    "arrow": write_columnar,
    "csv": write_delimited,
    "excel": write_workbooks,
    "json": write_json_files,
    "jsonl": write_json_files,
    "parquet": write_columnar,
    "plain": write_delimited,
}


@dataclass(frozen=True)
class SourceLayout:
    """The files that a data set came in.

    Attributes:
        uri: What was swept; for a version, its files of this layout.
        label: Column of the given label in them.
        parts: The files with data, in the order in which rows are numbered.
        folder: Name of the folder that the version's files of this layout lie in.
        digests: Digests of parts when they were swept, by what they are called; empty where none was kept.
        version: Folder of the version that was swept; None where it was the source itself.
        total: How many rows the source had, where it was the source that was swept.
        images: The images, where it is a folder of them and its sub-folders are the labels.
    """

    uri: str
    label: str
    parts: tuple[Part, ...]
    folder: str
    digests: dict[str, str] = field(default_factory=dict)
    version: Path | None = None
    total: int | None = None
    images: ClassFolderReader | None = None

    @property
    def is_folder(self) -> bool:
        """Whether a folder was swept, not one file."""
        return self.parts[0].shown.startswith(self.uri.rstrip("/") + "/")

    def make_relative(self, part: Part) -> str:
        """Return the path of a part within what was swept."""
        return part.shown[len(self.uri.rstrip("/")) + 1 :] if self.is_folder else part.path.rsplit("/", 1)[-1]

    def root(self) -> Part:
        """Return what stands for the swept folder, to read files beside it."""
        part = self.parts[0]
        return Part(part.filesystem, part.path.removesuffix(self.make_relative(part)) + "any", self.uri)


def read_layout(run: Path, dataset: Dataset) -> SourceLayout | None:
    """Return the layout that a run's data came in, None where nothing but canonical data can be written.

    Raises:
        InputError: The source is not there any more.
    """
    (label, encoding), uri = read_label_options(run, dataset), dataset.uri
    if label is None or uri.startswith("sample:"):
        return None
    if parse_query(uri):
        fix = "take the labels from dataset.parquet, or what differs from changes.parquet"
        raise InputError("the result of a query cannot be written back", where=uri, fix=fix)
    version = find_swept_version(run, uri)
    if version:
        written = find_written(version)
        if written is None:
            return None
        packed = next(written.glob("*.zip"), None)
        first = find_origin(run, version)
        uri = first if (written / MOVES).is_file() else str(packed or written)
        if sheet := split_sheet(first)[1]:
            uri = f"{next(written.iterdir())}#{sheet}"
    parts = [replace(part, encoding=encoding) for part in locate(uri)]
    images = None
    if len(parts) > 1 and any(part.kind in (None, "plain") for part in parts):
        readers = open_source(uri, frozenset({label})).readers
        images = readers[0] if isinstance(readers[0], ClassFolderReader) else None
        if images and label in images.added:
            what = "the label is the name of a folder, and there is a table beside the images"
            raise InputError(what, where=uri, fix=TAKE_LABELS)
        # Beside images lies a table, which says more than their folders do.
        images = None if images and images.part.kind else images
        parts = parts if images else [replace(reader.part, encoding=encoding) for reader in readers]
    if not images and (other := next((part for part in parts if not _is_written(part)), None)):
        raise InputError(f"{other.kind} files cannot be written back", where=other.shown, fix=TAKE_LABELS)
    folder = HUGGING_FACE if _is_hugging_face(parts[0]) else SOURCE
    swept = read_object(run / "steps" / "ingest.json").get("record", {})
    total = None if version else swept.get("rows")
    return SourceLayout(uri, label, tuple(parts), folder, read_part_digests(run), version, total, images)


def _is_written(part: Part) -> bool:
    """Return whether a file can be written again; of plain text, columns between delimiters can."""
    reader = open_part(part, frozenset()) if part.kind == "plain" else None
    columns = reader is not None and reader.dialect is not None and not reader.converted
    return part.kind in WRITERS and (reader is None or columns)


def read_label_options(run: Path, dataset: Dataset) -> tuple[str | None, str | None]:
    """Return how the labels of the source are read.

    Returns:
        The column that holds the given label, None where it is the majority of several; and the encoding that the user named,
        None where it is found out.
    """
    if version := find_swept_version(run, dataset.uri):
        said = read_object(version / "version.json")
        return said.get("source_label"), said.get("source_encoding")
    config = read_run_config(run)
    label = None if config.get("raters") else dataset.label_column or str(config.get("label") or "label")
    return label, config.get("encoding") or None


def find_written(version: Path) -> Path | None:
    """Return the folder with a version's files in the layout of their source, None where there is none."""
    return next((version / name for name in (HUGGING_FACE, SOURCE) if (version / name).is_dir()), None)


def _is_hugging_face(part: Part) -> bool:
    """Return whether the datasets library wrote a file: its notes are in the schema, or beside it, or images are its structs."""
    if part.kind not in ("arrow", "parquet"):
        return False
    schema = open_part(part, frozenset()).schema
    if b"huggingface" in (schema.metadata or {}):
        return True
    if part.kind == "arrow" and read_file_beside(part, STATE) is not None:
        return True
    structs = [field.type for field in schema if pa.types.is_struct(field.type)]
    return any({"bytes", "path"} == {kind.field(i).name for i in range(kind.num_fields)} for kind in structs)


def write_layout(layout: SourceLayout, corrected: SourceChanges, state: str, folder: Path) -> None:
    """Write the corrected data as the source has them.

    Args:
        state: Digest of the new version: the name under which the datasets library caches is made of it.
        folder: Where to; it is made.

    Raises:
        InputError: The source is gone, or is not what was swept any more.
    """
    with explain_access_errors(layout.uri):
        folders = read_folder_values(layout.make_relative(layout.parts[0]))
        if layout.label in folders:
            what = f"the label is the name of a folder ({layout.label}={folders[layout.label]}), not a column"
            raise InputError(what, where=layout.uri, fix=TAKE_LABELS)
        check_digests(layout, layout.parts)
        archive = layout.parts[0].archive
        if archive is None:
            _write_parts(layout, corrected, state, folder)
            return
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            _write_parts(layout, corrected, state, Path(name))
            written = {part.path: Path(name) / layout.make_relative(part) for part in layout.parts}
            pack_again(archive, written, folder / archive.path.rsplit("/", 1)[-1])


def _write_parts(layout: SourceLayout, corrected: SourceChanges, state: str, folder: Path) -> None:
    names = [layout.make_relative(part) for part in layout.parts]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write = WRITERS[layout.parts[0].kind or ""]
    rows = write(layout.parts, layout.label, corrected, [folder / name for name in names])
    if layout.is_folder:
        write_cards(layout, dict(zip(names, rows, strict=True)), state, folder)


def check_digests(layout: SourceLayout, parts: Iterable[Part]) -> None:
    """Raise InputError where files of the source are not what was swept."""
    for part in parts:
        known = layout.digests.get(part.shown)
        if known and part.digest() != known:
            raise make_source_changed_error(layout.uri)
