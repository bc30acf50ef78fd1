"""Files whose names a table writes otherwise than the disk: in another case (Windows), or with accents apart (macOS)."""

import os
import unicodedata
from collections import defaultdict
from functools import lru_cache
from pathlib import Path


def as_on_disk(folder: str, name: str) -> str | None:
    """Return a path below a local folder as the disk spells it; None where no file or more than one is meant.

    Args:
        folder: The folder.
        name: The path, with slashes.
    """
    place = Path(folder)
    for step in filter(None, name.split("/")):
        if not os.path.lexists(place / step):
            if not place.is_dir():
                return None
            found = _names(place, place.stat().st_mtime_ns).get(_folded(step), ())
            if len(found) != 1:
                return None
            place /= found[0]
        else:
            place /= step
    return place.relative_to(folder).as_posix()


# A table names files of a few folders, one after another.
@lru_cache(maxsize=64)
def _names(folder: Path, changed: int) -> dict[str, tuple[str, ...]]:  # noqa: ARG001 (a folder that changed is read again)
    found = defaultdict(list)
    for path in folder.iterdir():
        found[_folded(path.name)].append(path.name)
    return {key: tuple(names) for key, names in found.items()}


def _folded(name: str) -> str:
    """Return what two spellings of a name share.

    >>> _folded("Ka\u0308se.JPG") == _folded("k\u00e4se.jpg")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
