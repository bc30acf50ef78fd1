"""How fast the audit is, beside the peers: every ratio comes from one run on one machine."""

import sys
from collections.abc import Iterator
from typing import Annotated

import torch

from tasks.bench.command import Device, Out, count_of, list_of
from tasks.bench.helpers import choose_names
from tasks.bench.speed import gpu as _gpu_parts  # noqa: F401 (registers them)
from tasks.bench.speed.parts import PARTS, SpeedTable
from tasks.bench.tables import describe_setup, format_table
from tasks.bench.tally import ResultFile, Row, run_campaign
from tasks.errors import InputError
from tasks.heads.device import pick_device
from tasks.memory import read_machine_memory

BY_DEFAULT = [name for name, part in PARTS.items() if part.by_default]
LEGEND = (
    "Times are seconds on the wall, in brackets those of the processor over all threads; ratios likewise."
)


def run_speed(
    *,
    parts: Annotated[
        str, list_of(f"which to run (default: up to {BY_DEFAULT[-1]}): {', '.join(PARTS)}")
    ] = "",
    most: Annotated[int, count_of("samples of the largest data set")] = 1_000_000,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """How fast the audit is, beside the peers: every ratio comes from one run on one machine."""
    wanted = choose_names(parts, PARTS, "part", "--parts") if parts else BY_DEFAULT
    if most < 1_000:
        raise InputError("too few samples to measure", where="--most", fix="give at least 1000")
    kind: Device = "cuda" if pick_device(device).type == "cuda" else "cpu"
    sys.stdout.write(f"# Speed\n\n{LEGEND}\n{describe_versions(kind)}\n\n")
    results = ResultFile(out)
    for name in wanted:
        part = PARTS[name]
        cases = {f"{name} up to {most} on {kind}": part}
        rows = run_campaign(cases, lambda part, _: _measure(part, most, kind), results)
        table = format_table(part.heads, [row["cells"] for row in rows], title=part.title)
        sys.stdout.write(table + "\n")
        sys.stdout.flush()


def _measure(part: SpeedTable, most: int, device: Device) -> Iterator[Row]:
    """Yield the rows of a part; say each as it is measured."""
    for row in part.measure(most, device):
        cells = [str(cell) for cell in row]
        sys.stderr.write(f"{' | '.join(cells)}\n")
        yield {"cells": cells}


def describe_versions(device: Device = "cpu") -> str:
    """Return the versions and the kind of machine, for the head of a table."""
    gpu = f", {torch.cuda.get_device_name()}" if device == "cuda" else ""
    memory = f"{round(read_machine_memory() / 2**30)} GiB, {torch.get_num_threads()} threads"
    return f"{describe_setup('torch', 'pyDVL', 'scikit-learn')}, {memory}{gpu}"
