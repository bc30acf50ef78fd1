"""Where the tensors live, and in which precision."""

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
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def pick_dtype(values: int, device: torch.device) -> torch.dtype:
    """Return float64 for small data on the CPU, float32 otherwise; `values` is n x d."""
    return torch.float64 if values <= DOUBLE_VALUES and device.type == "cpu" else torch.float32
