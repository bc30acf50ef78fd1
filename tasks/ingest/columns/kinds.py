"""What the columns of a table are: numbers, true or false, dates, categories, or nothing to learn from.

No label is looked at here: `leaks` asks afterwards which columns give the label away. Numbers and booleans are told by their
type alone; text is read once from front to back, because what it holds can be told from all of its values only. A category is a
value that enough rows share: a column of text in which
nearly every value is another one (names, ids, sentences) has none, and is left out with a reason.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import InputError
from tasks.ingest.columns.dates import DatePattern, is_date
from tasks.ingest.columns.inference import describe_numbers
from tasks.ingest.columns.numerals import (
    ANY_NUMBER,
    MOST_CODES,
    NumberSurvey,
    NumberVerdict,
    choose_decimal,
    drop_missing_marks,
)
from tasks.ingest.columns.types import is_numeric
from tasks.ingest.columns.values import convert_to_text
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
DIFFERENT = 0.5
_OWN = "nearly every value is different"
# Category names are words; more characters than this on average, in many variants, are sentences.
_PROSE = 40
# Scripts without blanks between words, and Hangul, say in one character what others say in two: so Twitter counts them.
_DENSE = r"\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Hangul}|\p{Thai}|\p{Lao}|\p{Khmer}|\p{Myanmar}"
# Of so many texts the marks of a tree (some sixty) are fewer than the words that a longer text adds to a shorter one.
_MARKED = 100


@dataclass(frozen=True)
class TableColumns:
    """The columns that a table is learned from, and those that are left out, each with the reason.

    Of the latter, `prose` holds sentences, and `phrases` a few words that are others in nearly every row.
    """

    used: tuple[Column, ...]
    left_out: dict[str, str]
    prose: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Text:
    """Counts the values of a column of text."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    present: int = 0
    length: int = 0
    words: int = 0
    dates: DatePattern = field(default_factory=DatePattern)
    numbers: NumberSurvey = field(default_factory=NumberSurvey)
    verdict: NumberVerdict = field(default_factory=NumberVerdict)
    overflown: bool = False

    def see(self, column: pa.Array) -> None:
        """Look at one batch."""
        text = convert_to_text(column).drop_null()
        self.rows += len(column)
        self.present += len(text)
        self.length += pc.sum(pc.utf8_length(text)).as_py() or 0
        dense = pc.sum(pc.count_substring_regex(text, _DENSE)).as_py() or 0
        self.length += dense
        self.words += dense + (pc.sum(pc.count_substring_regex(text, r"\S+")).as_py() or 0)
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
        """Whether the values are sentences, and no categories: many different ones, or few rows of each."""
        few = len(self.counts) > MOST_CATEGORIES or (len(self.counts) > 1 and not self.categories)
        return self.length > _PROSE * self.present and few

    @property
    def is_phrase(self) -> bool:
        """Whether the values have several words each, as titles and short questions do."""
        return self.words >= 2 * self.present > 0 and self.explain_refusal() == _OWN

    def explain_refusal(self) -> str:
        """Return why this is no category, or nothing."""
        common = len(self.categories) + (self.others >= LEAST_ROWS)
        reasons = {
            "has no value at all": not self.present,
            "has one value only": len(self.counts) == 1 and self.present == self.rows,
            "is free text": self.is_prose,
            _OWN: self.overflown or len(self.counts) > DIFFERENT * self.present,
            f"no two values occur in {LEAST_ROWS} rows each": common < 2,
        }
        return next((why for why, applies in reasons.items() if applies), "")


def survey_default(table: SourceTable, names: Sequence[str]) -> TableColumns:
    """Return which of some columns a table is learned from when nobody named them."""
    seen = _read_text(table, names)
    found = {
        name: _describe_text(name, seen[name]) if name in seen else _describe_typed(table, name)
        for name in names
    }
    used = tuple(column for column, _ in found.values() if column is not None)
    left_out = {name: why for name, (column, why) in found.items() if column is None}
    prose = tuple(name for name, text in seen.items() if text.is_prose)
    phrases = tuple(name for name, text in seen.items() if text.is_phrase)
    return TableColumns(used, left_out, prose, phrases, _write_notes(used, seen))


