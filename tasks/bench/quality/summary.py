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

from tasks.bench.quality.campaign import AS_SHIPPED, HALVES, list_methods
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
    parts: list[str] = []
    bundled = [row for row in rows if row["noise"] == AS_SHIPPED]
    planted = [row for row in rows if row["noise"] != AS_SHIPPED]
    if bundled:
        parts += [
            f"## The bundled digits, {_describe_extent(bundled)}\n",
            overview(list_measures(bundled), DEFAULT),
        ]
    halves = {f", {title}": [row for row in planted if row["half"] == half] for half, title in HALVES.items()}
    if all(halves.values()):
        halves[", both halves"] = planted
    for title, part in halves.items():
        if part:
            parts += [f"## Planted errors{title}: {_describe_extent(part)}\n"]
            parts += _tables(list_measures(part), details=details)
    if missing := failures(rows):
        parts += ["## No result\n", missing]
    current = {method.name: method.version for method in list_methods()}
    changed = sorted({row["method"] for row in rows if row["version"] != current.get(row["method"])})
    if changed:
        parts += [f"Made by another version of the code than this one, see --redo: {'; '.join(changed)}.\n"]
    return "\n".join([*parts, LEGEND])


def _describe_extent(rows: Sequence[Row]) -> str:
    settings, seeds = len({row["setting"] for row in rows}), len({row["seed"] for row in rows})
    if settings == 1:
        return f"{rows[0]['errors']} of {rows[0]['samples']} labels wrong"
    return f"{settings} settings, {seeds} seeds"


def _tables(frame: pd.DataFrame, *, details: bool) -> list[str]:
    parts = [overview(frame, DEFAULT), verdict(frame, DEFAULT)]
    if details:
        for by, title in PARTS.items():
            parts += [f"### AP by {title}\n", breakdown(frame, by)]
        parts += ["### F1 by kind of error\n", breakdown(frame, "noise", "f1")]
        parts += ["### Setting by setting\n", by_setting(frame, DEFAULT)]
    return parts


def list_measures(rows: Sequence[Row]) -> pd.DataFrame:
    """Return the rows that have measures as a frame."""
    frame = pd.DataFrame([row for row in rows if row["error"] is None])
    return frame.astype({name: float for name in COLUMNS if name in frame})


def compare_methods(frame: pd.DataFrame, first: str, second: str) -> pd.Series:
    """Return win, tie or loss of `first` against `second`, for each setting where both have measures."""
    table = frame.pivot_table(index=["setting", "seed"], columns="method", values="ap")
    if not {first, second} <= set(table):
        return pd.Series(dtype=object)
    leads = (table[first] - table[second]).dropna().groupby(level="setting")
    mean, error = leads.mean(), leads.sem().fillna(0.0)  # of one seed it is missing
    ends = np.select([mean > error, mean < -error], ["win", "loss"], "tie")
    return pd.Series(ends, index=mean.index, dtype=object)


def find_best_peers(frame: pd.DataFrame) -> pd.Series:
    """Return for each setting the peer that is best there, chosen with the truth at hand."""
    return _average_seeds(frame[frame["block"] == "peers"], "ap").idxmax(axis=1)


def overview(frame: pd.DataFrame, default: str) -> str:
    """Return the table of all methods, best first in each block, and how the default fares against each."""
    means, settings = _average_seeds(frame, "ap"), frame["setting"].nunique()
    ranks = means.rank(axis=1, ascending=False).mean()
    lines: list[list[object]] = []
    for block, title in BLOCKS.items():
        methods = frame.loc[frame["block"] == block, "method"].unique()
        for method in means[methods].mean().sort_values(ascending=False).index:
            own, ends = frame[frame["method"] == method], compare_methods(frame, default, method)
            counts = " / ".join(str((ends == end).sum()) for end in ("win", "tie", "loss"))
            lines.append(
                [
                    f"**{method}**" if method == default else method,
                    title,
                    own["package"].iloc[0],
                    *(_figure(own, column) for column in COLUMNS),
                    f"{ranks[method]:.1f}" if means[method].count() == settings else "–",
                    counts if method != default and len(ends) else "–",
                    f"{means[method].count()}",
                ]
            )
    ends = ["mean rank", "default wins / ties / losses", "settings"]
    return format_table(["method", "block", "package", *COLUMNS.values(), *ends], lines)


