"""Whole folders on an object store: every file written, read back and compared, the manifest last; and the way back.

Whoever finds `manifest.json` in a folder there finds everything that it lists, whole. `runs/latest` holds the id of the newest
run, `latest/<data set>` that of a data set, `datasets/<name>/latest` its newest version. What is there already and is right is
not sent again, so a transfer that broke off is resumed where it stopped. A folder that is fetched appears here when all of it has
come and is what its manifest says.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from tasks.addresses import check_no_secret, open_address
from tasks.errors import InputError, StoreError
from tasks.runs.data_sets import LATEST
from tasks.runs.request import read_data_set_key
from tasks.storage import hash_file, make_manifest, read_json, write_json

T = TypeVar("T")

PUBLISHED = "published.json"
MANIFEST = "manifest.json"

# Stores without folders: to make one would make a bucket of a name that was mistyped.
_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
# A connection that drops is usually back within seconds; what stays away longer is for the next run, or for a person.
TRIES, PAUSE_SECONDS = 4, 0.5


def publish_run(folder: Path, address: str) -> str:
    """Copy the finished run in `folder` to `address` and return where it is.

    Args:
        folder: The run folder; its manifest says what belongs to it.
        address: Where results go: `s3://bucket/prefix`, or any address that fsspec knows.

    Raises:
        InputError: There is no such kind of address, or a package is missing to reach it.
        StoreError: It could not be written; no manifest of this run is there.
    """
    target = f"{address.rstrip('/')}/runs/{folder.name}"
    marker = folder / PUBLISHED
    if not (marker.exists() and read_json(marker) == {"address": target}):
        _publish_folder(folder, target, (folder / MANIFEST).read_bytes())
        write_there(f"{address.rstrip('/')}/runs/latest", folder.name.encode())
        write_there(f"{address.rstrip('/')}/{LATEST}/{read_data_set_key(folder)}", folder.name.encode())
        write_json({"address": target}, marker)
    return target


def publish_version(folder: Path, address: str) -> str:
    """Copy a version of a data set, `OUT/datasets/<name>/v0001`, to `address` and return where it is.

    Raises:
        InputError: Another version of this number is there.
        StoreError: It could not be written.
    """
    data_set = f"{address.rstrip('/')}/datasets/{folder.parent.name}"
    target = f"{data_set}/{folder.name}"
    manifest = make_manifest(folder)
    text = json.dumps(manifest, indent=2).encode()
    there = read_there(f"{target}/{MANIFEST}")
    if there == text:
        return target
    if there is not None and json.loads(there)["files"]["version.json"] != manifest["files"]["version.json"]:
        fix = f"remove {folder} and apply again"
        raise InputError("another version with this number has just been published", where=target, fix=fix)
    _publish_folder(folder, target, text)
    write_there(f"{data_set}/latest", folder.name.encode())
    return target


def _publish_folder(folder: Path, target: str, manifest: bytes) -> None:
    """Send the files of a folder that a manifest lists, then the manifest's bytes."""
    filesystem, root = _open_remote(target)
    for name, entry in json.loads(manifest)["files"].items():
        _retry(partial(_send, filesystem, folder / name, f"{root}/{name}", entry), f"{target}/{name}")
    write_there(f"{target}/{MANIFEST}", manifest)


def fetch_folder(target: str, folder: Path) -> bool:
    """Copy a published folder to this machine; it appears as `folder` when it is whole.

    Returns:
        Whether a whole one is there.

    Raises:
        StoreError: It could not be read; nothing appears here.
    """
    text = read_there(f"{target}/{MANIFEST}")
    if text is None:
        return False
    filesystem, root = _open_remote(target)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The same place at every try: what has come already is not fetched again.
    coming = folder.parents[1] / f".{folder.parent.name}-{folder.name}.coming"
    for name, entry in json.loads(text)["files"].items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise InputError(f"a manifest that names '{name}'", where=target, fix="publish it again")
        fetch = partial(_fetch, filesystem, f"{root}/{name}", coming / name, entry)
        _retry(fetch, f"{target}/{name}", "read")
    (coming / MANIFEST).write_bytes(text)
    if folder.exists():  # an unfinished one of the same name
        shutil.rmtree(folder)
    coming.replace(folder)
    return True


