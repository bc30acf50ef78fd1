"""How fast the audit is, beside the peers: every ratio comes from one run on one machine."""

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch

from tasks.bench.speed_parts import PARTS, Device, Row
from tasks.errors import InputError
from tasks.fit.device import pick_device
from tasks.memory import machine_memory
from tasks.storage import read_json, write_json

LEGEND = (
    "Times are seconds on the wall, in brackets those of the processor over all threads; ratios likewise."
)
MOST = 1_000_000


def main(argv: list[str] | None = None) -> None:
    """Run the benchmark with command line arguments and print its tables as markdown.

    Raises:
        InputError: A part or the device does not exist.
    """
    parser = argparse.ArgumentParser(prog="labelsweep bench speed", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="which to run: " + ", ".join(PARTS))
    parser.add_argument("--most", type=int, default=MOST, metavar="N", help="samples of the largest data set")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="where tensors live"
    )
    parser.add_argument("--out", type=Path, help="JSON file with finished parts, which are not run again")
    options = parser.parse_args(argv)
    wanted = [part.strip() for part in options.parts.split(",")]
    unknown = [part for part in wanted if part not in PARTS]
    if unknown or options.most < 1_000:
        what = f"no part '{unknown[0]}'" if unknown else "too few samples to measure"
        raise InputError(
            what, where="--parts" if unknown else "--most", fix="see labelsweep bench speed --help"
        )
    kind: Device = "cuda" if pick_device(options.device).type == "cuda" else "cpu"
    sys.stdout.write(f"# Speed\n\n{LEGEND}\n{machine(kind)}\n\n")
    for part in wanted:
        sys.stdout.write(_markdown(PARTS[part][0], _rows(part, options.most, kind, options.out)))
        sys.stdout.flush()


def _rows(part: str, most: int, device: Device, out: Path | None) -> list[Row]:
    """Run a part, or return what an earlier run of it kept."""
    kept = read_json(out) if out is not None and out.exists() else {}
    key = f"{part} up to {most} on {device}"
    if key not in kept:
        rows = []
        for row in PARTS[part][1](most, device):
            rows.append(row)
            sys.stderr.write(f"{part}: {' | '.join(row)}\n")
            sys.stderr.flush()
        kept[key] = rows
        if out is not None:
            write_json(json.loads(json.dumps(kept)), out)
    rows_kept: list[Row] = kept[key]
    return rows_kept


def _markdown(title: str, rows: list[Row]) -> str:
    """Return a table, its first row the head.

    >>> print(_markdown("Times", [["n", "s"], ["1", "2"]]))
    ## Times
    <BLANKLINE>
    | n | s |
    |---|---|
    | 1 | 2 |
    <BLANKLINE>
    <BLANKLINE>
    """
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([f"## {title}", "", head, "|" + "---|" * len(rows[0]), *body, "", ""])


def machine(device: Device = "cpu") -> str:
    """Return the versions and the kind of machine, for the head of a table."""
    names = ("torch", "pyDVL", "scikit-learn")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    gpu = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    return (
        f"{gpu}{os.cpu_count()} cores, {round(machine_memory() / 2**30)} GiB, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, {versions}"
    )
