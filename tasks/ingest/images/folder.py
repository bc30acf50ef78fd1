"""A folder of images as a table: the label is the name of the class folder, or is in `metadata.csv`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tasks.ingest.images.layout import FolderLayout, ImagePlace
from tasks.ingest.reading import Reader
from tasks.ingest.source import Part

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# The columns of a folder of images; `split` only where there are splits.
OWN_COLUMNS = frozenset({"image", "label", "file", "split"})


@dataclass(frozen=True)
class ImageFolderReader:
    """The images below a folder, in the order of their paths.

    Attributes:
        part: The folder; its path ends with a slash.
        table: For each its path as the picture, its class, the file again, and its split; images are read where they are needed.
        notes: What a person should know of the source.
        image: Name of the column that holds the images.
    """

    part: Part
    files: tuple[str, ...]
    table: pa.Table
    notes: tuple[str, ...] = ()
    image: str = "image"

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return self.table.schema

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most `rows` rows at a time."""
        yield from self.table.select(list(columns)).to_batches(max_chunksize=rows)

    def place(self, row: int) -> str:
        """Return the file."""
        return self.files[row]


def open_class_folders(part: Part, layout: FolderLayout, notes: Sequence[str]) -> ImageFolderReader:
    """Return the images that are in class folders."""
    files = tuple(layout.labeled)
    said = _columns_of_folders(files, [layout.places[file] for file in files])
    names = ["label", "file", *(["split"] if layout.splits else [])]
    table = pa.table({"image": _paths(files), **{name: said[name] for name in names}})
    return ImageFolderReader(part, files, table, tuple(notes))


@dataclass(frozen=True)
class MetadataReader:
    """A table beside images, each row of which names one of them.

    Attributes:
        names: Its column of paths, relative to its folder.
        image: Name of the column that holds the images.
        folder: The folder of the table within the source: empty, or with a slash at its end.
        places: What the folders say of each image.
        added: Columns that the folders say and the table lacks.
        notes: What a person should know of the source.
    """

    table: Reader
    names: str
    image: str
    folder: str
    places: dict[str, ImagePlace]
    added: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def part(self) -> Part:
        """The table's file."""
        return self.table.part

    @property
    def schema(self) -> pa.Schema:
        """The picture, what the folders say, and the table's own columns."""
        added = [(name, pa.string()) for name in self.added]
        return pa.schema([(self.image, _IMAGE), *added, *self.table.schema], self.table.schema.metadata)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns; the images are read where they are needed."""
        own = set(self.table.schema.names)
        needed = list(dict.fromkeys([*(name for name in columns if name in own), self.names]))
        for batch in self.table.batches(needed, rows):
            files = [_inside(name) for name in batch.column(self.names).to_pylist()]
            places = [
                self.places.get(self.folder + file, ImagePlace()) if file else ImagePlace() for file in files
            ]
            paths = [self.folder + file if file else None for file in files]
            said = _columns_of_folders(paths, places)
            found = {name: batch.column(name) for name in needed} | {name: said[name] for name in self.added}
            found[self.image] = _paths(files)
            yield pa.RecordBatch.from_arrays([found[name] for name in columns], list(columns))

    def place(self, row: int) -> str:
        """Return the line or row of the table."""
        return self.table.place(row)

    def files(self) -> Iterator[str]:
        """Yield the path of each image within the source."""
        for batch in self.table.batches([self.names], 2**16):
            yield from (self.folder + file for name in batch.column(0).to_pylist() if (file := _inside(name)))


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