def read_there(address: str) -> bytes | None:
    """Return the bytes of a small file, None where there is none.

    Raises:
        StoreError: The store could not be asked.
    """
    filesystem, path = _open_remote(address)

    def read() -> bytes | None:
        filesystem.invalidate_cache()
        try:
            return bytes(filesystem.cat_file(path))
        except FileNotFoundError:
            _check_bucket(filesystem, path, address)
            return None

    return _retry(read, address, "read")


def write_there(address: str, content: bytes) -> None:
    """Write a file's bytes in one piece, read them back and compare.

    Raises:
        StoreError: It could not be written.
    """
    filesystem, path = _open_remote(address)

    def write() -> None:
        _make_parent(filesystem, path)
        filesystem.pipe_file(path, content)
        filesystem.invalidate_cache()
        if filesystem.cat_file(path) != content:
            raise OSError("what was read back is not what was written")

    _retry(write, address)


def list_there(address: str, pattern: str) -> list[str]:
    """Return what matches a pattern under an address, as names relative to it, in their order.

    Raises:
        StoreError: The store could not be asked.
    """
    filesystem, root = _open_remote(address.rstrip("/"))

    def search() -> list[str]:
        filesystem.invalidate_cache()
        found = sorted(path.removeprefix(f"{root}/") for path in filesystem.glob(f"{root}/{pattern}"))
        if not found:
            _check_bucket(filesystem, root, address)
        return found

    return _retry(search, address, "read")


def _open_remote(address: str) -> tuple[Any, str]:
    check_no_secret(address)
    return open_address(address)


def _check_bucket(filesystem: Any, path: str, address: str) -> None:  # noqa: ANN401 (fsspec is untyped)
    """Raise InputError where there is no such bucket, rather than no such file in it."""
    bucket = path.split("/", 1)[0]
    try:
        there = not _is_store(filesystem) or filesystem.exists(bucket)
    except PermissionError:  # who may only read under a prefix may not ask this
        return
    if not there:
        raise InputError(f"no bucket '{bucket}'", where=address, fix="check the address")


def _is_store(filesystem: Any) -> bool:  # noqa: ANN401 (fsspec is untyped)
    return bool(_STORES & {filesystem.protocol, *filesystem.protocol})


def _make_parent(filesystem: Any, path: str) -> None:  # noqa: ANN401 (fsspec is untyped)
    if not _is_store(filesystem):
        filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)


def _send(filesystem: Any, local: Path, remote: str, entry: Mapping[str, Any]) -> None:  # noqa: ANN401 (fsspec is untyped)
    """Write one file unless it is there, read it back and compare."""
    if _digest_remote(filesystem, remote, entry["bytes"]) == entry["sha256"]:
        return
    _make_parent(filesystem, remote)
    filesystem.put_file(str(local), remote)
    if _digest_remote(filesystem, remote, entry["bytes"]) != entry["sha256"]:
        raise OSError("what was read back is not what was written")


def _fetch(filesystem: Any, remote: str, local: Path, entry: Mapping[str, Any]) -> None:  # noqa: ANN401 (fsspec is untyped)
    """Read one file unless it has come already, and compare."""
    if local.exists() and hash_file(local) == entry["sha256"]:
        return
    local.parent.mkdir(parents=True, exist_ok=True)
    filesystem.get_file(remote, str(local))
    if hash_file(local) != entry["sha256"]:
        raise OSError("what came is not what the manifest says")


def _digest_remote(filesystem: Any, remote: str, size: int) -> str | None:  # noqa: ANN401 (fsspec is untyped)
    """Return the SHA-256 of a file that is there, None where there is none of that size."""
    filesystem.invalidate_cache()
    try:
        if filesystem.info(remote)["size"] != size:
            return None
    except FileNotFoundError:
        return None
    with filesystem.open(remote, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _retry(work: Callable[[], T], where: str, verb: str = "written") -> T:
    """Try again after a fault that may pass; raise StoreError if it does not."""
    for attempt in range(TRIES):
        try:
            return work()
        except InputError:
            raise
        except Exception as error:
            if attempt == TRIES - 1 or isinstance(error, PermissionError):
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                missing = "sends" if verb == "written" else "fetches"
                fix = f"check address and credentials; the same command then {missing} what is missing"
                raise StoreError(f"cannot be {verb} ({reason})", where=where, fix=fix) from error
            time.sleep(PAUSE_SECONDS * 2**attempt)
    raise AssertionError("unreachable: the last try returns or raises")
