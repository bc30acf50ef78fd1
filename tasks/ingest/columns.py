"""What the columns of a table are: numbers, true or false, dates, categories, or nothing to learn from.

No label is looked at here: `leaks.py` asks afterwards which columns give the label away. Numbers and booleans are told by their
type alone; text is read once from front to back, because what it holds can be told from all of its values only. A category is a
value that enough rows share: a column of text in which
nearly every value is another one (names, ids, sentences) has none, and is left out with a reason.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import InputError
from tasks.ingest.dates import DatePattern, is_date
from tasks.ingest.kinds import is_numeric
from tasks.ingest.labels import as_text
from tasks.ingest.numbers import first_not_number
from tasks.ingest.table import SourceTable
from tasks.records import Column

# A value in fewer rows than this cannot be in every fold of the default five: it says nothing that holds elsewhere.
LEAST_ROWS = 5
# Categories of one column; the rarer ones count as one more. 100 columns of one-hot for a column of text keep a table of a
# few dozen of them narrow enough for an exact Hessian, and the 100 most frequent of anything that people type in by choice
# (countries, products, diagnoses) cover nearly all rows.
MOST_CATEGORIES = 100
# More different values than this are not counted further: the column has no few categories.
_MOST_COUNTED = 50_000
# Where values are shared by fewer than two rows on average, they identify rows.
_DIFFERENT = 0.5
# Category names are words; more characters than this on average, in many variants, are sentences.
_PROSE = 40
_LOOK = 2**16


@dataclass(frozen=True)
class TableColumns:
    """The columns that a table is learned from, and those that are left out, each with the reason."""

    used: tuple[Column, ...]
    left_out: dict[str, str]
    prose: tuple[str, ...] = ()


@dataclass
class _Text:
    """Counts the values of a column of text."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    present: int = 0
    length: int = 0
    dates: DatePattern = field(default_factory=DatePattern)
    overflown: bool = False

    def see(self, column: pa.Array) -> None:
        """Look at one batch."""
        text = as_text(column).drop_null()
        self.rows += len(column)
        self.present += len(text)
        self.length += pc.sum(pc.utf8_length(text)).as_py() or 0
        self.dates.see(text)
        if not self.overflown:
            for item in pc.value_counts(text):
                self.counts[item["values"].as_py()] += item["counts"].as_py()
            self.overflown = len(self.counts) > _MOST_COUNTED

    @property
    def categories(self) -> tuple[str, ...]:
        """The values that enough rows share, most frequent first."""
        enough = [(-count, value) for value, count in self.counts.items() if count >= LEAST_ROWS]
        return tuple(value for _, value in sorted(enough)[:MOST_CATEGORIES])

    @property
    def others(self) -> int:
        """Rows with a value that is no category, or with none."""
        return self.rows - sum(self.counts[value] for value in self.categories)

    @property
    def is_prose(self) -> bool:
        """Whether the values are sentences."""
        return self.length > _PROSE * self.present and len(self.counts) > MOST_CATEGORIES

    @property
    def share_of_numbers(self) -> float:
        """Share of the values that are numbers."""
        total = sum(count for value, count in self.counts.items() if _is_number(value))
        return total / max(1, self.present)

    def why_not(self) -> str:
        """Return why this is no category, or nothing."""
        reasons = {
            "has no value at all": not self.present,
            "has one value only": len(self.counts) == 1 and self.present == self.rows,
            "is free text": self.is_prose,
            "nearly every value is different": self.overflown or len(self.counts) > _DIFFERENT * self.present,
            f"no two values occur in {LEAST_ROWS} rows each": len(self.categories)
            + (self.others >= LEAST_ROWS)
            < 2,
            f"holds numbers but for values like '{self._odd[:40]}'": bool(self._odd),
        }
        return next((why for why, applies in reasons.items() if applies), "")

    @property
    def _odd(self) -> str:
        """The first value that is no number, in a column of many different numbers."""
        if self.share_of_numbers <= _DIFFERENT or len(self.counts) <= MOST_CATEGORIES:
            return ""
        return next((value for value in self.counts if not _is_number(value)), "")


def survey_default(table: SourceTable, names: Sequence[str]) -> TableColumns:
    """Return which of some columns a table is learned from when nobody named them.

    Args:
        table: The source.
        names: The columns that may be learned from.
    """
    seen = _read_text(table, [name for name in names if pa.types.is_string(table.schema.field(name).type)])
    used: list[Column] = []
    left_out: dict[str, str] = {}
    for name in names:
        kind = table.schema.field(name).type
        column, why = _typed(name, kind) if name not in seen else _of_text(name, seen[name])
        if column is not None:
            used.append(column)
        else:
            left_out[name] = why
    prose = tuple(name for name, text in seen.items() if text.is_prose)
    return TableColumns(tuple(used), left_out, prose)


def survey_named(table: SourceTable, names: Sequence[str]) -> TableColumns:
    """Return what the columns are that the user named.

    Raises:
        InputError: A column holds numbers but for some values, or nothing that a category could be.
    """
    seen = _read_text(table, [name for name in names if pa.types.is_string(table.schema.field(name).type)])
    used: list[Column] = []
    for name in names:
        kind = table.schema.field(name).type
        column, why = _typed(name, kind) if name not in seen else _of_text(name, seen[name])
        if name in seen and seen[name].share_of_numbers > _DIFFERENT:
            _check_numbers(table, name)
            column = Column(name=name, kind="number")
        if column is None:
            raise InputError(
                f"column '{name}' {why}"
                if not why.startswith(("nearly", "no two"))
                else f"column '{name}': {why}",
                where=table.uri,
                fix="leave it out of --features"
                + (f", or read it with --text {name}" if name in seen else ""),
            )
        used.append(column)
    return TableColumns(tuple(used), {})


def _read_text(table: SourceTable, names: Sequence[str]) -> dict[str, _Text]:
    seen = {name: _Text() for name in names}
    for batch in table.scan(names, _LOOK) if names else ():
        for name, text in seen.items():
            text.see(batch.column(name))
    return seen


def _typed(name: str, kind: pa.DataType) -> tuple[Column | None, str]:
    """Return a column whose type says what it is, or why it is left out."""
    if pa.types.is_boolean(kind):
        return Column(name=name, kind="boolean"), ""
    if is_numeric(kind):
        return Column(name=name, kind="number"), ""
    if is_date(kind):
        return Column(name=name, kind="date"), ""
    return None, "has no value at all" if pa.types.is_null(kind) else f"holds {kind}"


def _of_text(name: str, text: _Text) -> tuple[Column | None, str]:
    if text.present and len(text.counts) > 1 and text.dates.found is not None:
        return Column(name=name, kind="date", pattern=text.dates.found), ""
    why = text.why_not()
    return (None, why) if why else (Column(name=name, kind="category", categories=text.categories), "")


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _check_numbers(table: SourceTable, name: str) -> None:
    """Raise InputError at the first value of a column of text that is no number."""
    row = 0
    for batch in table.scan([name], _LOOK):
        wrong = first_not_number(batch.column(name))
        if wrong is not None:
            value = batch.column(name)[wrong].as_py()
            raise table.problem(
                row + wrong,
                f"column '{name}': '{value[:40]}' is not a number",
                fix="correct it, or leave the column out of --features",
            )
        row += batch.num_rows
