"""How much memory a run may fill, written as 4GB, and how much it had."""

import ctypes
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{unit}i": 2 ** (10 * power) for power, unit in enumerate("kmgt", start=1)}
# Fifteen digits are a petabyte in bytes, and more than that are not a number that a float holds.
_SIZE = re.compile(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]i?)?b?\s*", re.IGNORECASE)

# The rest is for the system's page cache and for whoever else works on the machine.
MACHINE_SHARE = 4


def parse_size(value: object) -> object:
    """Return the bytes of a size such as `500MB`, `4 GB` or `1.5GiB`, None of an empty text; other values as they are.

    Raises:
        ValueError: Text that is not a size.

    >>> parse_size("4GB"), parse_size("1.5 GiB"), parse_size("1000")
    (4000000000, 1610612736, 1000)
    """
    if not isinstance(value, str):
        return value
    if not value:
        return None
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError("must be a size such as 500MB or 4GB")
    return round(float(match[1]) * _UNITS[(match[2] or "").lower()])


# 64 MB: below, the blocks alone do not fit.
MemorySize = Annotated[Annotated[int, Field(ge=64_000_000)] | None, BeforeValidator(parse_size)]


def read_machine_memory() -> int:
    """Return the bytes of memory of this machine, or of the container that this process is kept in (cgroup v2 or v1)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such group, or `max`: no limit
            continue
    return total


def choose_memory_budget(asked: int | None) -> int:
    """Return the bytes that a run may fill with data: what was asked for, else a quarter of the machine.

    >>> choose_memory_budget(10**9)
    1000000000
    """
    return asked if asked is not None else read_machine_memory() // MACHINE_SHARE


def reset_peak_memory() -> None:
    """Give back what is free, and start a new high-water mark of this process's resident memory, where the system can (Linux)."""
    # The allocator keeps what the step before has freed, and a long run would seem, and be, larger with every step.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def read_peak_memory() -> int:
    """Return the highest resident memory of this process since the last reset, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource  # noqa: PLC0415 (Unix only, and only needed where /proc is not)

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
