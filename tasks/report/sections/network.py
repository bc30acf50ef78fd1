"""How the networks learned: their loss by epoch, on what they were trained on and on what was held out of it."""

import numpy as np
from markupsafe import Markup

from tasks.report.figures import HELPFUL, QUIET, drawing, inline
from tasks.show.parts import Figure
from tasks.show.scores import Floats
from tasks.show.text import counted, number
from tasks.show.view import RunView
from tasks.storage import read_parquet


def curves(view: RunView) -> list[Figure]:
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
    worst = f"The weights of the best epoch were kept: held-out loss {number(max(kept))} or below."
    unfinished = sum(bool(best[-1]) for *_, best in lines)
    if unfinished:
        worst += f" {counted(unfinished, 'network')} of {len(lines)} still improved when the epochs ran out."
    what = f"Loss of {counted(len(lines), 'network')} by epoch, one for each fold of the last round"
    caption = (
        f"{what}: solid on the samples trained on (with label smoothing), dashed on those held out of them. "
        f"{worst} Training ends where the held-out loss stops falling, before wrong labels are learned by heart."
    )
    alt = f"{what}. {worst}"
    return [Figure(_draw([line[:3] for line in lines], alt), alt, caption)]


def _draw(lines: list[tuple[Floats, Floats, Floats]], alt: str) -> Markup:
    with drawing(5.6, 3.2) as figure:
        axes = figure.subplots()
        for epoch, loss, held_out in lines:
            marker = "o" if len(epoch) < 2 else None
            axes.plot(epoch, loss, color=QUIET, linewidth=1.3, marker=marker)
            axes.plot(epoch, held_out, color=HELPFUL, linestyle="--", linewidth=1.3, marker=marker)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss, nats")
        axes.set_ylim(bottom=0)
        return inline(figure, "network-loss", alt)