def survey_named(table: SourceTable, names: Sequence[str]) -> TableColumns:
    """Return what the columns are that the user named.

    Raises:
        InputError: A column holds numbers but for some values, or nothing that a category could be.
    """
    seen = _read_text(table, names)
    used: list[Column] = []
    for name in names:
        text = seen.get(name)
        if text and text.verdict.notation is None and text.numbers.share > DIFFERENT:
            raise _make_number_error(table, name)
        column, why = _describe_text(name, text, named=True) if text else _describe_typed(table, name)
        if column is None and text and text.is_prose:
            column = Column(name=name, kind="text")
        if column is None:
            colon = ":" if why.startswith(("nearly", "no two")) else ""
            fix = "leave it out of --features" + (f", or read it with --text {name}" if text else "")
            raise table.problem(f"column '{name}'{colon} {why}", fix=fix)
        used.append(column)
    return TableColumns(tuple(used), {}, notes=_write_notes(used, seen))


def _read_text(table: SourceTable, names: Sequence[str]) -> dict[str, _Text]:
    """Read the columns of text. Where one of numbers does not show its decimal mark, the others do."""
    seen = {name: _Text() for name in names if pa.types.is_string(table.schema.field(name).type)}
    for batch in table.scan(list(seen)) if seen else ():
        for name, text in seen.items():
            text.see(batch.column(name))
    decimal = choose_decimal((text.numbers.decimal() for text in seen.values()), ())
    for text in seen.values():
        text.verdict = text.numbers.judge(decimal)
    return seen


def _describe_typed(table: SourceTable, name: str) -> tuple[Column | None, str]:
    """Return a column whose type says what it is, or why it is left out."""
    kind = table.schema.field(name).type
    if pa.types.is_boolean(kind):
        return Column(name=name, kind="boolean"), ""
    if is_numeric(kind):
        return Column(name=name, kind="number"), ""
    if is_date(kind):
        return Column(name=name, kind="date"), ""
    return None, "has no value at all" if pa.types.is_null(kind) else f"holds {kind}"


def _write_notes(used: Iterable[Column], seen: Mapping[str, _Text]) -> tuple[str, ...]:
    numbers = [column.name for column in used if column.kind == "number" and column.name in seen]
    return tuple(note for name in numbers for note in describe_numbers(name, seen[name].verdict))


def _describe_text(name: str, text: _Text, *, named: bool = False) -> tuple[Column | None, str]:
    """Return what a column of text is, or why it is left out; whole numbers of a column that the user named are no ids."""
    verdict = text.verdict
    if text.present and len(text.counts) > 1 and text.dates.found is not None:
        return Column(name=name, kind="date", pattern=text.dates.found), ""
    why = text.explain_refusal()
    codes = text.numbers.are_whole and (text.numbers.padded or len(text.counts) <= MOST_CODES)
    if verdict.notation is not None and not (codes and not why):
        if text.numbers.are_whole and why.startswith("nearly") and not named:
            return None, "nearly every value is a different whole number, written as text"
        return Column(name=name, kind="number", pattern=verdict.notation.pattern), ""
    if verdict.why and (why or len(text.counts) > MOST_CATEGORIES):
        return None, verdict.why
    return (None, why) if why else (Column(name=name, kind="category", categories=text.categories), "")


def _make_number_error(table: SourceTable, name: str) -> InputError:
    """Return the error for a column of text in which most values are numbers and too many are not."""
    row = 0
    for batch in table.scan([name]):
        text = drop_missing_marks(batch.column(name))
        fits = pc.fill_null(pc.match_substring_regex(text, ANY_NUMBER), fill_value=True)
        if not pc.all(fits).as_py():
            wrong = fits.index(pa.scalar(value=False)).as_py()
            return table.problem(
                f"column '{name}': '{text[wrong].as_py()[:40]}' is not a number",
                fix="correct it, name it with --missing, or leave the column out of --features",
                row=row + wrong,
            )
        row += batch.num_rows
    return table.problem(f"column '{name}' writes its numbers in several ways", fix="write them in one way")


def drop_marked_copies(table: SourceTable, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return texts without those that are another one with marks in it, such as the parse trees of sentences."""
    batch = next(table.scan(list(texts), _MARKED))
    words = {
        name: [set(re.findall(r"\w+", value or "")) for value in batch.column(name)[:_MARKED].to_pylist()]
        for name in texts
    }
    kept: list[str] = []
    for name in sorted(texts, key=lambda name: sum(map(len, words[name]))):
        pairs = [list(zip(words[other], words[name], strict=True)) for other in kept]
        if not any(
            all(few <= many for few, many in each)
            and len(set().union(*(many - few for few, many in each))) <= batch.num_rows
            for each in pairs
        ):
            kept.append(name)
    return tuple(name for name in texts if name in kept)
