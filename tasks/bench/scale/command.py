"""What a larger run will cost: a model fitted to real runs up to a million rows, held against one of ten million.

Every run is `labelsweep clean` in a process of its own, on Gaussian classes with 8 % of the labels wrong, given as an embedding
column. All have a small budget of memory, so that all stream their features from disk, as a run that is larger than memory does.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from tasks.bench.command import Out, count_of
from tasks.bench.helpers import run_command
from tasks.bench.scale.cost_model import COSTS, MATHS, QUEUED, CostModel, Size, fit_costs, sum_costs
from tasks.bench.speed.command import describe_versions
from tasks.bench.stopwatch import draw_noisy_data
from tasks.bench.tables import format_table
from tasks.bench.tally import Row, run_campaign
from tasks.storage import read_json

# An eighth of these rows, the smallest run of the ladder, does not fit into the budget.
BUDGET = "64MB"
OPTIONS = ("--memory", BUDGET, "--max-queue", str(QUEUED), "--controls", "0", "--force")
# Longer than the longest that was measured, by several times.
PATIENCE_S = 4 * 3600
CHUNK = 100_000
PAST = Size(1_000_000_000, 768, 10, 5)


def run_scale(
    *,
    most: Annotated[int, count_of("rows of the largest run the model sees")] = 1_000_000,
    large: Annotated[int, count_of("rows of the run it predicts, 0: none")] = 10_000_000,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="folder for the data (default: temporary)")
    ] = None,
    out: Out = None,
) -> None:
    """What a larger run will cost: a model of runs up to a million rows, held against one of ten million."""
    runs = [(size, measure_run(size, out, work)) for size in list_sizes(most)]
    model = fit_costs(runs)
    parts = [f"# Scale\n\n{describe_versions()}\n", _format_runs(runs, model), _format_model(model)]
    sys.stdout.write("\n".join(parts) + "\n")
    sys.stdout.flush()
    if large:
        size = Size(large, 64, 10, 5)
        sys.stdout.write(_hold_against(size, model, measure_run(size, out, work)) + "\n")
    sys.stdout.write(_look_past(model))


def list_sizes(most: int) -> list[Size]:
    """Return the sizes of the runs that the model is fitted to.

    >>> [size.rows for size in list_sizes(250_000)][:3]
    [31250, 62500, 125000]
    """
    sizes = [Size(rows, 64, 10, 5) for rows in (most // 8, most // 4, most // 2, most)]
    others = ((16, 10, 5), (128, 10, 5), (64, 2, 5), (64, 20, 5), (64, 10, 3))
    return [*sizes, *(Size(most // 4, *other) for other in others)]


def measure_run(size: Size, out: Path | None = None, work: Path | None = None) -> pd.DataFrame:
    """Return what each step of a real run of this size took, from the earlier one that `out` keeps if there is one."""
    rows = run_campaign({str(size): size}, lambda size, _: _sweep(size, work), out)
    return pd.DataFrame(rows).set_index("step")[COSTS]


def _sweep(size: Size, work: Path | None) -> list[Row]:
    """Run the command on data of this size; return what each step took, in order."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = Path(name)
        write_planted(folder / "source.parquet", size)
        clean = ["clean", "source.parquet", "--embedding", "embedding", "--out", "out", *OPTIONS]
        run_command(folder, *clean, "--folds", str(size.folds), patience=PATIENCE_S)
        steps = [*map(read_json, (folder / "out" / "runs" / "latest").resolve().glob("steps/*.json"))]
    return [
        {"step": step["step"], "seconds": step["seconds"], "memory": step["peak_memory_mb"]}
        for step in sorted(steps, key=lambda step: step["finished"])
    ]


def write_planted(path: Path, size: Size) -> None:
    """Write Gaussian classes with uniform label errors as Parquet: an embedding and a label, a chunk at a time."""
    kind, centres = pa.list_(pa.float32(), size.features), None
    with pq.ParquetWriter(path, pa.schema([("embedding", kind), ("label", pa.string())])) as writer:
        for start in range(0, size.rows, CHUNK):
            count = min(CHUNK, size.rows - start)
            drawn = draw_noisy_data(count, size.features, size.classes, start, centres)
            centres = drawn.centres
            lists = pa.FixedSizeListArray.from_arrays(pa.array(drawn.features.reshape(-1)), size.features)
            labels = pa.array(drawn.given.astype(str))
            writer.write_table(pa.table([lists, labels], schema=writer.schema))


