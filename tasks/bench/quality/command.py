"""`labelsweep bench quality`: which method finds planted label errors best, all on the same footing.

Without options: the bundled digits with the errors they ship with, then a selection of small settings, in
minutes. `--full` is the whole campaign. With `--out` every result is kept as it is made, and a killed
campaign continues from there.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.bench.datasets import NAMES
from tasks.bench.quality import summary as table
from tasks.bench.quality.campaign import (
    AS_SHIPPED,
    RATES,
    Results,
    Setting,
    every_method,
    methods,
    run,
    settings,
)
from tasks.bench.quality.noise import KINDS
from tasks.bench.quality.ours import DEFAULT
from tasks.bench.tally import Row
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


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    full: bool
    controls: bool
    real: Path | None
    half: str | None
    data: str
    noise: str
    rates: str
    seeds: int
    methods: str
    redo: str
    out: Path | None
    markdown: Path | None
    jobs: int


def run_quality(options: Asked) -> None:
    """Run the benchmark and print its tables.

    Raises:
        InputError: An option names a data set, kind of error or method that does not exist.
    """
    if options.real:
        _real(options, options.real)
        return
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
        redone = {method.name for method in methods(_names(options.redo))}
        results.forget(lambda row: row["method"] in redone)
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


def _controls(options: Asked, grid: tuple[Setting, ...]) -> None:
    """Run the table of the planted controls."""
    from tasks.bench.quality import controls  # noqa: PLC0415 (imports torch)

    results = Results(options.out)
    for line in controls.run_controls(grid, options.seeds or FULL_SEEDS, results):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    names = {setting.name for setting in grid}
    text = controls.document([row for row in results.rows if row["setting"] in names])
    sys.stdout.write(text)
    if options.markdown:
        write_text(text, options.markdown)


def _real(options: Asked, folder: Path) -> None:
    """Run the tables of real errors."""
    from tasks.bench.quality import real  # noqa: PLC0415 (starts processes)

    results = Results(options.out)
    for line in real.run_real(folder, options.half, results):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    names = {path.stem for path in real.files_of(folder, options.half)}
    text = real.document([row for row in results.rows if row["setting"] in names])
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


def _grid(options: Asked) -> tuple[Setting, ...]:
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


def _default_data(options: Asked) -> tuple[str, ...]:
    if options.controls:
        return CONTROLS_DATA
    return (*FULL_DATA, BUNDLED) if options.full else (BUNDLED, *QUICK_DATA)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
