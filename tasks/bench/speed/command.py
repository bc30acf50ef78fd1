"""How fast the audit is, beside the peers: every ratio comes from one run on one machine."""

import sys
from collections.abc import Iterator
from typing import Annotated

import pandas as pd
import torch
import typer

from tasks.bench.command import Device, Out, list_of
from tasks.bench.helpers import choose_names
from tasks.bench.speed import gpu, parts
from tasks.bench.speed.parts import Measure
from tasks.bench.tables import describe_setup, format_table
from tasks.bench.tally import Row, run_campaign
from tasks.heads.device import pick_device
from tasks.memory import read_machine_memory

# The docstring of a part is the title of its table.
BY_DEFAULT = (
    *(parts.cleanlab, parts.pydvl, parts.kronfluence, parts.passes, parts.adamw, parts.growth, parts.classes),
    *(parts.solvers, parts.phases, parts.knobs, parts.sampling, parts.workers),
)
PARTS = {part.__name__: part for part in (*BY_DEFAULT, gpu.encoders, gpu.files, gpu.audits)}
LEGEND = (
    "Times are seconds on the wall, in brackets those of the processor over all threads; ratios likewise."
)


def run_speed(
    *,
    parts: Annotated[str, list_of(f"which to run (default: up to workers): {', '.join(PARTS)}")] = "",
    most: Annotated[int, typer.Option(min=1_000, help="samples of the largest data set")] = 1_000_000,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """How fast the audit is, beside the peers: every ratio comes from one run on one machine."""
    wanted = choose_names(parts, PARTS, "part", "--parts") if parts else [p.__name__ for p in BY_DEFAULT]
    kind: Device = "cuda" if pick_device(device).type == "cuda" else "cpu"
    sys.stdout.write(f"# Speed\n\n{LEGEND}\n{describe_versions(kind)}\n\n")
    for name in wanted:
        case = {f"{name} up to {most} on {kind}": PARTS[name]}
        rows = run_campaign(case, lambda part, _: _measure(part, most, kind), out)
        table = pd.DataFrame(rows).drop(columns="case")
        title = str(PARTS[name].__doc__).rstrip(".")
        sys.stdout.write(format_table(list(table), table.to_numpy().tolist(), title=title) + "\n")
        sys.stdout.flush()


def _measure(part: Measure, most: int, device: Device) -> Iterator[Row]:
    """Yield the rows of a part; say each as it is measured."""
    for row in part(most, device):
        cells = {head: str(cell) for head, cell in row.items()}
        sys.stderr.write(f"{' | '.join(cells.values())}\n")
        yield cells


def describe_versions(device: Device = "cpu") -> str:
    """Return the versions and the kind of machine, for the head of a table."""
    gpu_name = f", {torch.cuda.get_device_name()}" if device == "cuda" else ""
    memory = f"{round(read_machine_memory() / 2**30)} GiB, {torch.get_num_threads()} threads"
    return f"{describe_setup('torch', 'pyDVL', 'scikit-learn')}, {memory}{gpu_name}"
