"""What the text of a source stands for: missing values that the user named, and the types of columns in a format without types.

All values of a column decide its type, not the first ones: true or false, whole numbers, numbers, or text.
In text only an empty field is missing. In numbers the usual marks are too, and so are a few odd words, which are counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.ingest.columns import numerals
from tasks.ingest.columns.notations import Notation
from tasks.ingest.columns.types import is_numeric
from tasks.ingest.columns.units import describe_scale

# As pandas writes whole numbers beside missing ones.
_WHOLE_WITH_POINT = r"^\s*([+-]?\d+)(\.0*)?\s*$"
# As NumPy's savetxt and C write numbers.
_SCIENTIFIC = r"^\s*[+-]?\d\.\d+e[+-]\d\d\s*$"


@dataclass(frozen=True)
class Conversion:
    """How the columns of a source become what they stand for.

    Attributes:
        missing: What else stands for a missing value.
        types: Type of each column that is text in the file and something else here.
        notations: How the numbers among them are written.
        whole: Columns of text whose values lose a point and zeros: 3.0 is 3.
        headers: Rows of the source that repeat the header, as where files were joined: they hold nothing.
        notes: What a person should know of this, a line each.
    """

    missing: frozenset[str] = frozenset()
    types: dict[str, pa.DataType] = field(default_factory=dict)
    notations: dict[str, Notation] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()
    headers: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def in_file(self, column: pa.Field) -> pa.Field:
        """Return a column as the file holds it."""
        return column.with_type(pa.string()) if column.name in self.types else column

    def convert(self, batch: pa.RecordBatch, first: int = 0) -> pa.RecordBatch:
        """Return a batch of the file with the values that its text stands for, given the number of its first row."""
        values: Iterable[pa.Array] = batch.columns
        if inside := [row - first for row in self.headers if 0 <= row - first < batch.num_rows]:
            header = pa.array(np.isin(np.arange(batch.num_rows), inside))
            values = (pc.if_else(header, None, column) for column in batch.columns)
        columns = map(self._convert_column, batch.schema.names, values)
        return pa.RecordBatch.from_arrays(list(columns), names=batch.schema.names)

    def _convert_column(self, name: str, column: pa.Array) -> pa.Array:
        column = self._blank_missing(column)
        if name in self.types:
            column = _cast(column, self.types[name], self.notations.get(name, Notation()))
        if name in self.whole:
            column = self._blank_missing(_write_whole(column))
        return _blank_missing_numbers(column, self.missing)

    def _blank_missing(self, column: pa.Array) -> pa.Array:
        if not self.missing or not pa.types.is_string(column.type):
            return column
        named = pc.is_in(pc.utf8_trim_whitespace(column), value_set=pa.array(sorted(self.missing)))
        return pc.if_else(named, None, column)


AS_WRITTEN = Conversion()


def infer_types(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    as_text: frozenset[str],
    missing: frozenset[str],
    delimiters: Sequence[str],
) -> Conversion:
    """Read everything once and return what each column of text stands for.

    Args:
        batches: All rows, as the files hold them, without what is missing.
        as_text: Columns that stay text, whatever their values look like: labels, ids.
        missing: What else stands for a missing value.
    """
    text = [column.name for column in schema if pa.types.is_string(column.type)]
    surveys = {name: numerals.NumberSurvey() for name in text if name not in as_text}
    kept = {name: _WholeNumbers() for name in text if name in as_text}
    headers: list[int] = []
    first = 0
    for whole_batch in batches:
        header = _find_headers(whole_batch)
        headers += (first + np.flatnonzero(header)).tolist()
        first += whole_batch.num_rows
        batch = whole_batch.filter(pa.array(~header)) if header.any() else whole_batch
        for name, survey in surveys.items():
            survey.see(batch.column(name))
        for name, whole in kept.items():
            whole.see(batch.column(name))
    decimal = numerals.choose_decimal((survey.decimal() for survey in surveys.values()), delimiters)
    verdicts = {name: survey.judge(decimal) for name, survey in surveys.items()}
    types = {name: _choose_type(survey, verdicts[name]) for name, survey in surveys.items()}
    return Conversion(
        missing,
        {name: kind for name, kind in types.items() if not pa.types.is_string(kind)},
        {name: verdict.notation for name, verdict in verdicts.items() if verdict.notation is not None},
        frozenset(name for name, whole in kept.items() if whole.all and whole.pointed),
        tuple(headers),
        (
            *_describe_headers(len(headers)),
            *(note for name, verdict in verdicts.items() for note in describe_numbers(name, verdict)),
        ),
    )


def _find_headers(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Return which rows repeat the header: every column has its own name, and there are two or more."""
    found = np.full(batch.num_rows, batch.num_columns > 1)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if not found.any() or not pa.types.is_string(column.type):
            return np.zeros(batch.num_rows, np.bool_)
        same = pc.equal(pc.utf8_trim_whitespace(column), name)
        found &= pc.fill_null(same, fill_value=False).to_numpy(zero_copy_only=False)
    return found


