"""The command `synthesize`, which makes data of which the truth is known."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import InputError
from tasks.terminal import write_one_line


def synthesize(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="file to write: .parquet or .csv")],
    *,
    rows: Annotated[int, typer.Option(metavar="N", help="samples")] = 10_000,
    dimension: Annotated[int, typer.Option(metavar="N", help="features")] = 2,
    mean_0: Annotated[str, typer.Option(metavar="A,B,…", help="mean of class 0 (default: zeros)")] = "",
    mean_1: Annotated[str, typer.Option(metavar="A,B,…", help="mean of class 1 (default: ones)")] = "",
    sigma: Annotated[float, typer.Option(metavar="X", help="standard deviation around the means")] = 0.2,
    flips: Annotated[float, typer.Option(metavar="X", help="share of the labels that are exchanged")] = 0.05,
    seed: Annotated[int, typer.Option(metavar="N", help="seed of all that is drawn")] = 0,
) -> None:
    """Write the two-Gaussian data set of the theory, with planted errors."""
    from tasks.synthesize import synthesize as write  # noqa: PLC0415

    means = {"mean_0": _parse_numbers("--mean-0", mean_0), "mean_1": _parse_numbers("--mean-1", mean_1)}
    path = write(out, rows=rows, dimension=dimension, sigma=sigma, flips=flips, seed=seed, **means)
    sys.stdout.write(f"{write_one_line(path)}\n")


def _parse_numbers(option: str, text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")] if text else None
    except ValueError as error:
        raise InputError(f"not numbers: '{text}'", where=option, fix="write them as 0,0.5,1") from error
