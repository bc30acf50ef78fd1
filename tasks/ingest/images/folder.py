"""A folder of images as a table: the label is the name of the class folder, or is in `metadata.csv`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from tasks.errors import InputError, list_names
from tasks.ingest.folder import TYPED_TABLES, Folder
from tasks.ingest.images.annotations import find_unsupported_layout
from tasks.ingest.images.layout import (
    FolderLayout,
    ImagePlace,
    count_files,
    find_classes_in_names,
    infer_layout,
)
from tasks.ingest.reading import FileReader
from tasks.ingest.source import Part

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# The columns of a folder of images; `split` only where there are splits.
_OWN_COLUMNS = frozenset({"image", "label", "file", "split"})
# Files that are read together: a thousand articles are a few megabytes.
_FILES = 1_024


@dataclass(frozen=True)
class ClassFolderReader(FileReader):
    """The images or texts below a folder, in the order of their paths; they are read where they are needed.

    Attributes:
        files: Their paths within the folder, or those that a table beside them names.
        added: Columns that the folders say and such a table lacks.
    """

    files: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def open_images(
    folder: Folder, named: frozenset[str], open_table: Callable[[Part], FileReader]
) -> tuple[FileReader, ...]:
    """Return the readers of a folder of images; none where its tables are the data.

    Raises:
        InputError: There are images alone, and nothing says their classes.
    """
    if not folder.images:
        return ()
    layout = infer_layout([folder.relative(part) for part in folder.images])
    tables = [open_table(part) for part in folder.metadata]
    if described := [table for table in tables if _name_column(table)]:
        return _open_described(folder, layout, described)
    if any(part.kind in TYPED_TABLES for part in folder.data) or (folder.data and not named <= _OWN_COLUMNS):
        return ()
    classes = {layout.places[file].label for file in layout.labeled}
    # One class cannot be swept: its folder may be none, and a table beside it may know better.
    if len(classes) < 2:
        if (refused := find_unsupported_layout(folder)) is not None:
            raise refused
        if folder.data:
            return ()
        if not classes or find_classes_in_names(list(layout.places)):
            raise _make_no_class_error(folder, layout)
    return (open_class_folders(folder, layout, "image", _make_image_column),)


def open_class_folders(
    folder: Folder, layout: FolderLayout, content: str, read: Callable[[Sequence[str]], pa.Array]
) -> ClassFolderReader:
    """Return the files that are in class folders.

    Args:
        content: What they are, and the name of their column.
        read: Returns that column of some files.
    """
    files = tuple(layout.labeled)
    notes = []
    if splits := sorted({split for file in files if (split := layout.places[file].split)}):
        notes.append(f"column 'split' has the folders {list_names(splits)}")
    if layout.alike:
        notes.append(
            f"every class folder has the same sub-folders ({list_names(layout.alike)}): "
            "if these are the classes, name one of the folders above them as the source"
        )
    tables = [folder.relative(part) for part in folder.data]
    left = [
        *count_files(layout.outside, content, " in no class folder"),
        *count_files(tables, "table", f" beside the {content}s"),
    ]
    notes += _note_unread(folder, left)
    said = _make_folder_columns(files, layout)
    names = ["label", "file", *(["split"] if layout.splits else [])]
    table = pa.table({name: said[name] for name in names})

    def scan(columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(files), step := min(rows, _FILES)):
            some = table.slice(start, step)
            if content in columns:
                some = some.append_column(content, read(files[start : start + step]))
            yield from some.select(columns).to_batches()

    schema = pa.schema([(content, read(()).type), *table.schema])
    image = content if content == "image" else None
    place = files.__getitem__
    return ClassFolderReader(folder.base, schema, scan, place, tuple(notes), image=image, files=files)


def _open_described(
    folder: Folder, layout: FolderLayout, tables: Sequence[FileReader]
) -> tuple[FileReader, ...]:
    readers = [_open_metadata(folder, layout, table) for table in tables]
    known = {file for reader in readers for file in reader.files}
    unknown = [file for file in layout.places if file not in known]
    read = {table.part.path for table in tables}
    others = [folder.relative(part) for part in folder.data if part.path not in read]
    left = [
        *count_files(unknown, "image", " that the metadata does not name"),
        *count_files(others, "other table"),
    ]
    return (replace(readers[0], notes=tuple(_note_unread(folder, left))), *readers[1:])


def _open_metadata(folder: Folder, layout: FolderLayout, table: FileReader) -> ClassFolderReader:
    """Return a table beside images, each row of which names one of them, with what the folders say."""
    path, names, own = folder.relative(table.part), _name_column(table) or "", table.schema.names
    within = path[: path.rfind("/") + 1]  # the paths are relative to the folder of the table
    image = "image" if "image" not in own else "image_file"
    told = {"label": bool(layout.labeled), "file": True, "split": bool(layout.splits)}
    added = tuple(name for name, known in told.items() if known and name not in own)
    strings = [(name, pa.string()) for name in added]
    schema = pa.schema([(image, _IMAGE), *strings, *table.schema], table.schema.metadata)

    def scan(columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        needed = list(dict.fromkeys([*(name for name in columns if name in own), names]))
        for batch in table.batches(needed, rows):
            files = [_use_slashes(name) for name in batch.column(names).to_pylist()]
            found = {name: batch.column(name) for name in needed} | {image: _make_image_column(files)}
            said = _make_folder_columns([within + file if file else None for file in files], layout)
            found |= {name: said[name] for name in added}
            yield pa.RecordBatch.from_arrays([found[name] for name in columns], columns)

    named = (name for batch in table.batches([names], 2**16) for name in batch.column(0).to_pylist())
    files = tuple(within + file for name in named if (file := _use_slashes(name)))
    return ClassFolderReader(table.part, schema, scan, table.place, image=image, files=files, added=added)


def _name_column(table: FileReader) -> str | None:
    """Return the column of a metadata table that names the images, None where it has none."""
    text = [field.name for field in table.schema if field.type in (pa.string(), pa.large_string())]
    return next((name for name in ("file_name", "filename", "image_file_name") if name in text), None)


def _use_slashes(name: str | None) -> str:
    """Return a path with slashes, as Windows may not have written it."""
    return (name or "").strip().replace("\\", "/").removeprefix("./")


def _make_image_column(files: Sequence[str]) -> pa.Array:
    return pa.array([{"bytes": None, "path": file or None} for file in files], _IMAGE)


def _make_folder_columns(files: Sequence[str | None], layout: FolderLayout) -> dict[str, pa.Array]:
    """Return the columns that the folders say of some images."""
    places = [layout.places.get(file or "", ImagePlace()) for file in files]
    labels, splits = [place.label for place in places], [place.split for place in places]
    said = {"label": labels, "file": files, "split": splits}
    return {name: pa.array(values, pa.string()) for name, values in said.items()}


def _note_unread(folder: Folder, left: Sequence[str]) -> list[str]:
    """Say in one line what is not read."""
    left = [*left, *count_files(folder.others, "other file"), *count_files(folder.hidden, "hidden file")]
    return [f"not read: {', '.join(left)}"] if left else []


def _make_no_class_error(folder: Folder, layout: FolderLayout) -> InputError:
    files = list(layout.places)
    one = len(files) == 1
    what = "the image is not in a class folder" if one else f"{len(files):,} images are not in a class folder"
    if layout.splits:
        what += f" (the folders {list_names(layout.splits)} are splits)"
    if classes := find_classes_in_names(files):
        what += f"; their file names seem to begin with the class ({list_names(classes)})"
    return folder.base.problem(
        what,
        fix="put each image into a folder named after its class, "
        "or write a metadata.csv with the columns file_name and label",
    )
