"""`labelsweep bench quality`: which method finds planted label errors best, all on the same footing.

Without options: the bundled digits with the errors they ship with, then a selection of small settings, in
minutes. `--full` is the whole campaign. With `--out` every result is kept as it is made, and a killed
campaign continues from there.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.bench import table
from tasks.bench.campaign import (
    AS_SHIPPED,
    RATES,
    Results,
    Row,
    Setting,
    every_method,
    methods,
    run,
    settings,
)
from tasks.bench.datasets import NAMES
from tasks.bench.noise import KINDS
from tasks.bench.ours import DEFAULT
from tasks.errors import InputError
from tasks.storage import write_text

BUNDLED = "digits_bundled"
FULL_DATA = tuple(name for name in NAMES if name != BUNDLED)
QUICK_DATA = ("wine", "iris", "breast_cancer")  # small enough for minutes
CONTROLS_DATA = ("digits", "breast_cancer", "wine")
QUICK_SEEDS, FULL_SEEDS = 2, 3
LEGEND = """\
Figures are means over settings of the mean over seeds, ± the deviation between the seeds of a setting. A
method wins a setting where its mean lead over the seeds is above one standard error, ties within one.
"Suggested right": share of the wrong labels whose suggested label is the true one. "Review for 95 %": share
of the data to review, in queue order, for 95 % of the clean-test accuracy that correcting everything gains,
where it gains any. The class that `swamped` errors hit is full at 45 %: rates beyond that are the same
setting and run once.
"""
FULL_OUT = Path("data/bench/quality.jsonl")


def main(argv: list[str] | None = None) -> None:
    """Run the benchmark with command line arguments and print its tables as markdown.

    Raises:
        InputError: An option names a data set, kind of error or method that does not exist.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if "--inputs" in arguments:
        from tasks.bench.inputs import main as inputs  # noqa: PLC0415 (a suite of its own, with options of its own)

        inputs([argument for argument in arguments if argument != "--inputs"])
        return
    options = _parser().parse_args(arguments)
    grid = _grid(options)
    chosen = tuple(method.name for method in methods(_names(options.methods)))
    if not chosen:
        known = ", ".join(method.name for method in every_method())
        raise InputError(f"no method '{options.methods}'", where="--methods", fix=f"choose from: {known}")
    if options.controls:
        _controls(options, grid)
        return
    if options.seeds < 0 or options.jobs < 1:
        raise InputError(
            "seeds and jobs are counts", where="--seeds, --jobs", fix="give whole numbers from 1"
        )
    results = Results(options.out or (FULL_OUT if options.full else None))
    if options.redo:
        results.forget(method.name for method in methods(_names(options.redo)))
    seeds = options.seeds or (FULL_SEEDS if options.full else QUICK_SEEDS)
    for line in run(grid, seeds, chosen, results, options.jobs):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    names = {setting.name for setting in grid}
    rows = [r for r in results.rows if r["setting"] in names and r["method"] in chosen and r["seed"] < seeds]
    text = document(rows, details=options.full)
    sys.stdout.write(text)
    if options.markdown:
        write_text(text, options.markdown)


def _controls(options: argparse.Namespace, grid: tuple[Setting, ...]) -> None:
    """Run the table of the planted controls."""
    from tasks.bench import controls  # noqa: PLC0415 (imports torch)

    results = Results(options.out)
    for line in controls.run_controls(grid, options.seeds or FULL_SEEDS, results):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    names = {setting.name for setting in grid}
    text = controls.document([row for row in results.rows if row["setting"] in names])
    sys.stdout.write(text)
    if options.markdown:
        write_text(text, options.markdown)


