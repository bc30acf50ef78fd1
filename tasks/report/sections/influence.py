"""The distribution of influence, with the threshold at 0."""

import numpy as np
from markupsafe import Markup

from tasks.report.figures import HARMFUL, INK, MUTED, QUIET, drawing, inline
from tasks.report.summary import Summary
from tasks.show.parts import Figure, Part, Section, Text
from tasks.show.scores import Floats, ScoreColumns
from tasks.show.text import counted
from tasks.show.view import RunView

BINS = 48

# The tails can be long: the axis reaches half the distance between these quantiles beyond them, and the outermost bins
# collect what lies outside.
LOW, HIGH, BEYOND = 0.01, 0.99, 0.5

# Bottom of the logarithmic axis: a bin of one sample still has a height.
FLOOR = 0.6

_MEANING = (
    "Influence says what a label does to the others: how much the loss of held-out samples falls (positive, helpful) or rises "
    "(negative, harmful) when the sample counts a little more. Positive = helpful; lower = more likely mislabeled. It is "
    "relative: −3 reads “harmful, three times the average magnitude”."
)


def build(view: RunView, summary: Summary) -> Section | None:
    """Return the histogram."""
    scores = view.scores
    if scores is None or not np.isfinite(scores.influence).any():
        return None
    parts: list[Part] = [Text(_MEANING), _histogram(scores, summary)]
    return Section("influence", "Influence of the given labels", parts, "Influence")


def _histogram(scores: ScoreColumns, summary: Summary) -> Figure:
    finite = np.isfinite(scores.influence)
    influence, flagged = scores.influence[finite], scores.flagged[finite]
    edges = _edges(influence)
    inside = np.clip(influence, edges[0], edges[-1])
    below = int((influence < 0).sum())
    alt = (
        f"Histogram of relative influence: {counted(below, 'sample')} below the threshold 0, {len(influence) - below:,} at or "
        f"above it; {int(flagged.sum()):,} flagged."
    )
    wrong = None if scores.truth is None else inside[scores.wrong[finite]]
    svg = _draw(edges, inside[~flagged], inside[flagged], wrong, alt)
    rule = (
        "The score adds the log-odds of the given label to the influence; flagged are the lowest by score, as many as promise "
        "the best F1."
        if summary.get("audit", {}).get("score") in ("consensus", "confidence")
        else "Flagged is what lies below 0."
    )
    caption = (
        "Samples by relative influence (positive = helpful, lower = more likely mislabeled), on a logarithmic scale. "
        f"{rule} The outermost bars hold everything beyond them."
    )
    return Figure(svg, alt, caption)


def _draw(edges: Floats, kept: Floats, flagged: Floats, wrong: Floats | None, alt: str) -> Markup:
    """Draw the kept and the flagged samples, and where it is known which are wrong, those in outline."""
    with drawing(5.6, 3.2) as figure:
        axes = figure.subplots()
        axes.set_yscale("log")
        for values, colour, hatch, name in (
            (kept, QUIET, None, "not flagged"),
            (flagged, HARMFUL, "////", "flagged"),
        ):
            counts = np.histogram(values, edges)[0]
            axes.stairs(counts, edges, baseline=FLOOR, fill=True, color=colour, alpha=0.35)
            axes.stairs(counts, edges, baseline=FLOOR, color=colour, hatch=hatch, linewidth=1.2, label=name)
        if wrong is not None:
            counts, name = np.histogram(wrong, edges)[0], "known to be wrong"
            axes.stairs(counts, edges, baseline=FLOOR, color=INK, linestyle=":", linewidth=1.4, label=name)
        axes.axvline(0, color=INK, linewidth=1.2)
        across = axes.get_xaxis_transform()
        axes.text(0, 1.01, "threshold 0", transform=across, color=INK, ha="center", va="bottom")
        for place, side, name in ((0, "left", "← harmful"), (1, "right", "helpful →")):
            axes.text(place, -0.14, name, transform=axes.transAxes, color=MUTED, ha=side, va="top")
        axes.set_ylim(bottom=FLOOR)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        axes.set_xlabel("relative influence")
        axes.set_ylabel("samples", color=MUTED)
        axes.grid(visible=False, axis="x")
        figure.legend(loc="outside upper left", ncols=3)
        return inline(figure, "influence", alt)


def _edges(influence: Floats) -> Floats:
    """Return bin edges over the bulk of the values, one of them at 0."""
    low, high = (float(q) for q in np.quantile(influence, [LOW, HIGH]))
    reach = BEYOND * (high - low)
    low, high = max(low - reach, float(influence.min())), min(high + reach, float(influence.max()))
    low, high = min(low, 0.0), max(high, 0.0)
    width = (high - low) / BINS or 1.0
    return np.asarray(np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width)
