"""Which version of a data set a run swept, and which source its versions began with."""

import re
from pathlib import Path
from typing import Any

from tasks.storage import read_json

_VERSION_FILE = re.compile(r".*/datasets/([^/]+)/(v\d{4,})/dataset\.parquet")


def find_swept_version(run: Path, uri: str) -> Path | None:
    """Return the folder of the version that a run swept; None where it swept no version.

    Args:
        run: The run folder; versions on an object store are beside it once they are fetched.
    """
    folder = Path(uri).parent
    if "://" in uri:
        found = _VERSION_FILE.fullmatch(uri)
        folder = run.parents[1] / "datasets" / found[1] / found[2] if found else Path()
    elif Path(uri).name != "dataset.parquet":
        return None
    return folder if (folder / "version.json").is_file() and (folder / "dataset.parquet").is_file() else None


def read_lineage(version: Path) -> dict[str, Any]:
    """Return what a version says of itself."""
    return dict(read_json(version / "version.json"))


def find_origin(run: Path, version: Path) -> str:
    """Return the source that was swept first, on the way to a version."""
    uri = str(read_lineage(version)["source_uri"])
    before = find_swept_version(run, uri)
    return find_origin(run, before) if before else uri
