"""Fits that survive a kill: all folds of a member are written down as soon as they are fitted.

The file is the one that the later steps read (`theta-<member>.safetensors`).
"""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from tasks.heads.newton import Fit
from tasks.runs.parts import load_part, save_part

NAME = "theta"


def load_kept_fit(folder: Path, member: int, key: str, like: Tensor, work: Callable[[], Fit]) -> Fit:
    """Return the fit of one member that is in `folder`, if it was made from the same; otherwise make and keep it.

    Args:
        key: Digest of all that the fit depends on.
        like: A tensor of the dtype and on the device that are wanted.
    """
    path = folder / f"{NAME}-{member}.safetensors"
    if part := load_part(path, key):
        path.touch()  # the step that continues with it is the one that answers for it
        theta, said = part[0][NAME].to(like), part[1]
        curve = [(losses, norms) for losses, norms in said["curve"]]
        norm = theta.new_tensor(said["gradient_norm"])
        return Fit(theta, norm, said["iterations"], said["converged"], curve)
    fit = work()
    about = {
        "gradient_norm": fit.gradient_norm.tolist(),
        "iterations": fit.iterations,
        "converged": fit.converged,
        "curve": fit.curve,
    }
    save_part(path, key, {NAME: fit.theta}, about)
    return fit
