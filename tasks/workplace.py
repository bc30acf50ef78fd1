"""Where this machine keeps what is no result: the folders that runs work in when results go to a store, and tracebacks."""

import hashlib
import os
from pathlib import Path


def work_root() -> Path:
    """Return the folder that `LABELSWEEP_WORK` names, or `~/.cache/labelsweep`."""
    return Path(os.environ.get("LABELSWEEP_WORK") or Path.home() / ".cache" / "labelsweep")


def work_folder(address: str) -> Path:
    """Return the folder in which runs work whose results go to `address`: always the same one for an address.

    >>> work_folder("s3://team/labels") == work_folder("s3://team/labels/")
    True
    """
    return work_root() / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:12]
