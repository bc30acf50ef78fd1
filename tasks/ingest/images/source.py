"""How a folder with images in it is read: by its class folders, by `metadata.csv`, or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from tasks.errors import InputError, list_names
from tasks.ingest.folder import TYPED_TABLES, Folder
from tasks.ingest.images.annotations import unsupported_layout
from tasks.ingest.images.folder import (
    OWN_COLUMNS,
    ImageFolderReader,
    find_name_column,
    open_class_folders,
    open_metadata,
)
from tasks.ingest.images.layout import FolderLayout, classes_in_names, count_files, infer_layout
from tasks.ingest.reading import Reader
from tasks.ingest.source import Part


def open_images(
    folder: Folder, named: frozenset[str], open_table: Callable[[Part], Reader]
) -> tuple[Reader, ...]:
    """Return the readers of a folder of images; none where its tables are the data.

    Raises:
        InputError: There are images alone, and nothing says their classes.
    """
    if not folder.images:
        return ()
    layout = infer_layout([folder.relative(part) for part in folder.images])
    tables = [(part, open_table(part)) for part in folder.metadata]
    described = [(part, table) for part, table in tables if find_name_column(table.schema)]
    if described:
        return _with_metadata(folder, layout, [table for _, table in described])
    if any(part.kind in TYPED_TABLES for part in folder.data) or (folder.data and not named <= OWN_COLUMNS):
        return ()
    classes = {layout.places[file].label for file in layout.labeled}
    if len(classes) > 1:
        return _with_class_folders(folder, layout)
    # One class cannot be swept: its folder may be none, and a table beside it may know better.
    if (refused := unsupported_layout(folder)) is not None:
        raise refused
    if folder.data:
        return ()
    if classes and not classes_in_names(list(layout.places)):
        return _with_class_folders(folder, layout)
    raise _without_classes(folder, layout)


def _with_class_folders(folder: Folder, layout: FolderLayout) -> tuple[Reader, ...]:
    notes = []
    splits = sorted({split for file in layout.labeled if (split := layout.places[file].split)})
    if splits:
        notes.append(f"column 'split' has the folders {list_names(splits)}")
    if layout.alike:
        notes.append(
            f"every class folder has the same sub-folders ({list_names(layout.alike)}): "
            "if these are the classes, name one of the folders above them as the source"
        )
    tables = [folder.relative(part) for part in folder.data]
    left = [
        *count_files(layout.outside, "image", " in no class folder"),
        *count_files(tables, "table", " beside the images"),
    ]
    return (open_class_folders(folder.base, layout, [*notes, *_note_unread(folder, left)]),)


def _with_metadata(folder: Folder, layout: FolderLayout, tables: Sequence[Reader]) -> tuple[Reader, ...]:
    readers = [_metadata_reader(folder, layout, table) for table in tables]
    known = {file for reader in readers for file in reader.files}
    unknown = [file for file in layout.places if file not in known]
    read = {table.part.path for table in tables}
    others = [folder.relative(part) for part in folder.data if part.path not in read]
    left = [
        *count_files(unknown, "image", " that the metadata does not name"),
        *count_files(others, "other table"),
    ]
    return (replace(readers[0], notes=tuple(_note_unread(folder, left))), *readers[1:])


def _metadata_reader(folder: Folder, layout: FolderLayout, table: Reader) -> ImageFolderReader:
    path = folder.relative(table.part)
    return open_metadata(table, find_name_column(table.schema) or "", path[: path.rfind("/") + 1], layout)


def _note_unread(folder: Folder, left: Sequence[str]) -> list[str]:
    """Say in one line what is not read."""
    left = [*left, *count_files(folder.others, "other file"), *count_files(folder.hidden, "hidden file")]
    return [f"not read: {', '.join(left)}"] if left else []


def _without_classes(folder: Folder, layout: FolderLayout) -> InputError:
    files = list(layout.places)
    one = len(files) == 1
    what = "the image is not in a class folder" if one else f"{len(files):,} images are not in a class folder"
    if layout.splits:
        what += f" (the folders {list_names(layout.splits)} are splits)"
    if classes := classes_in_names(files):
        what += f"; their file names seem to begin with the class ({list_names(classes)})"
    return folder.base.problem(
        what,
        fix="put each image into a folder named after its class, "
        "or write a metadata.csv with the columns file_name and label",
    )
