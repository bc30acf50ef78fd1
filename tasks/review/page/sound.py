"""Sounds beside the samples: files that a column names, played by the browser's own element."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tasks.errors import InputError, list_names

# What browsers play, by the ending of the file. Nothing else is served, whatever a column names.
TYPES: Final = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
}


def find_sound_folder(column: str, columns: Sequence[str], source: str, folder: Path | None) -> Path:
    """Return the folder that the paths of a column of sounds start from.

    Args:
        folder: The user's; None for the folder of the source.

    Raises:
        InputError: There is no such column or folder.
    """
    if column not in columns:
        fix = f"choose one of: {list_names(columns)}"
        raise InputError(f"no column {column!r} beside the features", where="--audio", fix=fix)
    place = folder or (Path(source) if Path(source).is_dir() else Path(source).parent)
    if ("://" in source and folder is None) or not place.is_dir():
        raise InputError("no folder of sounds", where=str(place), fix="name it with --audio-folder")
    return place.resolve()


def find_sound(folder: Path, name: str) -> Path | None:
    """Return the file of a sound within the folder; None where no such file may be served."""
    try:
        path = (folder / name).resolve()
        is_there = path.is_file()
    except (OSError, ValueError):  # no name that a file can have
        return None
    return path if is_there and path.suffix.lower() in TYPES and path.is_relative_to(folder) else None
