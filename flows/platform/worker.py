"""Where the results of a flow run on a worker go: never into the temporary folder in which a worker runs flows."""

import os
from collections.abc import Callable
from pathlib import Path

from prefect.runtime import deployment

from tasks.addresses import OUT_VARIABLE
from tasks.errors import InputError


def is_fixed_place(out: str) -> bool:
    """Return whether results that are called so are at the same place whatever folder a process works in."""
    return "://" in out or Path(out).is_absolute()


def choose_worker_results(out: str, say: Callable[[str], None]) -> str:
    """Return where the results of this flow run go.

    A worker starts each flow run in a temporary folder and removes it afterwards. There a relative folder stands for the
    worker's own setting. A flow that a person calls has the folder that they named.

    Args:
        out: What the run was asked for; it may be empty.
        say: Told where the worker's setting decides.

    Raises:
        InputError: The worker has no setting.
    """
    if is_fixed_place(out) or deployment.id is None:
        return out
    setting = os.environ.get(OUT_VARIABLE, "")
    if not is_fixed_place(setting):
        raise InputError(
            f"'{out or '.'}' would be in the worker's temporary folder, and be removed with it",
            where="out",
            fix=f"set {OUT_VARIABLE} to a folder (/srv/labelsweep) or an address (s3://bucket/prefix) where the worker "
            "starts, or give such an out with the run's parameters",
        )
    say(f"results go to {setting}, which {OUT_VARIABLE} names on this worker")
    return setting
