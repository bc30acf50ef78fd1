"""The commands for developers: `bench`, and `synthesize`, which makes data of which the truth is known."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import InputError
from tasks.terminal import one_line

BENCHMARKS = {
    "digests": "SHA-256 of what small runs compute, to compare before and after a change of the code",
    "faults": "runs killed at random moments, and what was lost",
    "inputs": "mixed tables and texts from the raw file, beside the peers",
    "quality": "how well the wrong labels are found, beside the peers",
    "review": "what looking at samples buys, in the order of our queue and of others",
    "scale": "what a larger run will cost: a model held against a run of ten million rows",
    "speed": "how fast it is, beside the peers",
    "theory": "two Gaussians with planted errors, beside pyDVL's own solvers",
}


def bench(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help=" | ".join(f"{key}: {text}" for key, text in BENCHMARKS.items())),
    ],
) -> None:
    """Run a benchmark, side by side with the peers; what follows NAME is passed on to it."""
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark '{name}'", fix=f"choose one of: {', '.join(BENCHMARKS)}")
    from tasks.bench.command import main  # noqa: PLC0415

    try:
        main([name, *context.args])
    except ModuleNotFoundError as error:  # peers are imported where they are run
        raise InputError(
            f"benchmark '{name}' needs {error.name}", fix="pip install 'labelsweep[bench]'"
        ) from error


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

    means = {"mean_0": _numbers("--mean-0", mean_0), "mean_1": _numbers("--mean-1", mean_1)}
    path = write(out, rows=rows, dimension=dimension, sigma=sigma, flips=flips, seed=seed, **means)
    sys.stdout.write(f"{one_line(path)}\n")


def _numbers(option: str, text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")] if text else None
    except ValueError as error:
        raise InputError(f"not numbers: '{text}'", where=option, fix="write them as 0,0.5,1") from error
