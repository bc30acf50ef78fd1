"""What the columns of a table are: numbers, true or false, dates, categories, or nothing to learn from.

No label is looked at here: `leaks` asks afterwards which columns give the label away. Numbers and booleans are told by their
type alone; text is read once from front to back, because what it holds can be told from all of its values only. A category is a
value that enough rows share: a column of text in which
nearly every value is another one (names, ids, sentences) has none, and is left out with a reason.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import InputError
from tasks.ingest.columns.dates import DatePattern, is_date
from tasks.ingest.columns.inference import notes_on_numbers
from tasks.ingest.columns.numerals import (
    ANY_NUMBER,
    MOST_CODES,
    NumberSurvey,
    Verdict,
    default_decimal,
    without_marks,
)
from tasks.ingest.columns.types import is_numeric
from tasks.ingest.columns.values import as_text
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
# Scripts without blanks between words, and Hangul, say in one character what others say in two: so Twitter counts them.
_DENSE = r"\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Hangul}|\p{Thai}|\p{Lao}|\p{Khmer}|\p{Myanmar}"
_LOOK = 2**16


@dataclass(frozen=True)
class TableColumns:
    """The columns that a table is learned from, and those that are left out, each with the reason."""

    used: tuple[Column, ...]
    left_out: dict[str, str]
    prose: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Text:
    """Counts the values of a column of text."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    present: int = 0
    length: int = 0
    dates: DatePattern = field(default_factory=DatePattern)
    numbers: NumberSurvey = field(default_factory=NumberSurvey)
    overflown: bool = False

    def see(self, column: pa.Array) -> None:
        """Look at one batch."""
        text = as_text(column).drop_null()
        self.rows += len(column)
        self.present += len(text)
        self.length += pc.sum(pc.utf8_length(text)).as_py() or 0
        self.length += pc.sum(pc.count_substring_regex(text, _DENSE)).as_py() or 0
        self.dates.see(text)
        self.numbers.see(text)
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
        }
        return next((why for why, applies in reasons.items() if applies), "")


def survey_default(table: SourceTable, names: Sequence[str]) -> TableColumns:
    """Return which of some columns a table is learned from when nobody named them.

    Args:
        table: The source.
        names: The columns that may be learned from.
    """
    seen = _read_text(table, [name for name in names if pa.types.is_string(table.schema.field(name).type)])
    verdicts = _verdicts(seen)
    used: list[Column] = []
    left_out: dict[str, str] = {}
    for name in names:
        kind = table.schema.field(name).type
        column, why = _typed(name, kind) if name not in seen else _of_text(name, seen[name], verdicts[name])
        if column is not None:
            used.append(column)
        else:
            left_out[name] = why
    prose = tuple(name for name, text in seen.items() if text.is_prose)
    return TableColumns(tuple(used), left_out, prose, _notes(used, verdicts))


def survey_named(table: SourceTable, names: Sequence[str]) -> TableColumns:
    """Return what the columns are that the user named.

    Raises:
        InputError: A column holds numbers but for some values, or nothing that a category could be.
    """
    seen = _read_text(table, [name for name in names if pa.types.is_string(table.schema.field(name).type)])
    verdicts = _verdicts(seen)
    used: list[Column] = []
    for name in names:
        kind = table.schema.field(name).type
        if name not in seen:
            column, why = _typed(name, kind)
        elif verdicts[name].notation is not None or seen[name].numbers.share <= _DIFFERENT:
            column, why = _of_text(name, seen[name], verdicts[name], named=True)
        else:
            raise _not_a_number(table, name)
        if column is None and name in seen and seen[name].is_prose:
            column = Column(name=name, kind="text")
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
    return TableColumns(tuple(used), {}, notes=_notes(used, verdicts))


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


def _verdicts(seen: Mapping[str, _Text]) -> dict[str, Verdict]:
    """Return which columns of text are numbers; where one does not show its decimal mark, the others do."""
    decimal = default_decimal((text.numbers.decimal() for text in seen.values()), ())
    return {name: text.numbers.judge(decimal) for name, text in seen.items()}


def _notes(used: Iterable[Column], verdicts: Mapping[str, Verdict]) -> tuple[str, ...]:
    numbers = [column.name for column in used if column.kind == "number" and column.name in verdicts]
    return tuple(note for name in numbers for note in notes_on_numbers(name, verdicts[name]))


def _of_text(name: str, text: _Text, verdict: Verdict, *, named: bool = False) -> tuple[Column | None, str]:
    """Return what a column of text is, or why it is left out.

    Args:
        name: Its name.
        text: Its values.
        verdict: Whether they are numbers.
        named: Whether the user named the column, so that whole numbers are no ids.
    """
    if text.present and len(text.counts) > 1 and text.dates.found is not None:
        return Column(name=name, kind="date", pattern=text.dates.found), ""
    why = text.why_not()
    codes = text.numbers.are_whole and (text.numbers.padded or len(text.counts) <= MOST_CODES)
    if verdict.notation is not None and not (codes and not why):
        if text.numbers.are_whole and why.startswith("nearly") and not named:
            return None, "nearly every value is a different whole number, written as text"
        return Column(name=name, kind="number", pattern=verdict.notation.pattern), ""
    if verdict.why and (why or len(text.counts) > MOST_CATEGORIES):
        return None, verdict.why
    return (None, why) if why else (Column(name=name, kind="category", categories=text.categories), "")


def _not_a_number(table: SourceTable, name: str) -> InputError:
    """Return the error for a column of text in which most values are numbers and too many are not."""
    row = 0
    for batch in table.scan([name], _LOOK):
        text = without_marks(batch.column(name))
        fits = pc.fill_null(pc.match_substring_regex(text, ANY_NUMBER), fill_value=True)
        if not pc.all(fits).as_py():
            wrong = fits.index(pa.scalar(value=False)).as_py()
            return table.problem(
                row + wrong,
                f"column '{name}': '{text[wrong].as_py()[:40]}' is not a number",
                fix="correct it, name it with --missing, or leave the column out of --features",
            )
        row += batch.num_rows
    return InputError(
        f"column '{name}' writes its numbers in several ways", where=table.uri, fix="write them in one way"
    )