def document(rows: Sequence[Row], *, details: bool) -> str:
    """Return the tables of result rows: the bundled data, then the planted errors, each half apart.

    Args:
        rows: Result rows, as in the JSON lines file.
        details: Whether to break the figures down by kind of error, rate, data set and setting.
    """
    parts: list[str] = []
    bundled = [row for row in rows if row["noise"] == AS_SHIPPED]
    planted = [row for row in rows if row["noise"] != AS_SHIPPED]
    if bundled:
        parts += [
            f"## The bundled digits, {_extent(bundled)}\n",
            table.overview(table.measured(bundled), DEFAULT),
        ]
    titles = {"develop": "the half to develop on", "final": "the half looked at last"}
    for half, title in titles.items():
        part = [row for row in planted if row["half"] == half]
        if part:
            parts += [f"## Planted errors, {title}: {_extent(part)}\n", *_tables(part, details=details)]
    if len({row["half"] for row in planted}) > 1:
        parts += [f"## Planted errors, both halves: {_extent(planted)}\n", *_tables(planted, details=details)]
    if missing := table.failures(rows):
        parts += ["## No result\n", missing]
    if changed := _changed(rows):
        parts += [f"Made by another version of the code than this one, see --redo: {'; '.join(changed)}.\n"]
    parts.append(LEGEND)
    return "\n".join(parts)


def _tables(rows: Sequence[Row], *, details: bool) -> list[str]:
    frame = table.measured(rows)
    parts = [table.overview(frame, DEFAULT), table.verdict(frame, DEFAULT)]
    if details:
        for by, title in (("noise", "kind of error"), ("rate", "share of errors"), ("data", "data set")):
            parts += [f"### AP by {title}\n", table.breakdown(frame, by)]
        parts += ["### F1 by kind of error\n", table.breakdown(frame, "noise", "f1")]
        parts += ["### Setting by setting\n", table.by_setting(frame, DEFAULT)]
    return parts


def _changed(rows: Sequence[Row]) -> list[str]:
    """Return the methods whose kept results are not all from the version that would run now."""
    current = {method.name: method.version for method in every_method()}
    return sorted({row["method"] for row in rows if row["version"] != current.get(row["method"])})


def _extent(rows: Sequence[Row]) -> str:
    settings_count, seeds = len({row["setting"] for row in rows}), len({row["seed"] for row in rows})
    if settings_count == 1:
        return f"{rows[0]['errors']} of {rows[0]['samples']} labels wrong"
    return f"{settings_count} settings, {seeds} seeds"


def _grid(options: argparse.Namespace) -> tuple[Setting, ...]:
    data = _names(options.data) or _default_data(options)
    if unknown := [name for name in _names(options.noise) if name not in KINDS]:
        raise InputError(f"no noise '{unknown[0]}'", where="--noise", fix=f"choose from: {', '.join(KINDS)}")
    kinds = tuple(kind for kind in KINDS if not options.noise or kind in _names(options.noise))
    try:
        rates = tuple(float(rate) / 100 for rate in _names(options.rates))
    except ValueError as error:
        raise InputError(
            f"'{options.rates}' are not percentages", where="--rates", fix="say --rates 2,20"
        ) from error
    half = options.half or ("both" if options.full or options.controls else "develop")
    return tuple(s for s in settings(data, kinds, rates or RATES) if half in ("both", s.half))


def _default_data(options: argparse.Namespace) -> tuple[str, ...]:
    if options.controls:
        return CONTROLS_DATA
    return (*FULL_DATA, BUNDLED) if options.full else (BUNDLED, *QUICK_DATA)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("labelsweep bench quality", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--full", action="store_true", help="the whole campaign: hours")
    parser.add_argument(
        "--inputs",
        action="store_true",
        help="mixed tables, images and texts instead, see `bench inputs --help`",
    )
    parser.add_argument(
        "--controls",
        action="store_true",
        help="what planted controls estimate, beside the truth, instead of the peers",
    )
    parser.add_argument(
        "--half",
        choices=("develop", "final", "both"),
        help="half of the settings [develop; both with --full]",
    )
    parser.add_argument("--data", default="", metavar="A,B", help=f"data sets, of: {', '.join(NAMES)}")
    parser.add_argument("--noise", default="", metavar="A,B", help=f"kinds of error, of: {', '.join(KINDS)}")
    parser.add_argument("--rates", default="", metavar="2,20", help="shares of wrong labels in percent")
    parser.add_argument(
        "--seeds", type=int, default=0, metavar="N", help="seeds for each setting [2; --full: 3]"
    )
    parser.add_argument(
        "--methods", default="", metavar="A,B", help="methods by part of their name, or ours, peers, networks"
    )
    parser.add_argument(
        "--redo", default="", metavar="A,B", help="methods whose kept results are computed again"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="JSON lines file to keep results in and continue from"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here too")
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes, each with one thread [one a core]",
    )
    return parser
