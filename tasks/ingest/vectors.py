r"""Vectors: lists of numbers, and what people write for them in a column of text.

Text is a vector where it is a list ("[0.1, 0.2]"), numbers between blanks, commas, semicolons or bars, or what numpy and torch
print ("[ 0.1  0.2\\n 0.3]", "array([0.1, 0.2])"). numpy prints an array of more than 1,000 numbers with "..." in its middle: such
text has lost them.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.arrays import Array
from tasks.errors import InputError
from tasks.ingest.columns.types import is_embedding
from tasks.ingest.columns.values import convert_to_floats
from tasks.ingest.table import SourceTable

# As many rows show what a column holds; more would be read twice for little.
LOOK = 1024
# Of the values of a column of vectors, as many may be something else: these rows are set aside. It is a quarter of what the
# default tolerance allows, so that a few such columns stay below it.
_ODD = 0.05
# Without brackets, fewer numbers than this may be a telephone number or a price; with decimal points, three are a vector.
_PLAIN_NUMBERS = 8
_PLAIN_DECIMALS = 3
# The shortest vectors that are published have 25 numbers (GloVe's of Twitter). Fewer beside numbers may be a box or a colour.
_LEAST_WIDE = 25
# Most of the values.
_HALF = 0.5
# What a message shows of a value.
_SHOWN = 40

_WRAPPED = re.compile(
    r"^\s*(?:\w+\.)*(?:array|tensor)\s*\(|(?:,\s*(?:dtype|device|shape|grad_fn|requires_grad)\s*=[^=]*)*\)\s*$"
)
_SCALAR = re.compile(r"(?:np|numpy)\.\w+\(([^()]*)\)")
_DECIMAL_COMMA = re.compile(r"\d,\d")
_NULL = re.compile(r"\b(?:None|null)\b")
_BRACKETED = re.compile(r"^\s*(?:(?:\w+\.)*(?:array|tensor)\s*\(\s*)?[\[({].*[\])}]\s*$", re.DOTALL)
_ELLIPSIS = re.compile(r"[0-9.,;\s\[](?:\.\.\.|…)[\s,;\]0-9+-]")
_MARKS = str.maketrans(",;|[](){}", " " * 9)
_VECTOR = pa.list_(pa.float64())
_FIX_CUT = "save the whole vectors: as .npz or Parquet, or as text with ' '.join(map(str, vector))"


@dataclass(frozen=True)
class Vectors:
    """The vectors of one batch.

    Attributes:
        lists: A list of float64 for each row; null where there is none.
        problems: Why the text of a row is not a vector, by its place in the batch.
    """

    lists: pa.Array
    problems: dict[int, str] = field(default_factory=dict)

    @property
    def lengths(self) -> list[int]:
        """How many numbers each vector has."""
        return cast("list[int]", pc.list_value_length(self.lists).drop_null().to_pylist())

    def of_width(self, width: int, column: str) -> tuple[NDArray[np.float32], dict[int, str]]:
        """Return the vectors as (rows, width), NaN where there is none, and why a row has none."""
        lengths = pc.list_value_length(self.lists)
        right = pc.fill_null(pc.equal(lengths, width), fill_value=False)
        problems = dict(self.problems)
        matrix = np.full((len(self.lists), width), np.nan, np.float32)
        mask = right.to_numpy(zero_copy_only=False)
        matrix[mask] = convert_to_floats(self.lists.filter(right).flatten()).reshape(-1, width)
        for row in np.flatnonzero(~mask).tolist():
            length = lengths[row].as_py()
            what = (
                "has no vector" if length is None else f"has a vector of length {length}, most have {width}"
            )
            problems.setdefault(row, f"column '{column}' {what}")
        return matrix, problems


def read_vectors(column: pa.Array, name: str) -> Vectors:
    r"""Return the vectors of a column of lists or of text.

    >>> read_vectors(pa.array(["[0.5, 1]", "[0.5 1.\n 2.]", "0,5;1", None, "cat"]), "v").lists.to_pylist()
    [[0.5, 1.0], [0.5, 1.0, 2.0], [0.5, 1.0], None, None]
    """
    if not pa.types.is_string(column.type):
        return Vectors(column)
    texts = column.to_pylist()
    found = [None if text is None else _parse(text) for text in texts]
    lists = pa.array([None if each is None or not len(each) else each for each in found], _VECTOR)
    wrong = [row for row, each in enumerate(found) if each is None and texts[row] is not None]
    return Vectors(lists, {row: f"column '{name}': {_explain_text(texts[row])}" for row in wrong})


def _parse(text: str) -> Array | None:
    """Return the numbers of a text, none where it is blank; None where it is no vector."""
    if "(" in text:
        text = _WRAPPED.sub("", _SCALAR.sub(r"\1", text))
    if "null" in text or "None" in text:
        text = _NULL.sub("nan", text)
    if ";" in text and _DECIMAL_COMMA.search(text):
        text = text.replace(",", ".")
    try:  # 1_000 is a number for Python alone
        return None if "_" in text else np.fromiter(map(float, text.translate(_MARKS).split()), np.float64)
    except ValueError:
        return None


def measure_width(table: SourceTable, column: str, option: str) -> int:
    """Return the length of most vectors of a column, told by the first of them.

    Raises:
        InputError: There is no vector, the column holds other text, or the lengths differ from row to row.
    """
    seen: Counter[int] = Counter()
    first: str | None = None
    fix = f"name another column with {option}"
    for batch in table.scan([column], LOOK):
        if pa.types.is_string(batch.column(0).type):
            require_whole(batch.column(0), column, table.uri)
        vectors = read_vectors(batch.column(0), column)
        seen.update(vectors.lengths)
        first = first or next(iter(vectors.problems.values()), None)
        if seen.total() >= LOOK:
            break
    if not seen:
        raise table.problem(first or f"column '{column}' has no vector at all", fix=fix)
    width, rows = seen.most_common(1)[0]
    if width == 0:
        raise table.problem(f"the lists in column '{column}' are empty", fix=fix)
    if rows * 2 <= seen.total():
        lengths = ", ".join(f"{length}" for length, _ in seen.most_common(3))
        raise table.problem(
            f"the vectors in column '{column}' have {len(seen)} different lengths ({lengths}{', …' if len(seen) > 3 else ''})",
            fix="give each row one vector of the same length",
        )
    return width


def is_wide(table: SourceTable, column: str) -> bool:
    """Return whether the vectors of a column are long enough to stand for a whole sample."""
    try:
        return measure_width(table, column, "--embedding") >= _LEAST_WIDE
    except InputError:
        return False


def find_vector_columns(table: SourceTable, names: list[str]) -> list[str]:
    """Return which of some columns hold vectors: by their type, or by the first of their texts."""
    texts = [name for name in names if pa.types.is_string(table.schema.field(name).type)]
    head = next(table.scan(texts, LOOK), None) if texts else None
    written = {name for name in texts if head is not None and is_written_vector(head.column(name))}
    return [name for name in names if name in written or is_embedding(table.schema.field(name).type)]


def is_written_vector(column: pa.Array) -> bool:
    """Return whether nearly every text of a column is a vector of one length, whole or cut short.

    >>> is_written_vector(pa.array(["[1, 2]", "[3, 4]"])), is_written_vector(pa.array(["555 123 4567"]))
    (True, False)
    >>> is_written_vector(pa.array(["[0.1 0.2 ... 0.3]"])), is_written_vector(pa.array(["[1]", "[1, 2]", "[]"]))
    (True, False)
    """
    texts = [text for text in column.to_pylist() if text and text.strip()]
    found = [_parse(text) for text in texts]
    bracketed = sum(_BRACKETED.match(text) is not None for text in texts) > _HALF * len(texts)
    cut = _count_cut(texts) if bracketed else 0
    if not texts or sum(each is None for each in found) - cut > _ODD * len(texts):
        return False
    if cut > _HALF * len(texts):
        return True
    lengths = Counter(len(each) for each in found if each is not None and len(each))
    width, rows = lengths.most_common(1)[0] if lengths else (0, 0)
    if rows < (1 - _ODD) * len(texts):
        return False
    points = sum(text.count(".") for text in texts) / len(texts)
    decimal = width >= _PLAIN_DECIMALS and points >= _PLAIN_DECIMALS - 1
    return width > 1 if bracketed else decimal or width >= _PLAIN_NUMBERS


def require_whole(column: pa.Array, name: str, where: str) -> None:
    """Raise InputError where most vectors of a column of text are cut short, as numpy prints long ones."""
    texts = column.drop_null().to_pylist()
    if _count_cut(texts) > _HALF * len(texts):
        raise InputError(
            f"the vectors in column '{name}' are cut short with '...', as numpy prints long arrays",
            where=where,
            fix=_FIX_CUT,
        )


def _count_cut(texts: list[str]) -> int:
    return sum(_ELLIPSIS.search(text) is not None for text in texts)


def _explain_text(text: str) -> str:
    shown = " ".join(text[:_SHOWN].split())
    cut = _ELLIPSIS.search(text)
    return f"the vector '{shown}…' is cut short with '...'" if cut else f"'{shown}' is no vector"
