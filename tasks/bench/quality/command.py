"""`labelsweep bench quality`: which method finds planted label errors best, all on the same footing."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from tasks.bench.command import Out, list_of
from tasks.bench.datasets import NAMES
from tasks.bench.helpers import choose_names, split_names
from tasks.bench.quality.campaign import (
    AS_SHIPPED,
    RATES,
    judge_cell,
    list_methods,
    list_settings,
    pick_methods,
)
from tasks.bench.quality.controls import run_controls
from tasks.bench.quality.noise import KINDS
from tasks.bench.quality.real import run_real
from tasks.bench.quality.summary import make_quality_tables
from tasks.bench.tally import run_campaign
from tasks.errors import InputError

QUICK_DATA = ("digits_bundled", "wine", "iris", "breast_cancer")  # small enough for minutes
CONTROLS_DATA = ("digits", "breast_cancer", "wine")
FULL_OUT = Path("data/bench/quality.jsonl")


def run_quality(
    *,
    full: Annotated[bool, typer.Option("--full", help="the whole campaign: hours")] = False,
    controls: Annotated[
        bool, typer.Option("--controls", help="what planted controls estimate, beside the truth")
    ] = False,
    real: Annotated[
        Path | None, typer.Option(metavar="DIR", help="real errors: a folder of Parquet files with the truth")
    ] = None,
    half: Annotated[
        Literal["develop", "final", "both"] | None,
        typer.Option(help="half of the settings (default: develop; with --full both)"),
    ] = None,
    data: Annotated[str, list_of("data sets (default: small ones)")] = "",
    noise: Annotated[str, list_of("kinds of error (default: all)")] = "",
    rates: Annotated[str, typer.Option(metavar="2,20", help="shares of wrong labels in percent")] = "",
    seeds: Annotated[
        int | None, typer.Option(min=1, help="seeds for each setting (default: 2, with --full 3)")
    ] = None,
    methods: Annotated[str, list_of("methods by part of their name, or ours, peers, networks")] = "",
    out: Out = None,
    jobs: Annotated[int, typer.Option(min=1, help="processes, each with one thread")] = os.cpu_count() or 1,
) -> None:
    """Which method finds planted label errors best, all on the same footing.

    Without options: the bundled digits with the errors they ship with, then a selection of small settings, in minutes. A
    killed campaign continues from the file of --out.
    """
    if real:
        sys.stdout.write(run_real(real, half or "develop", out))
        return
    chosen = pick_methods(split_names(methods))
    if not chosen:
        known = ", ".join(method.name for method in list_methods())
        raise InputError(f"no method '{methods}'", where="--methods", fix=f"choose from: {known}")
    settings = list_settings(
        split_names(data) or (NAMES if full else CONTROLS_DATA if controls else QUICK_DATA),
        choose_names(noise, KINDS, "noise", "--noise"),
        _read_rates(rates),
    )
    wanted = half or ("both" if full or controls else "develop")
    cells = {
        f"{setting.name} seed {seed}": (setting, seed)
        for seed in range(
            seeds or (3 if full or controls else 2)
        )  # one seed of every setting before the next
        for setting in settings
        if wanted in ("both", setting.half) and (seed == 0 or setting.noise != AS_SHIPPED)
    }
    if controls:
        sys.stdout.write(run_controls(cells, out))
        return
    rows = run_campaign(
        cells,
        lambda cell, names: judge_cell(*cell, names),
        out or (FULL_OUT if full else None),
        methods=chosen,
        jobs=jobs,
    )
    sys.stdout.write(make_quality_tables(rows, details=full))


def _read_rates(text: str) -> Sequence[float]:
    try:
        return [float(rate) / 100 for rate in split_names(text)] or RATES
    except ValueError as error:
        raise InputError(f"'{text}' are not percentages", where="--rates", fix="say --rates 2,20") from error
