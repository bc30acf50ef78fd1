"""Which files of a folder are data, where other programs leave notes, logs and markers beside them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tasks.errors import InputError
from tasks.ingest.formats import readable_suffixes

if TYPE_CHECKING:
    from tasks.ingest.source import Part

# Tables whose folder holds files of earlier versions too: only their log says which rows are there today.
_LAKES = {
    "_delta_log": (
        "a Delta Lake table",
        "write it as Parquet, such as with DeltaTable(...).to_pyarrow_table()",
    ),
    ".hoodie": ("a Hudi table", "write it as Parquet, such as with spark.read and df.write.parquet"),
}


# What folders of classes hold where they are no folders of images, and what to do then.
_SOUND = "labelsweep reads no sound: save one vector for each recording, and the labels, as .npz or Parquet"
_TEXTS = "write one table of them, such as a CSV with the columns text and label"
_PICTURES = "convert them to PNG"
_OTHER_FILES = {
    **dict.fromkeys((".wav", ".mp3", ".flac", ".ogg", ".m4a"), _SOUND),
    **dict.fromkeys((".txt", ".md", ".html", ".pdf", ".docx", ""), _TEXTS),
    **dict.fromkeys((".dcm", ".nii", ".svg", ".psd", ".cr2", ".nef", ".dng"), _PICTURES),
}


def is_hidden(step: str) -> bool:
    """Return whether a file or folder is a marker or a note; a folder of a partition never is.

    >>> [is_hidden(step) for step in ("_SUCCESS", ".part-0.crc", "_split=a", "part-0.parquet")]
    [True, True, False, False]
    """
    return step.startswith(".") or (step.startswith("_") and "=" not in step)


def check_no_lake(relative: Sequence[str], uri: str) -> None:
    """Refuse a table of a lake by name: its folder also holds rows that were deleted or replaced.

    Raises:
        InputError: The folder is one.
    """
    steps = {step for path in relative for step in path.split("/")[:-1]}
    found = next((lake for folder, lake in _LAKES.items() if folder in steps), None)
    if found is None and any(
        path.startswith("metadata/") and path.endswith(".metadata.json") for path in relative
    ):
        found = ("an Iceberg table", "write it as Parquet, such as with PyIceberg's scan().to_arrow()")
    if found:
        raise InputError(f"{found[0]}: its files also hold rows of earlier versions", where=uri, fix=found[1])


def only_data(parts: Sequence["Part"], relative: Sequence[str]) -> list["Part"]:
    """Return the files that hold rows.

    JSON files beside another format are notes, as the datasets library writes them. Spark writes an empty
    file for a partition without rows, and a marker once everything is written.

    Args:
        parts: The files of formats that are read.
        relative: The paths of all files of the folder.
    """
    kinds = {part.kind for part in parts}
    found = [part for part in parts if part.kind != "json" or kinds == {"json"}]
    if len(found) > 1 and any(path.rsplit("/", 1)[-1] == "_SUCCESS" for path in relative):
        found = [part for part in found if part.size != 0] or found
    return found


def nothing_readable(others: Sequence[str], uri: str) -> InputError:
    """Return the error for a folder without tables and images: what lies there instead, and what to do.

    >>> nothing_readable(["cat/1.wav", "dog/2.WAV", "notes.txt"], "x").what
    "no data files in this folder, but 2 of type '.wav'"
    """
    fix = f"it should hold {readable_suffixes()}, or one sub-folder of images for each class"
    found = Counter(PurePosixPath(path.lower()).suffix for path in others)
    kind, count = found.most_common(1)[0] if found else ("", 0)
    what = "no data files in this folder"
    if count > 1:
        what += (
            f", but {count:,} of type '{kind}'" if kind else f", but {count:,} without a type in their names"
        )
        fix = _OTHER_FILES.get(kind, fix)
    return InputError(what, where=uri, fix=fix)
