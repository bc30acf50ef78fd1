"""The fitted model: its loss on the way down, and what it predicts out of fold against the given labels.

Of networks: their loss by epoch, on what they were trained on and on what was held out of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.records import FittedRound
from tasks.report.figures import Axis, Chart
from tasks.report.matrix import MOST, count_pairs, make_matrix_table
from tasks.report.summary import Summary
from tasks.show.parts import Columns, Figure, ReportPart, Section, Table, Text
from tasks.show.scores import Floats
from tasks.show.text import format_number, format_share, pluralise, show_plain
from tasks.show.view import RunView
from tasks.storage import read_parquet

# Points of all curves together: a curve of a thousand epochs is thinned to the same look.
POINTS = 6_000
CURVES = 60
_NORM = "Norm of the gradient by iteration: how near the optimum the fit came"
_CURVES = (
    ("loss", "training loss", "Training loss by iteration"),
    ("gradient_norm", "gradient norm", _NORM),
)


def build(view: RunView, summary: Summary) -> Section | None:
    """Return the curves and the confusion matrix of the fit."""
    parts: list[ReportPart] = []
    members = summary.get("audit", {}).get("members")
    if members:
        audit = summary["audit"]
        model = view.record(FittedRound)
        parts.append(_tabulate_members(members, audit, learned=bool(model and model.members)))
        parts += _describe_opinions(audit)
        if said := audit.get("encoder_used"):
            parts.append(Text(f"Encoder: {said}."))
    networks = _draw_network_curves(view)
    parts += [Columns(figures) for figures in (networks, _draw_curves(view)) if figures]
    scores = view.scores
    if scores is not None and scores.predicted is not None:
        matrix = count_pairs(scores.given, scores.predicted, len(scores.classes))
        right = format_share(float(np.trace(matrix)) / max(int(matrix.sum()), 1), 1)
        caption = f"Given label (rows) and most probable label out of fold (columns); the two agree for {right} of the samples."
        if len(scores.classes) > MOST:
            caption += f" The {MOST} labels that are confused most, of {len(scores.classes):,}."
        parts.append(make_matrix_table(matrix, scores.classes, caption, ("given", "predicted")))
    return Section("fit", "The fit", parts, "Fit", folded=True) if parts else None


def _tabulate_members(
    members: Sequence[Mapping[str, Any]], audit: Mapping[str, Any], *, learned: bool
) -> Table:
    """Return the ensemble that the run chose, and for images why that and not another model."""
    model, since = audit.get("model", ""), audit.get("model_since", "")
    rows = [
        [show_plain(m["name"]), f"{m['width']:,}", format_number(m["l2"]), f"{m['log_loss']:.3f}"]
        for m in members
    ]
    header = ["Features", "Numbers a sample", "l2", "Log-loss, nats"]
    caption = "The models whose mean is taken: each is a softmax regression on its own features, chosen by out-of-fold log-loss"
    if learned:
        caption = (
            f"A model for each fold ({model}) gives the features; on them stands a softmax regression, its l2 chosen by "
            "out-of-fold log-loss"
        )
    caption += f". The model is {model}, since {since}." if since else ""
    return Table(caption, header, rows, numeric=frozenset({1, 2, 3}))


def _describe_opinions(audit: Mapping[str, Any]) -> list[ReportPart]:
    """Return the models of other kinds beside the heads, or why there are none."""
    if why := audit.get("alone"):
        return [Text(f"No models of other kinds stand beside these: {show_plain(why)}.", "quiet")]
    opinions = audit.get("opinions")
    if not opinions:
        return []
    rows = [[show_plain(one["name"]), f"{one['log_loss']:.3f}"] for one in opinions]
    heads, each = (f"{share:.0%}" for share in (0.5 + 0.5 / (1 + len(rows)), 0.5 / (1 + len(rows))))
    caption = (
        "Models of other kinds, asked out of fold on the same folds. Where some classes are mistaken for others more than the "
        f"rest, the regressions weigh {heads} in the opinion of all and each of these {each}; elsewhere each weighs as much as "
        "all regressions"
    )
    return [Table(caption, ["Model", "Log-loss, nats"], rows, numeric=frozenset({1}))]


def _draw_curves(view: RunView) -> list[Figure]:
    path = view.path("model/training_curve.parquet")
    if path is None:
        return []
    data = read_parquet(path).to_pydict()
    if not data["iteration"]:
        return []
    rounds = np.asarray(data["round"])
    keys = np.column_stack([rounds, data.get("member", np.zeros_like(rounds)), data["fold"]])
    _, group = np.unique(keys, axis=0, return_inverse=True)
    iteration = np.asarray(data["iteration"], dtype=np.float64)
    fits = int(group.max()) + 1
    folds = pluralise(fits, "fit") if fits <= CURVES else f"the last {CURVES} of {fits:,} fits"
    last = int(rounds.max())
    colours = f"Solid: round {last}, the last one; dashed: before. " if last > 1 else ""
    found = []
    for column, name, what in _CURVES:
        values = np.asarray(data[column], dtype=np.float64)
        ends = np.array([values[group == g][-1] for g in np.unique(group)])
        worst = format_number(float(ends[np.isfinite(ends)].max(initial=-np.inf)))
        alt = f"{what}, for {folds}; the last values lie at {worst} or below."
        chart = _draw_lines(iteration, values, group, rounds, _span_axis(name, values, column))
        caption = f"{what}, one line for each of {folds}. {colours}".strip()
        found.append(Figure(chart.svg(alt), alt, caption))
    return found


def _span_axis(name: str, values: Floats, column: str) -> Axis:
    """Return the axis of some values: logarithmic where they span more than an eye can compare."""
    usable = values[np.isfinite(values) & (values > 0)]
    low, high = float(usable.min(initial=np.inf)), float(usable.max(initial=0.0))
    if not len(usable):
        return Axis(name, 0, 1)
    if column == "gradient_norm" or high > 30 * low:
        return Axis(name, low / 1.2, high * 1.2, log=True)
    return Axis(name, 0, high * 1.05)


def _draw_lines(
    iteration: Floats, values: Floats, group: npt.NDArray[np.int64], rounds: npt.NDArray[np.int64], up: Axis
) -> Chart:
    """Draw one line for each group of points."""
    stride = max(1, len(values) // POINTS)
    chart = Chart(Axis("iteration", 0, float(iteration.max(initial=1))), up)
    for g in np.unique(group)[-CURVES:]:
        mine = np.flatnonzero(group == g)
        mine = np.unique(np.append(mine[::stride], mine[-1]))
        mine = mine[np.isfinite(values[mine]) & (values[mine] > 0)]
        if len(mine):
            last = rounds[mine[0]] == rounds.max()
            tip = f"fit {g + 1}, round {rounds[mine[0]]}: {format_number(float(values[mine[-1]]))} in the end"
            chart.line(iteration[mine], values[mine], "helpful" if last else "quiet dashed", tip)
    return chart


def _draw_network_curves(view: RunView) -> list[Figure]:
    """Return the losses of the last round's networks; nothing where there are none."""
    path = view.path("model/network_curve.parquet")
    if path is None:
        return []
    table = read_parquet(path).to_pydict()
    data = {name: np.asarray(values) for name, values in table.items()}
    last = data["round"] == data["round"].max(initial=0)
    data = {name: values[last] for name, values in data.items()}
    folds = [data["fold"] == fold for fold in np.unique(data["fold"])]
    if not folds:
        return []
    lines = [(data["epoch"][f], data["loss"][f], data["held_out_loss"][f], data["kept"][f]) for f in folds]
    kept = [float(held_out[best][0]) for _, _, held_out, best in lines]
    worst = f"The weights of the best epoch were kept: held-out loss {format_number(max(kept))} or below."
    unfinished = sum(bool(best[-1]) for *_, best in lines)
    if unfinished:
        networks = f"{pluralise(unfinished, 'network')} of {len(lines)}"
        worst += f" {networks} still improved when the epochs ran out."
    what = f"Loss of {pluralise(len(lines), 'network')} by epoch, one for each fold of the last round"
    caption = (
        f"{what}: solid on the samples trained on (with label smoothing), dashed on those held out of them. "
        f"{worst} Training ends where the held-out loss stops falling, before wrong labels are learned by heart."
    )
    alt = f"{what}. {worst}"
    return [Figure(_draw_networks([line[:3] for line in lines]).svg(alt), alt, caption)]


def _draw_networks(lines: list[tuple[Floats, Floats, Floats]]) -> Chart:
    epochs = np.concatenate([epoch for epoch, _, _ in lines])
    losses = np.concatenate([loss for line in lines for loss in line[1:]])
    highest = float(losses[np.isfinite(losses)].max(initial=1e-9))
    chart = Chart(Axis("epoch", float(epochs.min()), float(epochs.max())), Axis("loss, nats", 0, highest))
    for fold, (epoch, loss, held_out) in enumerate(lines, start=1):
        for values, look, name in ((loss, "quiet", "trained on"), (held_out, "helpful dashed", "held out")):
            usable = np.isfinite(values)
            if usable.any():
                tip = f"fold {fold}, {name}: {format_number(float(values[usable][-1]))} in the end"
                chart.line(epoch[usable], values[usable], look, tip)
    return chart
