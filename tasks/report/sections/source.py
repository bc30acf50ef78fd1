"""How the source was read, and what of a table was learned from."""

from tasks.records import Column
from tasks.report.summary import Summary
from tasks.show.parts import Columns, ReportPart, Section, Table, Text
from tasks.show.text import NAME, pluralise, show_plain
from tasks.show.view import RunView

# A note names a column or two and a value; the longest of them.
_LONGEST = 400
# A person looks for one column; beyond this many, the record in steps/ingest.json has them all.
SHOWN = 60
_WHAT = {"number": "number", "boolean": "true or false", "date": "date", "text": "text"}


def build_reading(view: RunView, _: Summary) -> Section | None:
    """Return what a person should know of how the source was read, where there is something."""
    data = view.dataset
    if data is None or not data.notes:
        return None
    rows = [[show_plain(note, _LONGEST)] for note in data.notes]
    table = Table("Decided without being asked", ["What was decided"], rows)
    return Section("reading", "How the source was read", [table], "Reading", folded=True)


def build_columns(view: RunView, _: Summary) -> Section | None:
    """Return the columns of a table, where something was decided about them; numbers alone need no word."""
    data = view.dataset
    if data is None or not (data.left_out or any(column.kind != "number" for column in data.columns)):
        return None
    what = Text(
        f"The models see {pluralise(len(view.feature_names), 'number')} for each sample, made of these columns without a look at "
        "any label: a missing value becomes the column's median and a note that it is missing, a category one number for each "
        "of its values, a date its day, season, weekday and hour."
    )
    rows = [[show_plain(column.name, NAME), _describe_kind(column)] for column in data.columns[:SHOWN]]
    tables: list[ReportPart] = [Table("Learned from", ["Column", "What it is"], rows)]
    if data.left_out:
        left_out = list(data.left_out.items())[:SHOWN]
        rows = [[show_plain(name, NAME), show_plain(why)] for name, why in left_out]
        tables.append(Table("Left out, shown to the reviewer only", ["Column", "Why"], rows))
    return Section("columns", "What the columns are", [what, Columns(tables)], "Columns", folded=True)


def _describe_kind(column: Column) -> str:
    if column.kind != "category":
        return _WHAT[column.kind]
    shown = ", ".join(show_plain(value, 24) for value in column.categories[:6])
    more = f" and {len(column.categories) - 6} more" if len(column.categories) > 6 else ""
    return f"category: {shown}{more}"


SECTIONS = (build_reading, build_columns)
