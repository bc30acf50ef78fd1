"""How this run was made, and what replays it."""

from collections.abc import Mapping

from tasks.report.summary import Summary
from tasks.show.parts import Cell, Columns, Command, Part, Section, Table
from tasks.show.text import plain
from tasks.show.view import RunView

LONG = 90


def build(view: RunView, summary: Summary) -> Section:
    """Return options and versions."""
    tables: list[Part] = []
    options = {"source": summary["source"]} if "source" in summary else {}
    options |= {name: value for name, value in summary.get("audit", {}).items() if name != "members"}
    if options:
        tables.append(_table("Options", ["Option", "Value"], options))
    tables.append(_table("Versions", ["Package", "Version"], summary["versions"]))
    parts: list[Part] = [Columns(tables)]
    if view.path("config.yaml"):
        replay = f"labelsweep clean --config {view.folder / 'config.yaml'}"
        parts.insert(0, Command("Replay this run", replay))
    return Section("settings", "How this run was made", parts, "Settings")


def _table(caption: str, header: list[str], values: Mapping[str, object]) -> Table:
    rows = [[Cell(plain(name).replace("_", " ")), Cell(plain(value, LONG))] for name, value in values.items()]
    return Table(caption, header, rows)