def _format_runs(runs: list[tuple[Size, pd.DataFrame]], model: CostModel) -> str:
    rows = []
    for size, run in runs:
        (seconds, memory), (expected, _) = sum_costs(run), sum_costs(model.predict(size))
        error = f"{expected / seconds - 1:+.0%}"
        figures = [f"{seconds:,.1f}", f"{expected:,.1f}", error, f"{1e6 * seconds / size.rows:,.0f}"]
        rows.append([str(size), *figures, f"{memory:,.0f} MB"])
    heads = ["rows x features x classes", "seconds", "by the model", "error", "µs per row", "peak memory"]
    said = f"`labelsweep clean … {' '.join(OPTIONS)}`, each in a process of its own."
    return f"## Runs that the model is fitted to\n\n{said}\n\n{format_table(heads, rows)}"


def _format_model(model: CostModel) -> str:
    columns = {
        "µs/row": ("row", 1e6, ".2f"),
        "ns/number read": ("number", 1e9, ".3f"),
        "ns/probability": ("probability", 1e9, ".3f"),
        "ns/multiply-add": ("multiply-add", 1e9, ".3f"),
        "ns/number compared": ("pair", 1e9, ".3f"),
    }
    rows = []
    for step, found in model.seconds.iterrows():
        each = [
            "" if pd.isna(found[n]) else f"{unit * found[n]:{show}}" for n, unit, show in columns.values()
        ]
        held = f"{1e6 * model.memory.loc[step, 'row']:,.0f}"
        rows.append([step, f"{found['start']:.2f} s", *each, held])
    table = format_table(["step", "start", *columns, "bytes held/row"], rows, title="Cost model")
    return f"{table}\nA probability is one row under one class in one fold.\n"


def _hold_against(size: Size, model: CostModel, run: pd.DataFrame) -> str:
    expected = model.predict(size).loc[run.index]
    both = expected.join(run, lsuffix=" predicted")
    both.loc["**all**"] = [*sum_costs(expected), *sum_costs(run)]
    rows = [
        [
            step,
            f"{guess:,.0f} s",
            f"{took:,.0f} s",
            f"{guess / max(took, 0.01) - 1:+.0%}",
            f"{guessed:,.0f} MB",
            f"{held:,.0f} MB",
        ]
        for step, guess, guessed, took, held in both.itertuples()
    ]
    heads = ["step", "predicted", "measured", "error", "peak memory predicted", "measured"]
    volume = size.rows * size.features * 4
    flops = 4 * size.rows * size.features * size.folds * size.classes
    return format_table(heads, rows, title=f"{size}: predicted and measured") + (
        f"\nOne pass over the features reads {volume / 1e9:.2f} GB, and a Hessian product is {flops / 1e9:,.0f} GFlop; "
        f"fitting and scoring took {_sum_mathematics(run):,.0f} s.\n"
    )


def _sum_mathematics(run: pd.DataFrame) -> float:
    """Return the seconds of fitting and scoring."""
    return float(run.loc[run.index.str.startswith(MATHS), "seconds"].sum())


def _look_past(model: CostModel) -> str:
    """Say what a billion rows cost by the model."""
    expected = model.predict(PAST)
    (seconds, memory), maths = sum_costs(expected), _sum_mathematics(expected)
    volume = PAST.rows * PAST.features * 4
    said = (
        f"{volume / 1e12:.1f} TB of features; columns of the head process: {memory / 1e3:,.0f} GB. On this machine "
        f"{seconds / 3600:,.0f} hours, {maths / 3600:,.0f} of them fitting and scoring, which workers share. If each worker "
        "is one such machine and reads from its own disk or memory:"
    )
    rows = [
        [workers, (seconds - maths + maths / workers) / 3600, f"{volume / workers / 1e9:,.0f} GB"]
        for workers in (1, 8, 32, 128)
    ]
    table = format_table(["workers", "hours", "features of each"], rows, show=",.0f")
    return f"## {PAST}, on paper\n\n{said}\n\n{table}"