def verdict(frame: pd.DataFrame, default: str) -> str:
    """Return what the figures say of the default: its places, and how often no peer beats it."""
    peers = sorted(set(frame.loc[frame["block"] == "peers", "method"]))
    outcomes = {peer: ends for peer in peers if len(ends := compare_methods(frame, default, peer))}
    best = find_best_peers(frame).items()
    against = pd.Series(
        [outcomes[peer][name] for name, peer in best if name in outcomes.get(peer, ())], dtype=object
    )
    if against.empty:
        return "The default was not run on these settings.\n"
    share, peer = min(((ends != "loss").mean(), peer) for peer, ends in outcomes.items())
    wins, ties, losses = ((against == end).sum() for end in ("win", "tie", "loss"))
    at_least = f"Against each peer by itself: wins or ties in at least {100 * share:.0f} % of the settings"
    counts = f"{wins} wins, {ties} ties, {losses} losses"
    held = f"wins or ties in {100 * (against != 'loss').mean():.0f} % of {len(against)} settings"
    lines = [
        _place(frame, default, "ap", "AP"),
        _place(frame, default, "f1", "F1 at its own threshold"),
        f"{at_least}; closest is {peer} ({len(outcomes[peer])} settings).",
        f"Against the best peer of each setting, picked with the truth at hand: {counts}; {held}.",
    ]
    return "".join(f"- {line}\n" for line in lines)


def _place(frame: pd.DataFrame, default: str, measure: str, title: str) -> str:
    table = _average_seeds(frame[frame["block"].eq("peers") | frame["method"].eq(default)], measure)
    means = table.dropna(axis=1).mean()  # only those that ran on every setting can be averaged
    if default not in means:
        return f"{title}: the default was not run on every setting."
    rivals = means.drop(default)
    place = 1 + int((rivals > means[default]).sum())
    best = f"the best peer is {rivals.idxmax()} with {rivals.max():.3f}" if len(rivals) else "no peer has one"
    return f"Mean {title}: {means[default]:.3f}, place {place} of {len(means)}; {best}."


def breakdown(frame: pd.DataFrame, by: str, measure: str = "ap") -> str:
    """Return the mean of one measure for each method and each value of `by`: noise, rate or data."""
    means = frame.groupby(["method", "setting", by])[measure].mean()
    table = means.groupby(["method", by]).mean().unstack(by)
    order = _average_seeds(frame, measure).mean().sort_values(ascending=False).index
    if by == "rate":
        table = table.rename(columns=lambda rate: f"{100 * rate:.0f} %")
    return format_frame(table.loc[order].map(_number))


def by_setting(frame: pd.DataFrame, default: str) -> str:
    """Return each setting: the default's AP beside that of the best peer there, and the outcome."""
    best, lines = find_best_peers(frame), []
    for setting, part in frame.groupby("setting"):
        peer = best[setting]
        ours, theirs = (_figure(part[part["method"] == method], "ap") for method in (default, peer))
        errors = f"{part['errors'].mean():.0f} of {part['samples'].iloc[0]}"
        end = compare_methods(part, default, peer).get(setting, "–")
        lines.append([setting, errors, ours, peer, theirs, end])
    return format_table(["setting", "errors", "default AP", "best peer there", "its AP", "default"], lines)


def failures(rows: Sequence[Row]) -> str:
    """Return which methods have no result in which settings, and why; empty if all have one."""
    frame = pd.DataFrame([row for row in rows if row["error"] is not None])
    if frame.empty:
        return ""
    return "".join(
        f"- {method}: {error} ({part.nunique()} settings, as {part.iloc[0]})\n"
        for (method, error), part in frame.groupby(["method", "error"])["setting"]
    )


def _average_seeds(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the mean over seeds, one line for each setting and one column for each method."""
    return frame.pivot_table(index="setting", columns="method", values=measure)


def _figure(rows: pd.DataFrame, measure: str) -> str:
    """Return mean and spread of one method's measure, as .912 ± .013; a dash where it has none."""
    groups = rows.dropna(subset=[measure]).groupby("setting")[measure]
    spread = np.sqrt((groups.std() ** 2).mean())
    return _number(groups.mean().mean()) + (f" ± {_number(spread)}" if np.isfinite(spread) else "")


def _number(value: float) -> str:
    """Return three decimals without the leading zero."""
    return "–" if np.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)


def format_verdicts(rows: Sequence[Row]) -> str:
    """Return of each verdict how many queues were called so, and the share of their flagged labels that were wrong."""
    found = pd.DataFrame(rows)[["verdict", "purity"]].groupby("verdict")["purity"]
    table = found.agg(["size", "mean", "min", "max"]).reindex(get_args(Verdict)).dropna(subset="size")
    table["size"] = table["size"].astype(int)
    names = ["queues", "flagged that were wrong, mean", "least", "most"]
    return format_frame(table.set_axis(names, axis=1).rename_axis("verdict"), title="The verdict")
