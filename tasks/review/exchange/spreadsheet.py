"""`queue.csv` or `queue.xlsx`, filled in by a person in a spreadsheet program, read back as decisions.

Spreadsheet programs change what they save: separator, encoding, numbers. What can be understood without a guess is (see
`tasks.review.exchange.cells`); everything else is said, row by row, and then nothing is imported.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fsspec.implementations.local import LocalFileSystem

from tasks.errors import InputError
from tasks.ingest.source import Part
from tasks.ingest.text.dialect import detect_dialect
from tasks.queue.open_samples import OPEN
from tasks.review.exchange.cells import IdFinder, Labels, strip_apostrophe
from tasks.review.exchange.incoming import Imported, Incoming, import_decisions, refuse_import
from tasks.runs.finished import read_dataset
from tasks.runs.request import read_data_set_key
from tasks.storage import read_parquet

NEEDED: Final = ("sample_id", "decision", "new_label")
WORKBOOKS: Final = (".xlsx", ".xlsm", ".xls", ".ods")
# Longer than any cell that a spreadsheet can hold (32,767 characters in the strictest one).
_FIELD_LIMIT: Final = 1_000_000


def import_spreadsheet(file: Path, run: Path, out: Path, *, reviewer: str = "spreadsheet") -> Imported:
    """Import the `decision` and `new_label` columns of a CSV file or a workbook.

    A row with neither is one that nobody decided; a row with only a new label is a relabel. A `reviewer`
    column, where there is one, names who decided. Of what `labelsweep export` wrote, a `standing` column leaves
    out what no longer stands, and `control` the answers to reviewer checks.

    Args:
        file: The file, as Excel or LibreOffice saves it: any separator, UTF-8 or the local encoding, or a workbook.
        out: The output folder, where the log is.
        reviewer: Who decided, for rows that do not say so.

    Raises:
        InputError: The file is no such table, or at least one row is wrong; nothing was written.
    """
    rows = _read(file)
    labels = Labels(read_dataset(run).offered)
    ids = IdFinder(_read_asked(run))
    decided = [(number, row) for number, row in rows if _is_decided(row)]
    seen: dict[tuple[str, str], int] = {}
    twice = []
    incoming = []
    for number, row in decided:
        one = _read_row(number, row, ids, labels, reviewer)
        if (before := seen.setdefault((one.sample_id, one.reviewer), number)) != number:
            twice.append(f"{one.where}: {one.sample_id!r} is already decided in row {before}")
        incoming.append(one)
    refuse_import(twice, file.name)
    empty = len(rows) - len(decided)
    return import_decisions(run, out, incoming, origin="csv", source=file.name, empty=empty)


def find_run_of_sheet(file: Path, newest: Path) -> Path:
    """Return the run whose queue a file is: the newest one of the data set that asks about all contents in it.

    Args:
        newest: The newest run of the data set, which is returned where no run does, and where the file names no contents.
    """
    wanted = {row.get("content_hash", "").strip() for _, row in _read(file) if _is_decided(row)} - {""}
    runs = sorted((path.parent for path in newest.parent.glob("*/manifest.json")), reverse=True)
    key = read_data_set_key(newest)
    of_data_set = (run for run in runs if not run.is_symlink() and read_data_set_key(run) == key)
    return next((run for run in of_data_set if wanted <= dict(_read_asked(run)).keys()), newest)


def _read_asked(run: Path) -> list[tuple[str, str]]:
    """Return content and id of each sample that a run asks about: in its queue, or still open from an earlier one."""
    paths = [path for name in ("queue.parquet", OPEN) if (path := run / name).exists()]
    tables = [read_parquet(path, columns=["content_hash", "sample_id"]) for path in paths]
    return [(row["content_hash"], row["sample_id"]) for table in tables for row in table.to_pylist()]


def _is_decided(row: Mapping[str, str]) -> bool:
    stands = row.get("standing", "").strip().lower() not in ("false", "0", "no")
    is_check = "standing" in row and row.get("control", "").strip() in ("clean", "flip")
    return stands and not is_check and bool(row["decision"].strip() or row["new_label"].strip())


def _read_row(number: int, row: Mapping[str, str], ids: IdFinder, labels: Labels, reviewer: str) -> Incoming:
    seconds = row.get("seconds", "").strip()
    given = row.get("given_label", "")
    return Incoming(
        where=f"row {number}",
        sample_id=ids.find(strip_apostrophe(row["sample_id"]), row.get("content_hash", "").strip()),
        verdict=row["decision"].strip().lower(),
        new_label=labels.find(row["new_label"]) if row["new_label"].strip() else "",
        content_hash=row.get("content_hash", "").strip(),
        given_label=labels.find(given) if given else "",
        reviewer=" ".join(row.get("reviewer", "").split()) or reviewer,
        comment=row.get("comment", "").strip(),
        seconds=float(seconds) if seconds.replace(".", "", 1).isdecimal() else None,
        time=row.get("time", "").strip(),
    )


def _read(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows with the numbers that a spreadsheet shows beside them."""
    try:
        read = _read_workbook_rows if file.suffix.lower() in WORKBOOKS else _read_text_rows
        numbered = list(read(file))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", where=str(file)) from error
    names = [name.strip() for name in numbered[0][1]] if numbered else []
    _check_header(names, file)
    rows = [(number, line) for number, line in numbered[1:] if any(line)]
    short = [(number, len(line)) for number, line in rows if len(line) != len(names)]
    has = f"columns, the header has {len(names)}"
    refuse_import([f"row {number}: {size} {has}" for number, size in short], file.name)
    return [(number, dict(zip(names, line, strict=True))) for number, line in rows]


def _read_text_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield header and rows of delimited text, each with its number among the lines that hold something."""
    try:
        dialect = detect_dialect(Part(LocalFileSystem(), str(file), str(file)), frozenset(NEEDED))
    except InputError as error:
        fix = "save it as CSV UTF-8 or as a workbook"
        raise InputError(error.what, where=error.where, fix=fix) from error
    with file.open(encoding=dialect.encoding, newline="") as opened:
        text = opened.read()
    csv.field_size_limit(_FIELD_LIMIT)
    # Nothing but these ends a line: a cell that holds another of Unicode's line ends comes without quotes.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True)
    try:
        for _ in range(dialect.skipped_lines):
            next(reader)
        yield from enumerate(reader, start=dialect.skipped_lines + 1)
    except csv.Error as error:
        raise InputError(f"not a table ({error})", where=str(file), fix="save it as CSV") from error


def _read_workbook_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield header and rows of the first sheet as text."""
    from python_calamine import CalamineError, load_workbook  # noqa: PLC0415 (only for workbooks)

    try:
        rows = load_workbook(file).get_sheet_by_index(0).to_python(skip_empty_area=False)
    except CalamineError as error:
        what = f"no workbook that can be read ({error})"
        raise InputError(what, where=str(file), fix="save it as .xlsx without a password") from error
    for number, row in enumerate(rows, start=1):
        yield number, [_format_cell(value) for value in row]


def _format_cell(value: Any) -> str:  # noqa: ANN401 (what a cell holds)
    """Return a cell as a person sees it: whole numbers without a fraction."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_header(names: Sequence[str], file: Path) -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        what = f"no column {' and '.join(map(repr, missing))}"
        raise InputError(what, where=str(file), fix="start from the run's queue.csv")
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise InputError(f"column {double!r} occurs twice", where=str(file), fix="remove one of them")
