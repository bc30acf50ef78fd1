"""Two-dimensional data: the points coloured by influence, with the optimal boundary where it is known."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.records import Synthetic
from tasks.report.figures import INK, THIRD, drawing, inline
from tasks.report.summary import Summary
from tasks.show.features import feature_name
from tasks.show.images import HARMFUL, HELPFUL
from tasks.show.parts import Figure, Section
from tasks.show.scores import Bools, Floats, Ints
from tasks.show.text import counted, listed, plain
from tasks.show.view import RunView
from tasks.synthesize import decision_boundary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More points hide one another at this size of drawing.
POINTS = 4_000
RINGS = 300

# Colour tells influence, so the label is told by shape; a seventh label starts again.
MARKERS = ("o", "^", "s", "D", "v", "P")
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
    points = _points(view)
    if points is None:
        return None
    return Section("plane", "The data in the plane", [_figure(view, points)], "Plane")


def _points(view: RunView) -> Points | None:
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
    return Points(
        at[place],
        scores.influence[mine],
        scores.given[mine],
        scores.flagged[mine],
        scores.wrong[mine],
        scores.classes,
    )


def _figure(view: RunView, points: Points) -> Figure:
    known = view.scores is not None and view.scores.truth is not None
    synthetic = view.dataset.synthetic if view.dataset else None
    alt = (
        f"Scatter plot of {counted(len(points.at), 'sample')} coloured by influence; "
        f"{int(points.flagged.sum()):,} flagged samples are ringed"
        + (f", {int(points.wrong.sum()):,} known errors are in squares" if known else "")
        + (", and a dashed line is the optimal boundary." if synthetic else ".")
    )
    with drawing(5.6, 4.9) as figure:
        axes = figure.subplots()
        colours = _scatter(axes, points)
        _rings(axes, points, known=known)
        _boundary(axes, points, synthetic)
        if synthetic:
            axes.set_aspect("equal")
        bar = figure.colorbar(colours, ax=axes, fraction=0.04, pad=0.02)
        if bar.solids is not None:
            bar.solids.set_rasterized(True)
        bar.outline.set_visible(False)
        bar.set_label("harmful ←  relative influence  → helpful")
        handles, names = axes.get_legend_handles_labels()
        if handles:
            figure.legend(handles, names, loc="outside lower center", ncols=len(handles))
        svg = inline(figure, "plane", alt)
    return Figure(svg, alt, _caption(view, points))


def _scatter(axes: "Axes", points: Points) -> Any:  # noqa: ANN401 (a matplotlib collection, imported only here)
    """Draw the points, the most harmful on top, as one small picture inside the drawing."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize  # noqa: PLC0415

    palette = LinearSegmentedColormap.from_list(
        "influence", [tuple(c / 255) for c in (HARMFUL, _MIDDLE, HELPFUL)]
    )
    largest = float(np.quantile(np.abs(points.influence), SATURATION)) or 1.0
    drawn = None
    for label in range(len(points.classes)):
        mine = np.flatnonzero(points.given == label)
        mine = mine[np.argsort(-points.influence[mine], kind="stable")]
        if len(mine):
            colours: dict[str, Any] = {
                "c": points.influence[mine],
                "cmap": palette,
                "norm": Normalize(-largest, largest),
            }
            marker = MARKERS[label % len(MARKERS)]
            drawn = axes.scatter(
                points.at[mine, 0],
                points.at[mine, 1],
                marker=marker,
                s=20,
                linewidths=0,
                rasterized=True,
                **colours,
            )
    return drawn


def _rings(axes: "Axes", points: Points, *, known: bool) -> None:
    look: dict[str, Any] = {"facecolors": "none", "linewidths": 1.2}
    ring = points.at[points.flagged][:RINGS]
    if len(ring):
        axes.scatter(ring[:, 0], ring[:, 1], s=80, edgecolors=INK, label="flagged", **look)
    square = points.at[points.wrong][:RINGS]
    if known and len(square):
        axes.scatter(
            square[:, 0], square[:, 1], s=150, marker="s", edgecolors=THIRD, label="known to be wrong", **look
        )


def _boundary(axes: "Axes", points: Points, synthetic: Synthetic | None) -> None:
    """Draw the points that are equally far from both means."""
    if synthetic is None or len(synthetic.mean_0) != 2 or synthetic.mean_0 == synthetic.mean_1:
        return
    normal, offset = decision_boundary(synthetic.mean_0, synthetic.mean_1)
    low, high = points.at.min(axis=0), points.at.max(axis=0)
    axes.set_xlim(low[0] - 0.1, high[0] + 0.1)
    axes.set_ylim(low[1] - 0.1, high[1] + 0.1)
    foot = normal * offset
    start, end = (foot[0], foot[1]), (foot[0] - normal[1], foot[1] + normal[0])
    axes.axline(start, end, color=INK, linestyle=(0, (5, 4)), linewidth=1.2, label="optimal boundary")


def _caption(view: RunView, points: Points) -> str:
    shapes = [f"{plain(name)} {shape}" for name, shape in zip(points.classes, MARKER_NAMES, strict=False)]
    if len(points.classes) > len(MARKERS):
        shapes.append("the next ones the same again")
    every = len(view.scores or ())
    part = f"{len(points.at):,} of {every:,} samples, drawn at random. " if len(points.at) < every else ""
    return (
        f"{part}Across: {feature_name(view, 0)}; up: {feature_name(view, 1)}. Shape is the given label ({listed(shapes)}), "
        "colour the relative influence: positive = helpful, lower = more likely mislabeled."
    )
