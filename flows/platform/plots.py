"""Two small plots for the summary in Prefect's UI: where the flagged samples are, and what the steps cost."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.storage import read_parquet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The report's colours on a ground of their own, so that a plot is readable in the UI's light and dark themes.
HARMFUL, QUIET, INK, PAPER = "#c2412d", "#b9bdc4", "#22262b", "#ffffff"
WIDTH, HEIGHT, DPI = 6.4, 2.8, 110
BINS = 60


def draw_plots(folder: Path, summary: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return the plots of a finished run, each as what is to be seen and a PNG of some ten kilobytes."""
    return [
        (
            "Influence of all samples, those flagged in red",
            _encode_png(_draw_influences(folder / "scores.parquet")),
        ),
        ("Seconds of each step", _encode_png(_draw_seconds(summary))),
    ]


def _open_figure() -> "Figure":
    import matplotlib as mpl  # noqa: PLC0415 (a second to import)

    mpl.use("Agg")
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained", facecolor=PAPER)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
    return figure


def _draw_influences(scores: Path) -> "Figure":
    """Draw the influences of all samples, the flagged ones apart."""
    table = read_parquet(scores, columns=["influence", "flagged"])
    values, flagged = table["influence"].to_numpy(), table["flagged"].to_numpy()
    figure = _open_figure()
    axes = figure.axes[0]
    finite = values[np.isfinite(values)]
    # The farthest thousandth on either side would squeeze all others into a bar.
    low, high = np.quantile(finite, [0.001, 0.999]) if len(finite) else (0.0, 1.0)
    parts = [np.clip(values[~flagged], low, high), np.clip(values[flagged], low, high)]
    axes.hist(parts, bins=BINS, stacked=True, color=[QUIET, HARMFUL], label=["not flagged", "flagged"])
    axes.set_yscale("symlog")
    axes.set_xlabel("influence (lower = more likely mislabeled)", fontsize=9, color=INK)
    axes.set_ylabel("samples", fontsize=9, color=INK)
    axes.legend(fontsize=8, frameon=False)
    return figure


def _draw_seconds(summary: Mapping[str, Any]) -> "Figure":
    """Draw how long each step took."""
    figure = _open_figure()
    axes = figure.axes[0]
    steps = summary["steps"][::-1]
    bars = axes.barh([step["step"] for step in steps], [step["seconds"] for step in steps], color=QUIET)
    axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=2, color=INK)
    axes.set_xlabel("seconds", fontsize=9, color=INK)
    return figure


def _encode_png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor=PAPER)
    return buffer.getvalue()
