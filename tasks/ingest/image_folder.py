"""A folder with one sub-folder a class, as people keep images: the folder's name is the label."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tasks.ingest.source import Part

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass(frozen=True)
class ImageFolderReader:
    """The images below a folder, in the order of their paths."""

    part: Part
    files: tuple[str, ...]

    @property
    def schema(self) -> pa.Schema:
        """The picture, its class, and the file it comes from."""
        return pa.schema([("image", _IMAGE), ("label", pa.string()), ("file", pa.string())])

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield paths and labels; the images are read where they are needed."""
        for start in range(0, len(self.files), rows):
            files = self.files[start : start + rows]
            paths = [{"bytes": None, "path": file} for file in files]
            found = {
                "image": pa.array(paths, _IMAGE),
                "label": pa.array([file.split("/", 1)[0] for file in files], pa.string()),
                "file": pa.array(files, pa.string()),
            }
            yield pa.RecordBatch.from_pydict({name: found[name] for name in columns})

    def place(self, row: int) -> str:
        """Return the file."""
        return self.files[row]
