"""Markdown tables of a quality campaign.

A figure is the mean over settings of the mean over seeds; the spread behind it is the standard deviation
between the seeds of a setting (root mean square over settings). Two methods are compared setting by setting
on the same seeds: the first wins where its mean lead is above one standard error of the lead, loses where it
is below minus one, ties between.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd

from tasks.bench.datasets import Floats
from tasks.bench.tables import markdown

Outcome = Literal["win", "tie", "loss"]

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


def measured(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows that have measures as a frame, one line for each setting, seed and method."""
    frame = pd.DataFrame([row for row in rows if row["error"] is None])
    for column in (*COLUMNS, "flagged", "seconds"):
        if column in frame:
            frame[column] = frame[column].astype(float)
    return frame


def outcome(lead: Floats) -> Outcome:
    """Return who is ahead, from the leads of one method over another on a setting's seeds, (seeds,).

    >>> [outcome(np.array(lead)) for lead in ([0.01, 0.02, 0.03], [-0.01, 0.02, 0.0], [-0.1, -0.1])]
    ['win', 'tie', 'loss']
    """
    error = float(lead.std(ddof=1)) / np.sqrt(len(lead)) if len(lead) > 1 else 0.0
    if abs(float(lead.mean())) <= error:
        return "tie"
    return "win" if lead.mean() > 0 else "loss"


def outcomes(frame: pd.DataFrame, first: str, second: str, measure: str = "ap") -> dict[str, Outcome]:
    """Return the outcome of `first` against `second` in each setting where both have measures."""
    table = frame.pivot_table(index=["setting", "seed"], columns="method", values=measure)
    if first not in table or second not in table:
        return {}
    lead = (table[first] - table[second]).dropna()
    return {str(name): outcome(part.to_numpy()) for name, part in lead.groupby(level="setting")}


def best_peers(frame: pd.DataFrame, measure: str = "ap") -> dict[str, str]:
    """Return for each setting the peer that is best there, chosen with the truth at hand."""
    means = _setting_means(frame[frame["block"] == "peers"], measure)
    return {str(setting): str(line.idxmax()) for setting, line in means.iterrows()}


def overview(frame: pd.DataFrame, default: str) -> str:
    """Return the table of all methods, best first in each block, and how the default fares against each."""
    ranks = _setting_means(frame, "ap").rank(axis=1, ascending=False)
    settings = frame["setting"].nunique()
    heads = [
        "method",
        "block",
        "package",
        *COLUMNS.values(),
        "mean rank",
        "default wins / ties / losses",
        "settings",
    ]
    lines: list[list[str]] = []
    for block, title in BLOCKS.items():
        part = frame[frame["block"] == block]
        means = _setting_means(part, "ap").mean().sort_values(ascending=False)
        for method in map(str, means.index):
            own = part[part["method"] == method]
            cells = [_figure(own, column) for column in COLUMNS]
            count = own["setting"].nunique()
            rank = f"{ranks[method].mean():.1f}" if count == settings else "–"
            name = f"**{method}**" if method == default else method
            lines.append(
                [
                    name,
                    title,
                    str(own["package"].iloc[0]),
                    *cells,
                    rank,
                    _tally(frame, default, method),
                    f"{count}",
                ]
            )
    return markdown(heads, lines)


def verdict(frame: pd.DataFrame, default: str) -> str:
    """Return what the figures say of the default: its places, and how often no peer beats it."""
    against = [
        outcomes(frame[frame["setting"] == setting], default, peer)[setting]
        for setting, peer in best_peers(frame).items()
        if default in set(frame.loc[frame["setting"] == setting, "method"])
    ]
    if not against:
        return "The default was not run on these settings.\n"
    held = len(against) - against.count("loss")
    count = f"{against.count('win')} wins, {against.count('tie')} ties, {against.count('loss')} losses"
    share = f"wins or ties in {100 * held / len(against):.0f} % of {len(against)} settings"
    lines = [
        _place(frame, default, "ap", "AP"),
        _place(frame, default, "f1", "F1 at its own threshold"),
        *_against_each(frame, default),
        f"Against the best peer of each setting, picked with the truth at hand: {count}; {share}.",
    ]
    return "".join(f"- {line}\n" for line in lines)


