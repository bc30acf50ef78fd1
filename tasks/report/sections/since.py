"""What changed since the last run of the data set, and how its runs have gone so far."""

from collections.abc import Mapping
from typing import Any

from tasks.records import Reask
from tasks.report.summary import Summary
from tasks.runs.data_sets import read_date
from tasks.show.parts import Cell, Facts, ReportPart, Section, Table, TableRows, Text
from tasks.show.text import format_decimal, format_share, pluralise, show_plain
from tasks.show.view import RunView

# Nights that are worth a line: what came before them is in the earlier reports.
TREND = 14
# Characters of what has drifted: more than a cell of a table.
_DRIFT = 2_000


def build(view: RunView, summary: Summary) -> Section | None:
    """Return the changes and the trend; None for the first run of a data set."""
    since: dict[str, Any] | None = view.json("since.json")
    before: dict[str, Any] = view.json("before.json") or {}
    trend = before.get("trend") or []
    if since is None or since.get("previous") is None or "queue" not in summary:
        return None
    rows, flagged = since["rows"], since["flagged"]
    facts = [
        ("New rows", f"{rows['new']:,}", f"of {rows['new'] + rows['changed'] + rows['same']:,}"),
        ("Changed rows", f"{rows['changed']:,}", "content or given label"),
        ("Removed rows", f"{rows['removed']:,}", ""),
        ("Newly flagged", f"{flagged['newly']:,}", f"of {flagged['now']:,} flagged"),
        ("No longer flagged", f"{since['no_longer_flagged']:,}", ""),
    ]
    unflagged = summary["queue"].get("queued_unflagged", 0)
    doubted = f", and the {pluralise(unflagged, 'other sample')} that the models doubt most"
    others = doubted if unflagged else ""
    text = (
        f"Compared with the run of {show_plain(view.name)} of {_show_date(since['previous'])} UTC. "
        f"This queue shows {pluralise(view.queued - unflagged, 'new, changed or newly flagged sample')}{others}."
    )
    if since["open"]:
        verb = "is" if since["open"] == 1 else "are"
        text += f" {pluralise(since['open'], 'sample')} of earlier queues {verb} still open (open.parquet names the run of each)."
    if since["decided"]:
        text += f" People have decided on {pluralise(since['decided'], 'flagged sample')} before; nobody is asked again of these."
    drift = view.validation.drift if view.validation else ()
    parts: list[ReportPart] = [
        Text(text),
        *(
            [Text(f"What the data are like has changed: {show_plain('; '.join(drift), _DRIFT)}.")]
            if drift
            else []
        ),
        *(Text(f"{line[:1].upper()}{line[1:]}.") for line in describe_rows_known(since)),
        Facts(facts),
        _tabulate_trend([*trend[-TREND:], _describe_this_run(view, summary)]),
    ]
    return Section("since", "Since the last run", parts, "Since last run")


def describe_rows_known(since: Mapping[str, Any], reask: Reask = "never") -> list[str]:
    """Say in a line each which rows of the last run have other ids, and which decisions are asked for once more.

    >>> describe_rows_known({"rows": {"other_ids": 2}, "asked_again": {"content": 1, "label": 0}})
    ['ids: 2 rows have another id than in the last run; they are known by their content', \
'decisions: 1 sample that people decided on is asked about again, as its content changed']
    """
    lines = []
    if renamed := since.get("rows", {}).get("other_ids", 0):
        verb, they = ("has", "it is known by its") if renamed == 1 else ("have", "they are known by their")
        lines.append(
            f"ids: {pluralise(renamed, 'row')} {verb} another id than in the last run; {they} content"
        )
    for what, count in since.get("asked_again", {}).items():
        if count:
            verb, its = ("is", "its") if count == 1 else ("are", "their")
            who = f"{pluralise(count, 'sample')} that people decided on {verb} asked about again"
            hint = " (--reask label follows rows by --id)" if what == "content" and reask == "content" else ""
            lines.append(f"decisions: {who}, as {its} {what} changed{hint}")
    return lines


def _describe_this_run(view: RunView, summary: Summary) -> dict[str, Any]:
    return {
        "run_id": view.run_id,
        "rows": summary["data"]["rows"],
        "flagged": summary["queue"]["flagged"],
        "noise_rate": summary["queue"]["estimated_noise_rate"],
        "reviewed": 0,
        "precision": None,
    }


def _show_date(run_id: str) -> str:
    """Return when a run began, as its id says; the id where a person gave it another."""
    began = read_date(run_id)
    return f"{began:%Y-%m-%d %H:%M}" if began else show_plain(run_id)


def _tabulate_trend(runs: list[dict[str, Any]]) -> Table:
    most = max((run["noise_rate"] or 0.0 for run in runs), default=0.0) or 1.0
    lines: TableRows = [
        [
            Cell(_show_date(run["run_id"]), strong=run is runs[-1]),
            run["rows"],
            run["flagged"],
            Cell(format_share(run["noise_rate"], 1), (run["noise_rate"] or 0.0) / most),
            run["reviewed"] or "–",
            format_decimal(run["precision"], 2),
        ]
        for run in runs
    ]
    header = ["Run", "Rows", "Flagged", "Wrong labels", "Reviewed", "Precision"]
    caption = (
        "The runs of this data set, oldest first, in UTC; wrong labels are estimated; precision is the share of reviewed "
        "samples whose label was wrong (–: none was reviewed)"
    )
    return Table(caption, header, lines, numeric=frozenset({1, 2, 3, 4, 5}))
