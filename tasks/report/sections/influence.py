"""The distribution of influence, with the threshold at 0."""

import numpy as np

from tasks.report.figures import HARMFUL, INK, MUTED, QUIET, drawing, inline
from tasks.report.parts import Figure, Section, Text
from tasks.report.scores import ScoreColumns
from tasks.report.summary import Summary
from tasks.report.text import counted
from tasks.report.view import RunView

BINS = 48

# The tails are long: beyond these quantiles the outermost bins collect what lies outside.
LOW, HIGH = 0.002, 0.998


def build(view: RunView, summary: Summary) -> Section | None:
    """Return the histogram."""
    scores = view.scores
    if scores is None or not np.isfinite(scores.influence).any():
        return None
    return Section(
        "influence",
        "Influence of the given labels",
        [
            Text(
                "Influence says what a label does to the others: how much the loss of held-out samples falls (positive, helpful) or "
                "rises (negative, harmful) when the sample counts a little more. Positive = helpful; lower = more likely mislabeled. It is "
                "relative: −3 reads “harmful, three times the average magnitude”."
            ),
            _histogram(scores, summary),
        ],
        "Influence",
    )


def _histogram(scores: ScoreColumns, summary: Summary) -> Figure:
    finite = np.isfinite(scores.influence)
    influence, flagged = scores.influence[finite], scores.flagged[finite]
    edges = _edges(influence)
    inside = np.clip(influence, edges[0], edges[-1])
    kept, found = (np.histogram(inside[mask], edges)[0] for mask in (~flagged, flagged))
    below = int((influence < 0).sum())
    alt = (
        f"Histogram of relative influence: {counted(below, 'sample')} below the threshold 0, {len(influence) - below:,} at or above it; "
        f"{int(flagged.sum()):,} flagged."
    )
    with drawing(5.6, 3.2) as figure:
        axes = figure.subplots()
        axes.set_yscale("log")
        for counts, colour, hatch, name in ((kept, QUIET, None, "not flagged"), (found, HARMFUL, "////", "flagged")):
            axes.stairs(counts, edges, baseline=0.6, fill=True, color=colour, alpha=0.35)
            axes.stairs(counts, edges, baseline=0.6, color=colour, hatch=hatch, linewidth=1.2, label=name)
        if scores.truth is not None:
            wrong = np.histogram(inside[scores.wrong[finite]], edges)[0]
            axes.stairs(wrong, edges, baseline=0.6, color=INK, linestyle=":", linewidth=1.4, label="known to be wrong")
        axes.axvline(0, color=INK, linewidth=1.2)
        axes.set_ylim(bottom=0.6)
        axes.text(0, 1.01, "threshold 0", transform=axes.get_xaxis_transform(), color=INK, ha="center", va="bottom")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        axes.set_xlabel("relative influence")
        for place, side, name in ((0, "left", "← harmful"), (1, "right", "helpful →")):
            axes.text(place, -0.14, name, transform=axes.transAxes, color=MUTED, ha=side, va="top")
        axes.set_ylabel("samples", color=MUTED)
        axes.grid(visible=False, axis="x")
        figure.legend(loc="outside upper left", ncols=3)
        svg = inline(figure, "influence", alt)
    rule = summary.get("audit", {}).get("score")
    flags = (
        "Flagged is what is harmful and finds another label more probable out of fold; the score orders the queue by both."
        if rule == "consensus"
        else "Flagged is what lies below 0."
    )
    caption = (
        f"Samples by relative influence (positive = helpful, lower = more likely mislabeled), on a logarithmic scale. {flags} "
        "The outermost bars hold everything beyond them."
    )
    return Figure(svg, alt, caption)


def _edges(influence: np.ndarray) -> np.ndarray:
    """Return bin edges over the bulk of the values, one of them at 0."""
    low, high = np.quantile(influence, [LOW, HIGH])
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    width = (high - low) / BINS or 1.0
    return np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
