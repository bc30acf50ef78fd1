"""Finished parts of a step on disk: tensors of which a resumed step takes up those that were made from the same.

Numbers come back bit for bit, so a run that was interrupted ends with the same bytes as one that was not. The files are
safetensors, never a pickle: reading a run folder cannot run code.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tasks.storage import make_metadata, open_atomically, parse_metadata


def save_part(path: Path, key: str, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write a finished part.

    Args:
        path: The file, which later steps may read as well.
        key: Digest of all that the part depends on.
        about: What else there is to say of it, as JSON holds it.
    """
    # Copies, as safetensors takes no two names for one memory.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {"key": key, "about": json.dumps(about)}
    header["check"] = _compute_digest(plain, header["about"])
    with open_atomically(path) as unpublished:
        save_file(plain, unpublished, make_metadata(header))


def load_part(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the tensors of a part and what is said of it; None where there is none of this key, or it is damaged."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = parse_metadata(file.metadata())
            if header.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, ValueError):  # not whole: it did not come from here
        return None
    if header.get("check") != _compute_digest(tensors, header["about"]):  # a bit flipped since
        return None
    return tensors, json.loads(header["about"])


def _compute_digest(tensors: Mapping[str, Tensor], about: str) -> str:
    found = hashlib.sha256(about.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode() + tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
