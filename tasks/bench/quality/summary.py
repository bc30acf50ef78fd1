"""Markdown tables of a quality campaign.

A figure is the mean over settings of the mean over seeds; the spread behind it is the standard deviation
between the seeds of a setting (root mean square over settings). Two methods are compared setting by setting
on the same seeds: the first wins where its mean lead is above one standard error of the lead, loses where it
is below minus one, ties between.

A `frame` has one line for each setting, seed and method. `default` names our own method, beside which the others stand.
"""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from tasks.bench.quality.campaign import AS_SHIPPED, HALVES
from tasks.bench.quality.ours import DEFAULT
from tasks.bench.tables import format_frame, format_table
from tasks.bench.tally import Row
from tasks.controls.trust import Verdict

COLUMNS = {
    "ap": "AP",
    "auroc": "AUROC",
    "precision_at_errors": "precision at n errors",
    "f1": "F1",
    "suggested_right": "suggested right",
    "suggested_right_flagged": "… of those flagged",
    "review_share": "review for 95 %",
}
BLOCKS = {
    "ours": "labelsweep",
    "peers": "peer",
    "our base model": "peer on our base model",
    "networks": "on our networks",
}
PARTS = {"noise": "kind of error", "rate": "share of errors", "data": "data set"}
LEGEND = """\
Figures are means over settings of the mean over seeds, ± the deviation between the seeds of a setting. A
method wins a setting where its mean lead over the seeds is above one standard error, ties within one.
"Suggested right": share of the wrong labels whose suggested label is the true one. "Review for 95 %": share
of the data to review, in queue order, for 95 % of the clean-test accuracy that correcting everything gains,
where it gains any. The class that `swamped` errors hit is full at 45 %: rates beyond that are the same
setting and run once.
"""


def make_quality_tables(rows: Sequence[Row], *, details: bool) -> str:
    """Return the tables of result rows: the bundled data, then the planted errors, each half apart.

    Args:
        rows: Result rows, as in the JSON lines file.
        details: Whether to break the figures down by kind of error, rate, data set and setting.
    """
    everything = pd.DataFrame(rows)
    frame = everything[everything["error"].isna()]
    frame = frame.astype({name: float for name in COLUMNS if name in frame})
    bundled, planted = frame[frame["noise"] == AS_SHIPPED], frame[frame["noise"] != AS_SHIPPED]
    parts: list[str] = []
    if len(bundled):
        parts += [f"## The bundled digits, {_describe_extent(bundled)}\n", overview(bundled, DEFAULT)]
    halves = {f", {title}": planted[planted["half"] == half] for half, title in HALVES.items()}
    if all(map(len, halves.values())):
        halves[", both halves"] = planted
    for title, part in halves.items():
        if len(part):
            parts.append(f"## Planted errors{title}: {_describe_extent(part)}\n")
            parts += [overview(part, DEFAULT), verdict(part, DEFAULT), *(_details(part) if details else [])]
    missing = everything[everything["error"].notna()].groupby(["method", "error"])["setting"]
    lines = [
        f"- {method}: {error} ({some.nunique()} settings, as {some.iloc[0]})\n"
        for (method, error), some in missing
    ]
    return "\n".join([*parts, *(["## No result\n", "".join(lines)] if lines else []), LEGEND])


def _describe_extent(frame: pd.DataFrame) -> str:
    if frame["setting"].nunique() == 1:
        first = frame.iloc[0]
        return f"{first['errors']} of {first['samples']} labels wrong"
    return f"{frame['setting'].nunique()} settings, {frame['seed'].nunique()} seeds"


def _details(frame: pd.DataFrame) -> list[str]:
    parts = [f"### AP by {title}\n\n{breakdown(frame, by)}" for by, title in PARTS.items()]
    parts.append(f"### F1 by kind of error\n\n{breakdown(frame, 'noise', 'f1')}")
    return [*parts, f"### Setting by setting\n\n{by_setting(frame, DEFAULT)}"]


def compare_methods(frame: pd.DataFrame, first: str, second: str) -> pd.Series:
    """Return win, tie or loss of `first` against `second`, for each setting where both have measures."""
    table = frame.pivot_table(index=["setting", "seed"], columns="method", values="ap")
    if not {first, second} <= set(table):
        return pd.Series(dtype=object)
    leads = (table[first] - table[second]).dropna().groupby(level="setting")
    mean, error = leads.mean(), leads.sem().fillna(0.0)  # of one seed it is missing
    ends = np.select([mean > error, mean < -error], ["win", "loss"], "tie")
    return pd.Series(ends, index=mean.index, dtype=object)


def compare_with_best(frame: pd.DataFrame, default: str) -> pd.DataFrame:
    """Return for each setting the peer that is best there, chosen with the truth at hand, and how the default ends against it."""
    peers = frame[frame["block"] == "peers"].pivot_table(index="setting", columns="method", values="ap")
    best = peers.idxmax(axis=1).rename("peer").to_frame()
    outcomes = {peer: compare_methods(frame, default, peer) for peer in best["peer"].unique()}
    return best.assign(end=[outcomes[peer].get(setting, "–") for setting, peer in best["peer"].items()])


