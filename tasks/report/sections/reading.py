"""How the source was read, where something was decided without being asked."""

from tasks.report.summary import Summary
from tasks.show.parts import Cell, Section, Table
from tasks.show.text import plain
from tasks.show.view import RunView

# A note names a column or two and a value; the longest of them.
_LONGEST = 400


def build(view: RunView, _: Summary) -> Section | None:
    """Return what a person should know of how the source was read, where there is something."""
    data = view.dataset
    if data is None or not data.notes:
        return None
    rows = [[Cell(plain(note, _LONGEST))] for note in data.notes]
    table = Table("Decided without being asked", ["What was decided"], rows)
    return Section("reading", "How the source was read", [table], "Reading")
