"""What each step cost, how this run was made, and what replays it."""

import re
from collections.abc import Mapping

from tasks.report.summary import Summary
from tasks.show.parts import Cell, Columns, Command, ReportPart, Section, Table, TableRows
from tasks.show.text import format_seconds, show_plain
from tasks.show.view import RunView

LONG = 90
# What a run chose, which the section on the fit tells.
_IN_THE_FIT = ("members", "opinions", "alone", "model_since")


def build_timing(_: RunView, summary: Summary) -> Section | None:
    """Return time and memory of each step."""
    steps = summary["steps"]
    if not steps:
        return None
    longest = max(step["seconds"] for step in steps) or 1.0
    rows: TableRows = [
        [
            _name(step["step"]),
            Cell(format_seconds(step["seconds"]), step["seconds"] / longest),
            f"{step['peak_memory_mb']:,.0f} MB",
            "–" if step["rows"] is None else f"{step['rows']:,}",
        ]
        for step in steps
    ]
    header = ["Step", "Time", "Peak memory", "Rows"]
    caption = "Time and peak resident memory of the process, step by step; the report itself is not counted"
    table = Table(caption, header, rows, numeric=frozenset({1, 2, 3}))
    return Section("timing", "Time and memory", [table], "Cost", folded=True)


def _name(step: str) -> str:
    """Return a step's name as a person reads it.

    >>> _name("fit-2"), _name("queue")
    ('fit, round 2', 'queue')
    """
    return show_plain(re.sub(r"-(\d+)$", r", round \1", step))


def build_settings(view: RunView, summary: Summary) -> Section:
    """Return options and versions."""
    tables: list[ReportPart] = []
    options = {"source": summary["source"]} if "source" in summary else {}
    options |= {name: value for name, value in summary.get("audit", {}).items() if name not in _IN_THE_FIT}
    if options:
        tables.append(_build_table("Options", ["Option", "Value"], options))
    tables.append(_build_table("Versions", ["Package", "Version"], summary["versions"]))
    parts: list[ReportPart] = [Columns(tables)]
    if view.path("config.yaml"):
        replay = f"labelsweep clean --config {view.folder / 'config.yaml'}"
        parts.insert(0, Command("Replay this run", replay))
    return Section("settings", "How this run was made", parts, "Settings", folded=True)


def _build_table(caption: str, header: list[str], values: Mapping[str, object]) -> Table:
    rows = [[show_plain(name).replace("_", " "), show_plain(value, LONG)] for name, value in values.items()]
    return Table(caption, header, rows)


SECTIONS = (build_timing, build_settings)
