"""What each step cost."""

import re

from tasks.report.summary import Summary
from tasks.show.parts import Cell, Section, Table
from tasks.show.text import plain, seconds
from tasks.show.view import RunView


def build(_: RunView, summary: Summary) -> Section | None:
    """Return time and memory of each step."""
    steps = summary["steps"]
    if not steps:
        return None
    longest = max(step["seconds"] for step in steps) or 1.0
    rows = [
        [
            Cell(_name(step["step"])),
            Cell(seconds(step["seconds"]), step["seconds"] / longest),
            Cell(f"{step['peak_memory_mb']:,.0f} MB"),
            Cell("–" if step["rows"] is None else f"{step['rows']:,}"),
        ]
        for step in steps
    ]
    header = ["Step", "Time", "Peak memory", "Rows"]
    caption = "Time and peak resident memory of the process, step by step; the report itself is not counted"
    table = Table(caption, header, rows, numeric=frozenset({1, 2, 3}))
    return Section("timing", "Time and memory", [table], "Cost")


def _name(step: str) -> str:
    """Return a step's name as a person reads it.

    >>> _name("fit-2"), _name("queue")
    ('fit, round 2', 'queue')
    """
    return plain(re.sub(r"-(\d+)$", r", round \1", step))
