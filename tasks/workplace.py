"""Where this machine keeps what is no result: the folders that runs work in when results go to a store."""

import hashlib
import os
from pathlib import Path


def work_folder(address: str) -> Path:
    """Return the folder in which runs work whose results go to `address`: always the same one for an address.

    It lies in the folder that `LABELSWEEP_WORK` names, or in `~/.cache/labelsweep`.

    >>> work_folder("s3://team/labels") == work_folder("s3://team/labels/")
    True
    """
    root = Path(os.environ.get("LABELSWEEP_WORK") or Path.home() / ".cache" / "labelsweep")
    return root / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:12]
