"""A finished run on an object store: every file written, read back and compared, the manifest last.

Whoever finds `runs/<run_id>/manifest.json` there finds everything that it lists, whole. `runs/latest` holds the id of the newest
run. What is there already and is right is not sent again, so a transfer that broke off goes on where it stopped.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from tasks.errors import InputError, LabelsweepError
from tasks.storage import read_json, write_json

T = TypeVar("T")

PUBLISHED = "published.json"
MANIFEST = "manifest.json"

# Stores without folders: to make one would make a bucket of a name that was mistyped.
STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}

# A connection that drops is usually back within seconds; what stays away longer is for the next run, or for a person.
TRIES, PAUSE_SECONDS = 4, 0.5
_BLOCK = 2**22


def publish_run(folder: Path, address: str) -> str:
    """Copy the finished run in `folder` to `address` and return where it is.

    Args:
        folder: The run folder; its manifest says what belongs to it.
        address: Where results go: `s3://bucket/prefix`, or any address that fsspec knows.

    Raises:
        InputError: There is no such kind of address, or a package is missing to reach it.
        LabelsweepError: It could not be written; no manifest of this run is there.
    """
    target = f"{address.rstrip('/')}/runs/{folder.name}"
    marker = folder / PUBLISHED
    if marker.exists() and read_json(marker) == {"address": target}:
        return target
    filesystem, root = _reach(target)
    manifest = read_json(folder / MANIFEST)
    for name, entry in manifest["files"].items():
        _insist(partial(_send, filesystem, folder / name, f"{root}/{name}", entry), f"{target}/{name}")
    text = (folder / MANIFEST).read_bytes()
    entry = {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    _insist(
        partial(_send, filesystem, folder / MANIFEST, f"{root}/{MANIFEST}", entry), f"{target}/{MANIFEST}"
    )
    latest = f"{root.rsplit('/', 1)[0]}/latest"
    _insist(partial(filesystem.pipe_file, latest, folder.name.encode()), latest)
    write_json({"address": target}, marker)
    return target


def _reach(address: str) -> tuple[Any, str]:
    try:
        filesystem, root = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise InputError(
            f"a package is missing to reach it ({error})", where=address, fix="pip install 'labelsweep[s3]'"
        ) from error
    except ValueError as error:
        raise InputError(
            f"unknown kind of address ({error})", where=address, fix="write it as s3://bucket/prefix"
        ) from error
    return filesystem, root


def _send(filesystem: Any, local: Path, remote: str, entry: Mapping[str, Any]) -> None:  # noqa: ANN401 (fsspec is untyped)
    """Write one file unless it is there, read it back and compare.

    Raises:
        OSError: What is there is not what was sent.
    """
    if _digest(filesystem, remote, entry["bytes"]) == entry["sha256"]:
        return
    if not STORES & {filesystem.protocol, *filesystem.protocol}:
        filesystem.makedirs(remote.rsplit("/", 1)[0], exist_ok=True)
    filesystem.put_file(str(local), remote)
    filesystem.invalidate_cache()
    if _digest(filesystem, remote, entry["bytes"]) != entry["sha256"]:
        raise OSError("what was read back is not what was written")


def _digest(filesystem: Any, remote: str, size: int) -> str | None:  # noqa: ANN401 (fsspec is untyped)
    """Return the SHA-256 of a file that is there, None where there is none of that size."""
    try:
        if filesystem.info(remote, refresh=True)["size"] != size:
            return None
    except (FileNotFoundError, TypeError):
        if not filesystem.exists(remote) or filesystem.size(remote) != size:
            return None
    digest = hashlib.sha256()
    with filesystem.open(remote, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _insist(work: Callable[[], T], where: str) -> T:
    """Try again after a fault that may pass.

    Raises:
        LabelsweepError: It did not.
    """
    for attempt in range(TRIES):
        try:
            return work()
        except Exception as error:
            if attempt == TRIES - 1:
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                raise LabelsweepError(
                    f"cannot be written ({reason})",
                    where=where,
                    fix="check address and credentials; the same command then sends what is missing",
                ) from error
            time.sleep(PAUSE_SECONDS * 2**attempt)
    raise AssertionError("unreachable: the last try returns or raises")
