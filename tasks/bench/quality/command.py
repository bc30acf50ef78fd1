"""`labelsweep bench quality`: which method finds planted label errors best, all on the same footing."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tasks.bench.command import Out, Page, count_of, list_of
from tasks.bench.datasets import NAMES
from tasks.bench.helpers import choose_names, split_names
from tasks.bench.quality import campaign
from tasks.bench.quality import controls as planted_controls
from tasks.bench.quality import real as real_errors
from tasks.bench.quality.noise import KINDS
from tasks.bench.quality.summary import make_quality_tables
from tasks.bench.tables import publish_tables
from tasks.bench.tally import ResultFile
from tasks.errors import InputError

BUNDLED = "digits_bundled"
FULL_DATA = tuple(name for name in NAMES if name != BUNDLED)
QUICK_DATA = ("wine", "iris", "breast_cancer")  # small enough for minutes
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
        _run_real(real, half, ResultFile(out), markdown)
        return
    default = (*FULL_DATA, BUNDLED) if full else CONTROLS_DATA if controls else (BUNDLED, *QUICK_DATA)
    wanted = half or ("both" if full or controls else "develop")
    grid = tuple(s for s in _grid(data, default, noise, rates) if wanted in ("both", s.half))
    chosen = tuple(method.name for method in campaign.pick_methods(tuple(split_names(methods))))
    if not chosen:
        known = ", ".join(method.name for method in campaign.list_methods())
        raise InputError(f"no method '{methods}'", where="--methods", fix=f"choose from: {known}")
    if seeds < 0 or jobs < 1:
        raise InputError(
            "seeds and jobs are counts", where="--seeds, --jobs", fix="give whole numbers from 1"
        )
    seeds = seeds or (FULL_SEEDS if full or controls else QUICK_SEEDS)
    judge: campaign.Judge = campaign.judge_cell
    if controls:
        grid = tuple(setting for setting in grid if setting.noise != campaign.AS_SHIPPED)
        chosen, jobs, judge = (planted_controls.METHOD,), 1, planted_controls.judge_controls
    results = ResultFile(out or (FULL_OUT if full and not controls else None))
    if redo:
        redone = {method.name for method in campaign.pick_methods(tuple(split_names(redo)))}
        results.forget(lambda row: row["method"] in redone)
    for line in campaign.run_campaign(grid, seeds, chosen, results, jobs, judge):
        sys.stderr.write(line + "\n")
    names = {setting.name for setting in grid}
    rows = [r for r in results.rows if r["setting"] in names and r["method"] in chosen and r["seed"] < seeds]
    publish_tables(
        planted_controls.make_control_tables(rows) if controls else make_quality_tables(rows, details=full),
        markdown,
    )


def _run_real(folder: Path, half: str | None, results: ResultFile, page: Path | None) -> None:
    for line in real_errors.run_real(folder, half, results):
        sys.stderr.write(line + "\n")
    names = {path.stem for path in real_errors.list_files(folder, half)}
    publish_tables(
        real_errors.make_real_tables([row for row in results.rows if row["setting"] in names]), page
    )


def _grid(data: str, default: tuple[str, ...], noise: str, rates: str) -> tuple[campaign.Setting, ...]:
    chosen = choose_names(noise, KINDS, "noise", "--noise")
    try:
        shares = tuple(float(rate) / 100 for rate in split_names(rates))
    except ValueError as error:
        raise InputError(f"'{rates}' are not percentages", where="--rates", fix="say --rates 2,20") from error
    kinds = [kind for kind in KINDS if kind in chosen]
    return campaign.list_settings(split_names(data) or default, kinds, shares or campaign.RATES)
