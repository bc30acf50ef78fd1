"""Checksums of what a run wrote, compared before anybody continues with it.

A disk that forgets, a hand that removes, a bit that flips: none of them is seen by whoever only opens a file.
"""

import errno
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.errors import InputError
from tasks.json_objects import read_object
from tasks.storage import hash_file, list_published, read_json

_CHECK = "check"
# People write their decisions into these, where they are.
_EDITED = ("queue.csv", "queue.xlsx")
# What networks make of the features: of the last round only, the round after removes them, and they can be had again.
_PUT_AWAY = re.compile(r"model/round-(\d+)/features-\d+\.f32")

# What tells a file that was written again from the one before: every publication makes another inode.
Stamp = tuple[int, int, int]


def read_stamps(folder: Path) -> dict[str, Stamp]:
    """Return a stamp of each finished file under `folder`, the records of steps left out."""
    found = {}
    for path in list_published(folder):
        if path.parent.name != "steps":
            status = path.stat()
            found[str(path.relative_to(folder))] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def digest_written(folder: Path, before: Mapping[str, Stamp]) -> dict[str, str]:
    """Return the SHA-256 of each file that was written since `before` was taken."""
    now = read_stamps(folder)
    return {name: hash_file(folder / name) for name in sorted(now) if now[name] != before.get(name)}


def add_check(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with a digest of itself beside it."""
    return {**entry, _CHECK: _compute_digest(entry)}


def read_entry(path: Path) -> dict[str, Any] | None:
    """Return a JSON object that `add_check` marked; None where it is missing or not what was written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "entry.json"
    >>> _ = path.write_text(json.dumps(add_check({"rows": 10})))
    >>> read_entry(path)
    {'rows': 10}
    >>> _ = path.write_text(path.read_text().replace("10", "18"))
    >>> read_entry(path) is None
    True
    """
    entry = read_object(path)
    return entry if entry.pop(_CHECK, None) == _compute_digest(entry) else None


def _compute_digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the records of the steps of a run by the step's name, without those that are not what was written."""
    found = {path.stem: read_entry(path) for path in (folder / "steps").glob("*.json")}
    return {name: entry for name, entry in found.items() if entry is not None and "place" in entry}


def are_intact(folder: Path, files: Mapping[str, str], later: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether files are as they were written, or as a later step wrote its own in their place.

    What an earlier step wrote in their place, when it had to run again, is not a substitute.

    Args:
        files: SHA-256 by name.
        later: Records of the steps that come after the one that wrote them.
    """
    written = [entry["files"] for entry in later]

    def is_intact(name: str, digest: str) -> bool:
        if not (folder / name).is_file():
            return _is_put_away(folder, name)
        return hash_file(folder / name) in {digest, *(ours[name] for ours in written if name in ours)}

    return all(is_intact(name, digest) for name, digest in files.items())


def _is_put_away(folder: Path, name: str) -> bool:
    """Return whether a file is one that the next round has put away, once it had written its own."""
    found = _PUT_AWAY.fullmatch(name)
    return found is not None and any((folder / "model" / f"round-{int(found[1]) + 1}").glob("theta-*"))


def check_complete(folder: Path, *others: str) -> None:
    """Make sure that a run whose steps are done has every file that they wrote, but what a later step puts away.

    Raises:
        FileNotFoundError: One is gone.
    """
    entries = [read_entry(path) or {} for path in sorted((folder / "steps").glob("*.json"))]
    for name in (*others, *(name for entry in entries for name in entry.get("files", ()))):
        if not (folder / name).is_file() and not _is_put_away(folder, name):
            raise FileNotFoundError(errno.ENOENT, "removed", str(folder / name))


def check_run(folder: Path, *names: str) -> None:
    """Make sure that files of a finished run are what its manifest says.

    Args:
        names: The files; without any, all that the manifest lists.

    Raises:
        InputError: One was removed or changed since.
    """
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return
    fix = "put it back from a backup, or sweep again with --force"
    try:
        listed = read_json(manifest)["files"]
        wanted = {name: listed[name]["sha256"] for name in names or listed if name in listed}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("is damaged", where=str(manifest), fix=fix) from error
    for name, digest in wanted.items():
        path = folder / name
        if not path.is_file():
            raise InputError("is missing", where=str(path), fix=fix)
        if name not in _EDITED and hash_file(path) != digest:
            raise InputError("is not what the run wrote: it was changed or damaged", where=str(path), fix=fix)


def is_run_intact(folder: Path, *names: str) -> bool:
    """Return whether a finished run has its files as they were written: all of them, or those that are named."""
    try:
        check_run(folder, *names)
    except InputError:
        return False
    return True
