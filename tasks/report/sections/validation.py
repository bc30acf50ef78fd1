"""What validation found, and what it set aside."""

from collections.abc import Mapping
from typing import Any

from tasks.report.summary import Summary
from tasks.show.parts import Cell, Part, Section, Table, Text
from tasks.show.text import SENTENCE, counted, plain
from tasks.show.view import RunView
from tasks.storage import open_parquet

EXAMPLES = 6
COLUMNS = 5
REASON = 120

# Of the canonical columns, what a person recognises a row by; the rest of the table is the user's own.
_INTERNAL = frozenset({"features", "content_hash", "image", "reason", "trusted"})


def build(view: RunView, _: Summary) -> Section | None:
    """Return the verdict, the checks, the reasons and a few quarantined rows."""
    validation = view.validation
    if validation is None:
        return None
    parts: list[Part] = [
        Text(
            _verdict(
                validation.rows_in, validation.quarantined, validation.conflicting, validation.duplicates
            )
        )
    ]
    if validation.reasons:
        most = max(validation.reasons.values())
        rows = [
            [Cell(plain(reason, REASON)), Cell(f"{count:,}", count / most)]
            for reason, count in validation.reasons.items()
        ]
        parts.append(Table("Why rows were set aside", ["Reason", "Rows"], rows, numeric=frozenset({1})))
    parts.extend(part for part in (_quarantine(view), _checks(view)) if part is not None)
    return Section("validation", "Validation", parts, "Validation")


def _verdict(rows: int, set_aside: int, conflicting: int, duplicates: int) -> str:
    verb = "was" if set_aside == 1 else "were"
    text = f"All {counted(rows, 'row')} passed."
    if set_aside:
        text = f"{set_aside:,} of {counted(rows, 'row')} failed a check and {verb} set aside; the run went on with the rest."
    if conflicting:
        same = f"{counted(conflicting, 'sample')} with identical content carry different labels"
        text += f" {same}: at least one of each group is wrong."
    if duplicates:
        text += f" {counted(duplicates, 'sample')} {'repeats' if duplicates == 1 else 'repeat'} the content of another one."
    return text


def _quarantine(view: RunView) -> Table | None:
    path = view.path("quarantine.parquet")
    if path is None:
        return None
    with open_parquet(path) as file:
        names = [name for name in file.schema_arrow.names if name not in _INTERNAL][:COLUMNS]
        has_reason = "reason" in file.schema_arrow.names
        batch = next(
            file.iter_batches(batch_size=EXAMPLES, columns=[*names, *(["reason"] if has_reason else [])]),
            None,
        )
        total = file.metadata.num_rows
    rows = batch.to_pylist() if batch is not None else []
    if not rows:
        return None
    cells = [
        [
            *(Cell(plain(row[name])) for name in names),
            *([Cell(plain(row["reason"], REASON))] if has_reason else []),
        ]
        for row in rows
    ]
    shown = (
        f"The first {len(rows):,} of {total:,} rows set aside" if total > len(rows) else "The rows set aside"
    )
    return Table(
        f"{shown} (quarantine.parquet)",
        [plain(name) for name in names] + (["reason"] if has_reason else []),
        cells,
    )


def _checks(view: RunView) -> Table | None:
    """Return every check with whether it holds, those that do not first."""
    result = view.json("validation/result.json")
    checks = result.get("checks") if isinstance(result, dict) else None
    if not checks:
        return None
    rows = [_check(entry) for entry in sorted(checks, key=lambda entry: bool(entry.get("success")))]
    caption = "The checks, as Great Expectations writes them in validation/suite.json"
    return Table(
        caption, ["What is expected", "Asked by", "Holds", "Rows that fail"], rows, numeric=frozenset({3})
    )


def _check(entry: Mapping[str, Any]) -> list[Cell]:
    passed, failed = bool(entry.get("success")), entry.get("unexpected")
    return [
        Cell(plain(entry.get("says") or entry.get("check"), SENTENCE)),
        Cell("you" if entry.get("source") == "user" else "the\u00a0contract"),
        Cell("✓\u00a0yes" if passed else "✗\u00a0no", strong=not passed),
        Cell("–" if failed is None else f"{int(failed):,}"),
    ]