def _against_each(frame: pd.DataFrame, default: str) -> list[str]:
    """Return how the default fares against the one peer that holds out best against it; nothing where there is no peer."""
    shares: dict[str, tuple[float, int]] = {}
    for peer in sorted(set(frame.loc[frame["block"] == "peers", "method"])):
        found = list(outcomes(frame, default, peer).values())
        if found:
            shares[peer] = (1 - found.count("loss") / len(found), len(found))
    if not shares:
        return []
    peer, (share, count) = min(shares.items(), key=lambda item: item[1][0])
    line = f"Against each peer by itself: wins or ties in at least {100 * share:.0f} % of the settings"
    return [f"{line}; closest is {peer} ({count} settings)."]


def breakdown(frame: pd.DataFrame, by: str, measure: str = "ap") -> str:
    """Return the mean of one measure for each method and each value of `by`: noise, rate or data."""
    means = (
        frame.groupby(["method", "setting", by])[measure].mean().groupby(["method", by]).mean().unstack(by)
    )
    order = _setting_means(frame, measure).mean().sort_values(ascending=False).index
    show: Callable[[Any], str] = (lambda value: f"{100 * value:.0f} %") if by == "rate" else str
    lines = [[str(method), *map(_number, means.loc[method])] for method in order if method in means.index]
    return markdown(["method", *map(show, means.columns)], lines)


def by_setting(frame: pd.DataFrame, default: str) -> str:
    """Return each setting: the default's AP beside that of the best peer there, and the outcome."""
    lines: list[list[str]] = []
    for setting, peer in sorted(best_peers(frame).items()):
        part = frame[frame["setting"] == setting]
        result = outcomes(part, default, peer).get(setting, "–")
        figures = [_figure(part[part["method"] == method], "ap") for method in (default, peer)]
        errors = f"{part['errors'].mean():.0f} of {part['samples'].iloc[0]}"
        lines.append([setting, errors, figures[0], peer, figures[1], result])
    return markdown(["setting", "errors", "default AP", "best peer there", "its AP", "default"], lines)


def failures(rows: Iterable[dict[str, Any]]) -> str:
    """Return which methods gave no result where, and why; empty if all did."""
    frame = pd.DataFrame([row for row in rows if row["error"] is not None])
    if frame.empty:
        return ""
    groups = frame.groupby(["method", "error"])["setting"]
    lines = [
        f"- {method}: {error} ({part.nunique()} settings, as {part.iloc[0]})"
        for (method, error), part in groups
    ]
    return "\n".join(lines) + "\n"


def _setting_means(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the mean over seeds, one line for each setting and one column for each method."""
    return frame.pivot_table(index="setting", columns="method", values=measure)


def _place(frame: pd.DataFrame, default: str, measure: str, title: str) -> str:
    shown = frame[frame["block"].eq("peers") | frame["method"].eq(default)]
    table = _setting_means(shown, measure)
    table = table.loc[
        :, table.notna().sum() == len(table)
    ]  # only those that ran on every setting can be averaged
    if default not in table:
        return f"{title}: the default was not run on every setting."
    means = table.mean().sort_values(ascending=False)
    rivals = means.drop(default)
    place = 1 + int((rivals > means[default]).sum())
    best = (
        f"the best peer is {rivals.index[0]} with {rivals.iloc[0]:.3f}" if len(rivals) else "no peer has one"
    )
    return f"Mean {title}: {means[default]:.3f}, place {place} of {len(means)}; {best}."


def _tally(frame: pd.DataFrame, default: str, method: str) -> str:
    found = list(outcomes(frame, default, method).values())
    return (
        f"{found.count('win')} / {found.count('tie')} / {found.count('loss')}"
        if method != default and found
        else "–"
    )


def _figure(rows: pd.DataFrame, measure: str) -> str:
    """Return mean and spread of one method's measure, as .912 ± .013; a dash where it has none."""
    groups = rows.dropna(subset=[measure]).groupby("setting")[measure]
    if not groups.ngroups:
        return "–"
    spread = np.sqrt((groups.std() ** 2).mean())
    return _number(groups.mean().mean()) + (f" ± {_number(spread)}" if np.isfinite(spread) else "")


def _number(value: float) -> str:
    """Return three decimals without the leading zero."""
    return "–" if np.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)