def _describe_headers(count: int) -> tuple[str, ...]:
    one = "1 row repeats the header, as where files were joined, and counts as empty"
    many = f"{count:,} rows repeat the header, as where files were joined, and count as empty"
    return (one if count == 1 else many,) if count else ()


def describe_numbers(name: str, verdict: numerals.NumberVerdict) -> Iterator[str]:
    """Yield what a person should know of a column of text that is read as numbers."""
    if verdict.notation is None:
        return
    if scale := describe_scale(verdict.notation.unit):
        yield f"column '{name}': {scale}"
    if verdict.odd:
        example = verdict.example[:40]
        one = f"1 value that is no number, '{example}', counts as missing"
        many = f"{verdict.odd:,} values that are no numbers, such as '{example}', count as missing"
        yield f"column '{name}': {one if verdict.odd == 1 else many}"
    for told in filter(None, (verdict.unclear, verdict.rough)):
        value = numerals.parse_numbers(pa.array([told]), verdict.notation)[0].as_py()
        if value is not None:
            yield f"column '{name}': '{told}' and its like are read as {value:g}"


@dataclass
class _WholeNumbers:
    """Whether all values of a column are whole numbers, some with a point."""

    all: bool = True
    pointed: bool = False

    def see(self, column: pa.Array) -> None:
        text = column.drop_null()
        self.all = self.all and (_are_whole(text) or _are_whole(_write_whole(text)))
        self.pointed = self.all and (self.pointed or bool(pc.any(pc.match_substring(text, ".")).as_py()))


def _are_whole(text: pa.Array) -> bool:
    return pc.all(pc.match_substring_regex(text, _WHOLE_WITH_POINT)).as_py() is not False


def _write_whole(text: pa.Array) -> pa.Array:
    """Return numbers without a point and zeros, those in scientific notation as others.

    >>> _write_whole(pa.array(["3.0", "7", "1.200e+01", "1.25e+01", "1e5"])).to_pylist()
    ['3', '7', '12', '1.25e+01', '1e5']
    """
    scientific = pc.match_substring_regex(text, _SCIENTIFIC)
    if pc.any(scientific).as_py():
        numbers = pc.if_else(scientific, text, None).cast(pa.float64())
        numbers = pc.if_else(pc.equal(numbers, pc.round(numbers)), numbers, None)
        text = pc.coalesce(numbers.cast(pa.int64(), safe=False).cast(pa.string()), text)
    return pc.replace_substring_regex(text, _WHOLE_WITH_POINT, r"\1")


def _choose_type(survey: numerals.NumberSurvey, verdict: numerals.NumberVerdict) -> pa.DataType:
    """Return the type of a column; one with no value but marks of missing ones has none."""
    if survey.present == 0:
        return pa.null()
    if survey.are_truths:
        return pa.bool_()
    if verdict.notation is None:
        return pa.string()
    return pa.int64() if survey.are_whole else pa.float64()


def _cast(column: pa.Array, kind: pa.DataType, notation: Notation) -> pa.Array:
    if pa.types.is_null(kind):
        return pa.nulls(len(column))
    if pa.types.is_boolean(kind):
        text = numerals.drop_missing_marks(column)
        known = pc.is_in(text, value_set=pa.array(numerals.TRUE + numerals.FALSE))
        return pc.if_else(known, pc.is_in(text, value_set=pa.array(numerals.TRUE)), None)
    if pa.types.is_integer(kind):
        return numerals.drop_missing_marks(column).cast(kind)
    return numerals.parse_numbers(column, notation)


def _blank_missing_numbers(column: pa.Array, missing: frozenset[str]) -> pa.Array:
    """Return a column of numbers without those that stand for a missing value, such as -999."""
    if not missing or not is_numeric(column.type) or pa.types.is_boolean(column.type):
        return column
    marks = [number for number in map(_number, missing) if number is not None]
    named = pc.is_in(column.cast(pa.float64(), safe=False), value_set=pa.array(marks, pa.float64()))
    return pc.if_else(named, None, column)


def _number(mark: str) -> float | None:
    try:
        return float(mark)
    except ValueError:
        return None
