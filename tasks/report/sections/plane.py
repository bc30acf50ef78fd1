"""Two-dimensional data: the points coloured by influence, with the optimal boundary where it is known."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import escape

from tasks.records import Synthetic
from tasks.report.figures import Axis, Chart
from tasks.report.summary import Summary
from tasks.show.features import name_feature
from tasks.show.images import HARMFUL, HELPFUL
from tasks.show.parts import Figure, Section
from tasks.show.scores import Bools, Floats, Ints
from tasks.show.text import format_decimal, join_names, pluralise, show_plain
from tasks.show.view import RunView
from tasks.synthesize import find_decision_boundary

# More points hide one another at this size of drawing.
POINTS = 2_500

# Colour shows the influence, so shape shows the label, as a path around the point; a seventh label starts again.
MARKERS = (
    "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "M0-3.6L3.4 2.6H-3.4z",
    "M-2.8-2.8H2.8V2.8H-2.8z",
    "M0-3.8L3.8 0L0 3.8L-3.8 0z",
    "M0 3.6L3.4-2.6H-3.4z",
    "M-1-3.4H1V-1H3.4V1H1V3.4H-1V1H-3.4V-1H-1z",
)
MARKER_NAMES = ("circle", "triangle", "square", "diamond", "inverted triangle", "plus")

# The colours saturate at this quantile of the magnitudes, or a few extreme samples would leave all others gray.
SATURATION = 0.95
_MIDDLE = np.array([150.0, 155.0, 160.0])


@dataclass(frozen=True)
class Points:
    """Some of the samples: (n, 2) positions, and what is known of each."""

    at: Floats
    influence: Floats
    given: Ints
    flagged: Bools
    wrong: Bools
    classes: tuple[str, ...]


def build(view: RunView, _: Summary) -> Section | None:
    """Return the plane, for data sets with exactly two features."""
    data = view.dataset
    if view.scores is None or data is None or data.feature_shape != (2,):
        return None
    if any(column.kind != "number" for column in data.columns):
        return None  # a category has no place on an axis
    points = _sample_points(view)
    if points is None:
        return None
    return Section("plane", "The data in the plane", [_draw_plane(view, points)], "Plane")


def _sample_points(view: RunView) -> Points | None:
    """Return a seeded random part of the samples with their scores."""
    found, scores = view.features(POINTS), view.scores
    if found is None or scores is None:
        return None
    ids, at = found
    rows = pc.index_in(scores.ids, value_set=ids)
    mine = pc.indices_nonzero(pc.is_valid(rows)).to_numpy()
    place = rows.take(pa.array(mine)).to_numpy()
    usable = np.isfinite(scores.influence[mine]) & np.isfinite(at[place]).all(axis=1)
    mine, place = mine[usable], place[usable]
    if not len(mine):
        return None
    influence, flagged, wrong = scores.influence[mine], scores.flagged[mine], scores.wrong[mine]
    return Points(at[place], influence, scores.given[mine], flagged, wrong, scores.classes)


def _draw_plane(view: RunView, points: Points) -> Figure:
    known = view.scores is not None and view.scores.truth is not None
    synthetic = view.dataset.synthetic if view.dataset else None
    alt = (
        f"Scatter plot of {pluralise(len(points.at), 'sample')} coloured by influence; "
        f"{int(points.flagged.sum()):,} flagged samples are ringed"
        + (f", {int(points.wrong.sum()):,} known errors have a second ring" if known else "")
        + (", and a dashed line is the optimal boundary." if synthetic else ".")
    )
    low, high = (np.asarray(end(points.at, axis=0), dtype=np.float64) for end in (np.min, np.max))
    margin = 0.04 * np.where(high > low, high - low, 1.0)
    names = (name_feature(view, place) for place in (0, 1))
    across, up = (Axis(*ends) for ends in zip(names, low - margin, high + margin, strict=True))
    chart = Chart(across, up, height=460)
    _draw_points(chart, points)
    legend = [("ink ring", "flagged")]
    if known:
        legend.append(("third ring", "known to be wrong"))
    if line := _find_boundary(low - margin, high + margin, synthetic):
        chart.line(*line, "ink dashed", "optimal boundary")
        legend.append(("ink dashed", "optimal boundary"))
    return Figure(chart.svg(alt), alt, _write_caption(view, points), legend)


def _draw_points(chart: Chart, points: Points) -> None:
    """Draw each point: shape by label, colour by influence, rings around flagged and wrong ones."""
    largest = float(np.quantile(np.abs(points.influence), SATURATION)) or 1.0
    share = np.clip(points.influence / largest, -1, 1)[:, None]
    colours = _MIDDLE + np.where(share < 0, -share * (HARMFUL - _MIDDLE), share * (HELPFUL - _MIDDLE))
    across, up = chart.x(points.at[:, 0]).tolist(), chart.y(points.at[:, 1]).tolist()
    for place, (x, y, colour) in enumerate(zip(across, up, colours, strict=True)):
        given = int(points.given[place])
        influence = format_decimal(float(points.influence[place]), 2)
        tip = escape(f"{show_plain(points.classes[given])}, influence {influence}")
        fill = "#" + "".join(f"{round(part):02x}" for part in colour)
        at = f'transform="translate({x:.1f} {y:.1f})" d="{MARKERS[given % len(MARKERS)]}"'
        chart.marks.append(f'<path data-tip="{tip}" fill="{fill}" {at}/>')
        for look, one, radius in (("ink", points.flagged, 6), ("third", points.wrong, 9)):
            if one[place]:
                chart.marks.append(f'<circle class="ring {look}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>')


def _find_boundary(low: Floats, high: Floats, synthetic: Synthetic | None) -> tuple[Floats, Floats] | None:
    """Return the two ends, inside the drawing, of the line of points that are equally far from both means."""
    if synthetic is None or len(synthetic.mean_0) != 2 or synthetic.mean_0 == synthetic.mean_1:
        return None
    normal, offset = find_decision_boundary(synthetic.mean_0, synthetic.mean_1)
    foot, along = normal * offset, np.array([-normal[1], normal[0]])
    with np.errstate(divide="ignore"):
        # (side, axis), where the line leaves the drawing
        ends = np.stack([(low - foot) / along, (high - foot) / along])
    start, end = ends.min(axis=0).max(), ends.max(axis=0).min()
    at = foot + np.array([[start], [end]]) * along
    return (at[:, 0], at[:, 1]) if start < end else None


def _write_caption(view: RunView, points: Points) -> str:
    named = zip(points.classes, MARKER_NAMES, strict=False)
    shapes = [f"{show_plain(name)} {shape}" for name, shape in named]
    if len(points.classes) > len(MARKERS):
        shapes.append("the next ones the same again")
    every = len(view.scores or ())
    part = f"{len(points.at):,} of {every:,} samples, drawn at random. " if len(points.at) < every else ""
    return (
        f"{part}Across: {name_feature(view, 0)}; up: {name_feature(view, 1)}. Shape is the given label ({join_names(shapes)}), "
        "colour the relative influence: positive = helpful, lower = more likely mislabeled."
    )
