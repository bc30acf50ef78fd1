"""`queue.csv`, filled in by a person in a spreadsheet program, read back as decisions.

Spreadsheet programs change what they save: another separator, a byte-order mark, numbers written anew. What
can be understood without a guess is; everything else is said, row by row, and then nothing is imported.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tasks.errors import InputError
from tasks.queue.spreadsheet import neutralise
from tasks.review.deck import read_dataset
from tasks.review.incoming import Imported, Incoming, import_decisions, refuse

NEEDED: Final = ("sample_id", "decision", "new_label")
# Longer than any cell that a spreadsheet can hold (32,767 characters in the strictest one).
_FIELD_LIMIT: Final = 1_000_000


def import_csv(file: Path, run: Path, out: Path, *, reviewer: str = "spreadsheet") -> Imported:
    """Import the `decision` and `new_label` columns of a CSV file.

    A row with neither is one that nobody decided; a row with only a new label is a relabel. A `reviewer`
    column, where there is one, names who decided; a `standing` column, as `labelsweep export` writes it,
    leaves out what no longer stands.

    Args:
        file: The file; comma, semicolon or tab between the columns.
        run: The run folder.
        out: The output folder, where the log lies.
        reviewer: Who decided, for rows that do not say so.

    Raises:
        InputError: The file is no such table, or at least one row is wrong; nothing was written.
    """
    rows = _read(file)
    classes = {str(neutralise(label)): label for label in read_dataset(run).classes}
    decided = [(number, row) for number, row in rows if _is_decided(row)]
    seen: dict[tuple[str, str], int] = {}
    twice = []
    incoming = []
    for number, row in decided:
        one = _incoming(number, row, classes, reviewer)
        if (before := seen.setdefault((one.sample_id, one.reviewer), number)) != number:
            twice.append(f"{one.where}: {one.sample_id!r} is already decided in row {before}")
        incoming.append(one)
    refuse(twice, file.name)
    return import_decisions(
        run, out, incoming, origin="csv", source=file.name, empty=len(rows) - len(decided)
    )


def _is_decided(row: Mapping[str, str]) -> bool:
    stands = row.get("standing", "").strip().lower() not in ("false", "0", "no")
    return stands and bool(row["decision"].strip() or row["new_label"].strip())


def _incoming(number: int, row: Mapping[str, str], classes: Mapping[str, str], reviewer: str) -> Incoming:
    seconds = row.get("seconds", "").strip()
    new_label = row["new_label"]
    return Incoming(
        where=f"row {number}",
        sample_id=_plain(row["sample_id"]),
        verdict=row["decision"].strip().lower(),
        new_label=classes.get(new_label) or classes.get(new_label.strip(), new_label.strip()),
        content_hash=row.get("content_hash", "").strip(),
        given_label=classes.get(row.get("given_label", ""), row.get("given_label", "")),
        reviewer=row.get("reviewer", "").strip() or reviewer,
        comment=row.get("comment", "").strip(),
        seconds=float(seconds) if seconds.replace(".", "", 1).isdecimal() else None,
        time=row.get("time", "").strip(),
    )


def _plain(cell: str) -> str:
    """Take back the apostrophe that keeps a spreadsheet from running a cell.

    >>> _plain("'=1+1"), _plain("it's")
    ('=1+1', "it's")
    """
    return cell[1:] if cell.startswith("'") and neutralise(cell[1:]) == cell else cell


def _read(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows with the numbers that a spreadsheet shows beside them."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            text = opened.read()
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=str(file), fix="save it as CSV UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(file)) from error
    # Nothing but these ends a line: a cell that holds another of Unicode's line ends comes without quotes.
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    separator = max(",;\t", key=header.count)
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"not a table ({error})", where=str(file), fix="save it as CSV") from error
    names = [name.strip() for name in lines[0]] if lines else []
    _check_header(names, file)
    numbered = [(number, line) for number, line in enumerate(lines[1:], start=2) if any(line)]
    short = [
        f"row {number}: {len(line)} columns, the header has {len(names)}"
        for number, line in numbered
        if len(line) != len(names)
    ]
    refuse(short, file.name)
    return [(number, dict(zip(names, line, strict=True))) for number, line in numbered]


def _check_header(names: Sequence[str], file: Path) -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(
            f"no column {' and '.join(repr(name) for name in missing)}",
            where=str(file),
            fix="start from the run's queue.csv",
        )
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise InputError(f"column {double!r} occurs twice", where=str(file), fix="remove one of them")
