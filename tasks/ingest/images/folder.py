"""A folder of images as a table: the label is the name of the class folder, or is in `metadata.csv`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from tasks.ingest.images.layout import FolderLayout, ImagePlace
from tasks.ingest.reading import FileReader, Reader
from tasks.ingest.source import Part

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# The columns of a folder of images; `split` only where there are splits.
OWN_COLUMNS = frozenset({"image", "label", "file", "split"})


@dataclass(frozen=True)
class ImageFolderReader(FileReader):
    """The images below a folder, in the order of their paths; they are read where they are needed.

    Attributes:
        files: Their paths within the folder, or those that a table beside them names.
        added: Columns that the folders say and such a table lacks.
    """

    files: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def open_class_folders(part: Part, layout: FolderLayout, notes: Sequence[str]) -> ImageFolderReader:
    """Return the images that are in class folders."""
    files = tuple(layout.labeled)
    said = _columns_of_folders(files, [layout.places[file] for file in files])
    names = ["label", "file", *(["split"] if layout.splits else [])]
    table = pa.table({"image": _paths(files), **{name: said[name] for name in names}})

    def scan(columns: list[str], _: int) -> Iterator[pa.RecordBatch]:
        yield from table.select(columns).to_batches()

    place = files.__getitem__
    return ImageFolderReader(part, table.schema, scan, place, tuple(notes), image="image", files=files)


def open_metadata(table: Reader, names: str, folder: str, layout: FolderLayout) -> ImageFolderReader:
    """Return a table beside images, each row of which names one of them, with what the folders say.

    Args:
        names: Its column of paths, relative to its folder.
        folder: The folder of the table within the source: empty, or with a slash at its end.
    """
    own = table.schema.names
    image = "image" if "image" not in own else "image_file"
    told = {"label": bool(layout.labeled), "file": True, "split": bool(layout.splits)}
    added = [name for name, known in told.items() if known and name not in own]
    strings = [(name, pa.string()) for name in added]
    schema = pa.schema([(image, _IMAGE), *strings, *table.schema], table.schema.metadata)

    def scan(columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        needed = list(dict.fromkeys([*(name for name in columns if name in own), names]))
        for batch in table.batches(needed, rows):
            files = [_inside(name) for name in batch.column(names).to_pylist()]
            paths = [folder + file if file else None for file in files]
            said = _columns_of_folders(paths, [layout.places.get(path or "", ImagePlace()) for path in paths])
            found = {name: batch.column(name) for name in needed} | {name: said[name] for name in added}
            found[image] = _paths(files)
            yield pa.RecordBatch.from_arrays([found[name] for name in columns], columns)

    named = (name for batch in table.batches([names], 2**16) for name in batch.column(0).to_pylist())
    files = tuple(folder + file for name in named if (file := _inside(name)))
    reader = ImageFolderReader(table.part, schema, scan, table.place, image=image, files=files)
    return replace(reader, added=tuple(added))


def find_name_column(schema: pa.Schema) -> str | None:
    """Return the column of a metadata table that names the images, None where it has none."""
    text = [field.name for field in schema if field.type in (pa.string(), pa.large_string())]
    return next((name for name in ("file_name", "filename", "image_file_name") if name in text), None)


def _inside(name: str | None) -> str:
    """Return a path with slashes, as Windows may not have written it."""
    return (name or "").strip().replace("\\", "/").removeprefix("./")


def _paths(files: Sequence[str]) -> pa.Array:
    return pa.array([{"bytes": None, "path": file or None} for file in files], _IMAGE)


def _columns_of_folders(files: Sequence[str | None], places: Sequence[ImagePlace]) -> dict[str, pa.Array]:
    """Return the columns that the folders say of some images."""
    said = {
        "label": [place.label for place in places],
        "file": files,
        "split": [place.split for place in places],
    }
    return {name: pa.array(values, pa.string()) for name, values in said.items()}
