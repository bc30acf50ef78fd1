"""Fits that survive a kill: all folds of a member are written down as soon as they are fitted.

The file is the one that the later steps read (`theta-<member>.safetensors`); what else a fit says of itself lies in its header.
Numbers come back bit for bit, so a run that was interrupted ends with the same bytes as one that was not.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tasks.heads.newton import Fit
from tasks.storage import as_metadata, atomic_path, said_in

NAME = "theta"


def kept_fit(folder: Path, member: int, key: str, like: Tensor, work: Callable[[], Fit]) -> Fit:
    """Return the fit of one member that lies in `folder`, if it was made from the same; otherwise make and keep it.

    Args:
        folder: Where the round keeps its parameters.
        member: Number of the member.
        key: Digest of all that the fit depends on.
        like: A tensor of the dtype and on the device that are wanted.
        work: Makes the fit.
    """
    path = folder / f"{NAME}-{member}.safetensors"
    kept = _read(path, key, like)
    if kept is not None:
        path.touch()  # the step that goes on with it is the one that answers for it
        return kept
    fit = work()
    said = {
        "gradient_norm": fit.gradient_norm.tolist(),
        "iterations": fit.iterations,
        "converged": fit.converged,
        "curve": fit.curve,
    }
    with atomic_path(path) as unpublished:
        header = {"key": key, "fit": json.dumps(said), "check": _check(fit.theta, json.dumps(said))}
        save_file({NAME: fit.theta.contiguous().cpu()}, unpublished, as_metadata(header))
    return fit


def _read(path: Path, key: str, like: Tensor) -> Fit | None:
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = said_in(file.metadata())
            if header.get("key") != key:
                return None
            stored = file.get_tensor(NAME)
    except (SafetensorError, ValueError):  # not whole: it did not come from here
        return None
    if header.get("check") != _check(stored, header["fit"]):  # a bit flipped since
        return None
    theta = stored.to(like)
    said = json.loads(header["fit"])
    return Fit(
        theta,
        theta.new_tensor(said["gradient_norm"]),
        said["iterations"],
        said["converged"],
        [(losses, norms) for losses, norms in said["curve"]],
    )


def _check(theta: Tensor, said: str) -> str:
    """Return a digest of the numbers and of what is said of them."""
    return hashlib.sha256(theta.contiguous().cpu().numpy().tobytes() + said.encode()).hexdigest()
