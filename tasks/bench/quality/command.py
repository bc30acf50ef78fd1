"""`labelsweep bench quality`: which method finds planted label errors best, all on the same footing."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from tasks.bench.command import Out, Page, count_of, list_of
from tasks.bench.datasets import NAMES
from tasks.bench.helpers import choose_names, split_names
from tasks.bench.quality.campaign import (
    AS_SHIPPED,
    RATES,
    Setting,
    judge_cell,
    list_methods,
    list_settings,
    pick_methods,
)
from tasks.bench.quality.controls import run_controls
from tasks.bench.quality.noise import KINDS
from tasks.bench.quality.real import run_real
from tasks.bench.quality.summary import make_quality_tables
from tasks.bench.tables import publish_tables
from tasks.bench.tally import ResultFile, run_campaign
from tasks.errors import InputError

BUNDLED = "digits_bundled"
FULL_DATA = tuple(name for name in NAMES if name != BUNDLED)
QUICK_DATA = (BUNDLED, "wine", "iris", "breast_cancer")  # small enough for minutes
CONTROLS_DATA = ("digits", "breast_cancer", "wine")
QUICK_SEEDS, FULL_SEEDS = 2, 3
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
    seeds: Annotated[int, count_of("seeds for each setting (default: 2, with --full 3)")] = 0,
    methods: Annotated[str, list_of("methods by part of their name, or ours, peers, networks")] = "",
    redo: Annotated[str, list_of("methods whose kept results are computed again")] = "",
    out: Out = None,
    markdown: Page = None,
    jobs: Annotated[int, count_of("processes, each with one thread")] = os.cpu_count() or 1,
) -> None:
    """Which method finds planted label errors best, all on the same footing.

    Without options: the bundled digits with the errors they ship with, then a selection of small settings, in minutes. A
    killed campaign continues from the file of --out.
    """
    if real:
        publish_tables(run_real(real, half, ResultFile(out)), markdown)
        return
    if seeds < 0 or jobs < 1:
        raise InputError(
            "seeds and jobs are counts", where="--seeds, --jobs", fix="give whole numbers from 1"
        )
    chosen = pick_methods(split_names(methods))
    if not chosen:
        known = ", ".join(method.name for method in list_methods())
        raise InputError(f"no method '{methods}'", where="--methods", fix=f"choose from: {known}")
    settings = list_settings(
        split_names(data) or ((*FULL_DATA, BUNDLED) if full else CONTROLS_DATA if controls else QUICK_DATA),
        choose_names(noise, KINDS, "noise", "--noise"),
        _read_rates(rates),
    )
    wanted = half or ("both" if full or controls else "develop")
    grid = [setting for setting in settings if wanted in ("both", setting.half)]
    cells = _list_cells(grid, seeds or (FULL_SEEDS if full or controls else QUICK_SEEDS))
    if controls:
        publish_tables(run_controls(cells, ResultFile(out)), markdown)
        return
    results = ResultFile(out or (FULL_OUT if full else None))
    if redo:
        redone = pick_methods(split_names(redo))
        results.forget(lambda row: row["method"] in redone)
    rows = run_campaign(
        cells, lambda cell, names: judge_cell(*cell, names), results, methods=chosen, jobs=jobs
    )
    publish_tables(make_quality_tables(rows, details=full), markdown)


def _read_rates(text: str) -> Sequence[float]:
    try:
        return [float(rate) / 100 for rate in split_names(text)] or RATES
    except ValueError as error:
        raise InputError(f"'{text}' are not percentages", where="--rates", fix="say --rates 2,20") from error


def _list_cells(grid: Sequence[Setting], seeds: int) -> dict[str, tuple[Setting, int]]:
    """Return the cells, one seed of every setting before the next; what ships with its errors has one seed."""
    return {
        f"{setting.name} seed {seed}": (setting, seed)
        for seed in range(seeds)
        for setting in grid
        if seed == 0 or setting.noise != AS_SHIPPED
    }
