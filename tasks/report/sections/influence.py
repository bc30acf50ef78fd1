"""The distribution of influence, with the threshold where it is one."""

from collections.abc import Mapping

import numpy as np

from tasks.report.figures import Axis, Chart
from tasks.report.summary import Summary
from tasks.show.parts import Figure, ReportPart, Section, Text
from tasks.show.scores import Floats, ScoreColumns
from tasks.show.text import format_number, pluralise
from tasks.show.view import RunView

BINS = 48

# The tails can be long: the axis reaches half the distance between these quantiles beyond them, and the outermost bins
# collect what is outside.
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
    parts: list[ReportPart] = [Text(_MEANING), _draw_histogram(scores, summary)]
    return Section("influence", "Influence of the given labels", parts, "Influence", folded=True)


def _draw_histogram(scores: ScoreColumns, summary: Summary) -> Figure:
    finite = np.isfinite(scores.influence)
    influence, flagged = scores.influence[finite], scores.flagged[finite]
    edges = _place_edges(influence)
    inside = np.clip(influence, edges[0], edges[-1])
    below, is_threshold = int((influence < 0).sum()), summary.get("audit", {}).get("score") == "influence"
    alt = (
        f"Histogram of relative influence: {pluralise(below, 'sample')} below 0, {len(influence) - below:,} at or above it; "
        f"{int(flagged.sum()):,} flagged."
    )
    parts = {"quiet": inside[~flagged], "harmful": inside[flagged]}
    legend = [("quiet", "not flagged"), ("harmful", "flagged")]
    if scores.truth is not None:
        parts["truth"] = inside[scores.wrong[finite]]
        legend.append(("truth", "known to be wrong"))
    counts = {look: np.histogram(values, edges)[0] for look, values in parts.items()}
    most = max(int(count.max()) for count in counts.values())
    chart = Chart(
        Axis("relative influence", float(edges[0]), float(edges[-1])),
        Axis("samples", FLOOR, 1.2 * most, log=True),
    )
    for look, count in counts.items():
        chart.bars(edges, count, look)
    if is_threshold:
        chart.rule(0, "threshold 0")
    chart.ends("← harmful", "helpful →")
    chart.hover(edges, [_describe_bin(edges, counts, place) for place in range(len(edges) - 1)])
    rule = (
        "Flagged is what lies below 0."
        if is_threshold
        else "The score adds the log-odds of the given label to the influence; flagged are the lowest by score, as many as "
        "promise the best F1, so no value of the influence is a threshold."
    )
    caption = (
        "Samples by relative influence (positive = helpful, lower = more likely mislabeled), on a logarithmic scale. "
        f"{rule} The outermost bars hold everything beyond them."
    )
    return Figure(chart.svg(alt), alt, caption, legend)


def _describe_bin(edges: Floats, counts: Mapping[str, Floats], place: int) -> str:
    """Return what a bin says under the mouse."""
    names = {"quiet": "not flagged", "harmful": "flagged", "truth": "known to be wrong"}
    found = ", ".join(f"{int(count[place]):,} {names[look]}" for look, count in counts.items())
    return f"{format_number(float(edges[place]))} to {format_number(float(edges[place + 1]))}: {found}"


def _place_edges(influence: Floats) -> Floats:
    """Return bin edges over the bulk of the values, one of them at 0."""
    low, high = (float(q) for q in np.quantile(influence, [LOW, HIGH]))
    reach = BEYOND * (high - low)
    low, high = max(low - reach, float(influence.min())), min(high + reach, float(influence.max()))
    low, high = min(low, 0.0), max(high, 0.0)
    width = (high - low) / BINS or 1.0
    return np.asarray(np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width)
