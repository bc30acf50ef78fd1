"""What validation found, and what it set aside."""

from collections.abc import Mapping
from typing import Any

from tasks.records import Validation
from tasks.report.summary import Summary
from tasks.show.parts import Cell, ReportPart, Section, Table, TableRows, Text
from tasks.show.text import CELL, SENTENCE, pluralise, show_plain
from tasks.show.view import RunView
from tasks.storage import open_parquet

EXAMPLES = 6
COLUMNS = 5
REASON = 120

_ASKED_BY = {"user": "you", "last run": "the\u00a0last\u00a0run"}

# Of the canonical columns, what a person recognises a row by; the rest of the table is the user's own.
_INTERNAL = frozenset({"features", "content_hash", "image", "reason", "trusted"})


def build(view: RunView, _: Summary) -> Section | None:
    """Return the verdict, the checks, the reasons and a few quarantined rows."""
    validation = view.validation
    if validation is None:
        return None
    parts: list[ReportPart] = [Text(_describe_verdict(validation))]
    if validation.reasons:
        most = max(validation.reasons.values())
        rows: TableRows = [
            [show_plain(reason, REASON), Cell(f"{count:,}", count / most)]
            for reason, count in validation.reasons.items()
        ]
        parts.append(Table("Why rows were set aside", ["Reason", "Rows"], rows, numeric=frozenset({1})))
    parts.extend(part for part in (_tabulate_quarantine(view), _tabulate_checks(view)) if part is not None)
    return Section("validation", "Validation", parts, "Validation", folded=True)


def _describe_verdict(found: Validation) -> str:
    rows, set_aside, duplicates = found.rows_in, found.quarantined, found.duplicates
    verb = "was" if set_aside == 1 else "were"
    text = f"All {pluralise(rows, 'row')} passed."
    if set_aside:
        text = f"{set_aside:,} of {pluralise(rows, 'row')} failed a check and {verb} set aside; the run went on with the rest."
    if found.conflicting:
        same = f"{pluralise(found.conflicting, 'sample')} with identical content carry different labels"
        text += f" {same}: at least one of each group is wrong."
    if duplicates:
        text += f" {pluralise(duplicates, 'sample')} {'repeats' if duplicates == 1 else 'repeat'} the content of another one."
    return text


def _tabulate_quarantine(view: RunView) -> Table | None:
    path = view.path("quarantine.parquet")
    if path is None:
        return None
    with open_parquet(path) as file:
        names = [name for name in file.schema_arrow.names if name not in _INTERNAL][:COLUMNS]
        names += [name for name in file.schema_arrow.names if name == "reason"]
        total = file.metadata.num_rows
    rows = view.first_rows("quarantine.parquet", EXAMPLES, names)
    if not rows:
        return None
    cells = [[show_plain(row[name], REASON if name == "reason" else CELL) for name in names] for row in rows]
    some = total > len(rows)
    shown = f"The first {len(rows):,} of {total:,} rows set aside" if some else "The rows set aside"
    return Table(f"{shown} (quarantine.parquet)", [show_plain(name) for name in names], cells)


def _tabulate_checks(view: RunView) -> Table | None:
    """Return every check with whether it holds, those that do not first."""
    result = view.json("validation/result.json")
    checks = result.get("checks") if isinstance(result, dict) else None
    if not checks:
        return None
    rows = [_check(entry) for entry in sorted(checks, key=lambda entry: bool(entry.get("success")))]
    header = ["What is expected", "Asked by", "Holds", "Rows that fail"]
    caption = "The checks, as Great Expectations writes them in validation/suite.json"
    return Table(caption, header, rows, numeric=frozenset({3}))


def _check(entry: Mapping[str, Any]) -> list[Cell | str]:
    passed, failed = bool(entry.get("success")), entry.get("unexpected")
    return [
        show_plain(entry.get("says") or entry.get("check"), SENTENCE),
        _ASKED_BY.get(str(entry.get("source")), "labelsweep"),
        Cell("✓\u00a0yes" if passed else "✗\u00a0no", strong=not passed),
        "–" if failed is None else f"{int(failed):,}",
    ]
