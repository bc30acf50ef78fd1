"""Where the tensors live, and in which precision."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tasks.errors import InputError

# Up to this many feature values (n x d) sums are taken in float64, which then costs little; beyond it float32
# takes a third of the time.
DOUBLE_VALUES = 50_000


def pick_device(device: str) -> torch.device:
    """Return the device of the run.

    Raises:
        InputError: `cuda` where there is none.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("no CUDA device here", where="--device cuda", fix="use --device auto or cpu")
    if not available or device == "cpu":
        return torch.device("cpu")
    # cuBLAS reads it once, when it is first used; without it torch does not vouch for the same bits.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return torch.device("cuda")


@contextmanager
def make_deterministic(device: torch.device) -> Iterator[None]:
    """Let torch take, on a GPU, the algorithms that give the same bits each time, where it has one.

    A layer of a user's network may have none: then the network is trained all the same, and a second run may differ. On the CPU
    nothing changes. Scoring does without: there each sum is one of torch's that has a fixed order anyway, and the strict form of
    a scatter takes many times as long.
    """
    if device.type != "cuda":
        yield
        return
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*deterministic", UserWarning)
            yield
    finally:
        torch.use_deterministic_algorithms(mode=before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def pick_dtype(values: int, device: torch.device) -> torch.dtype:
    """Return float64 for small data on the CPU, float32 otherwise; `values` is n x d."""
    return torch.float64 if values <= DOUBLE_VALUES and device.type == "cpu" else torch.float32