def overview(frame: pd.DataFrame, default: str) -> str:
    """Return the table of all methods, best first in each block, and how the default fares against each."""
    means = frame.pivot_table(index="setting", columns="method", values="ap")
    ranks = means.rank(axis=1, ascending=False).mean()
    about = frame.drop_duplicates("method").assign(mean=lambda one: one["method"].map(means.mean()))
    about["place"] = about["block"].map(list(BLOCKS).index)
    lines: list[list[object]] = []
    for row in about.sort_values(["place", "mean"], ascending=[True, False], kind="stable").itertuples():
        own, ends = frame[frame["method"] == row.method], compare_methods(frame, default, row.method)
        counts = " / ".join(str((ends == end).sum()) for end in ("win", "tie", "loss"))
        settings = means[row.method].count()
        lines.append(
            [
                f"**{row.method}**" if row.method == default else row.method,
                BLOCKS[row.block],
                row.package,
                *(_format_figure(own, column) for column in COLUMNS),
                f"{ranks[row.method]:.1f}" if settings == len(means) else "–",
                counts if row.method != default and len(ends) else "–",
                f"{settings}",
            ]
        )
    ends = ["mean rank", "default wins / ties / losses", "settings"]
    return format_table(["method", "block", "package", *COLUMNS.values(), *ends], lines, words=3)


def verdict(frame: pd.DataFrame, default: str) -> str:
    """Return in how many settings no peer beats the default: each by itself, and the best of each setting."""
    peers = frame.loc[frame["block"] == "peers", "method"].unique()
    outcomes = {peer: ends for peer in peers if len(ends := compare_methods(frame, default, peer))}
    if not outcomes:
        return "The default was not run beside peers on these settings.\n"
    share, peer = min(((ends != "loss").mean(), peer) for peer, ends in outcomes.items())
    best = compare_with_best(frame, default)["end"]
    wins, ties, losses = ((best == end).sum() for end in ("win", "tie", "loss"))
    return (
        f"- Against each peer by itself: wins or ties in at least {100 * share:.0f} % of the settings; closest is {peer} "
        f"({len(outcomes[peer])} settings).\n"
        f"- Against the best peer of each setting, picked with the truth at hand: {wins} wins, {ties} ties, {losses} "
        f"losses; wins or ties in {100 * (wins + ties) / len(best):.0f} % of {len(best)} settings.\n"
    )


def breakdown(frame: pd.DataFrame, by: str, measure: str = "ap") -> str:
    """Return the mean of one measure for each method and each value of `by`: noise, rate or data."""
    means = frame.groupby(["method", "setting", by])[measure].mean()
    table = means.groupby(["method", by]).mean().unstack(by)
    order = means.groupby("method").mean().sort_values(ascending=False).index
    return format_frame(table.loc[order].map(_format_number).rename(columns=show_rate))


def show_rate(value: object) -> object:
    """Return a share of errors as a column's head, and any other head as it is."""
    return f"{100 * value:.0f} %" if isinstance(value, float) else value


def by_setting(frame: pd.DataFrame, default: str) -> str:
    """Return each setting: the default's AP beside that of the best peer there, and the outcome."""
    lines = []
    for setting, (peer, end) in compare_with_best(frame, default).iterrows():
        part = frame[frame["setting"] == setting]
        ours, theirs = (_format_figure(part[part["method"] == method], "ap") for method in (default, peer))
        errors = f"{part['errors'].mean():.0f} of {part['samples'].iloc[0]}"
        lines.append([setting, errors, ours, peer, theirs, end])
    heads = ["setting", "errors", "default AP", "best peer there", "its AP", "default"]
    return format_table(heads, lines, words=6)


def _format_figure(rows: pd.DataFrame, measure: str) -> str:
    """Return mean and spread of one method's measure, as .912 ± .013; a dash where it has none."""
    groups = rows.dropna(subset=[measure]).groupby("setting")[measure]
    spread = np.sqrt((groups.std() ** 2).mean())
    return _format_number(groups.mean().mean()) + (
        f" ± {_format_number(spread)}" if np.isfinite(spread) else ""
    )


def _format_number(value: float) -> str:
    """Return three decimals without the leading zero."""
    return "–" if np.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)


def format_verdicts(rows: Sequence[Row]) -> str:
    """Return of each verdict how many queues were called so, and the share of their flagged labels that were wrong."""
    found = pd.DataFrame(rows)[["verdict", "purity"]].groupby("verdict")["purity"]
    table = found.agg(["size", "mean", "min", "max"]).reindex(get_args(Verdict)).dropna(subset="size")
    table["size"] = table["size"].astype(int)
    names = ["queues", "flagged that were wrong, mean", "least", "most"]
    return format_frame(table.set_axis(names, axis=1).rename_axis("verdict"), title="The verdict")
