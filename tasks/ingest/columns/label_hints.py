"""What to do where no column is called the label: a column of classes, or several as one-hot data and raters write them."""

import re
import shlex
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import Array
from tasks.errors import find_close_name, list_names
from tasks.ingest.columns.types import has_text, is_embedding, is_list, is_numeric
from tasks.ingest.columns.values import convert_to_floats, convert_to_text
from tasks.ingest.leaks.column_names import split_words
from tasks.ingest.table import LOOK, SourceTable

# What well-known data sets call their label. The first names mean nothing else: scikit-learn and Kaggle say target, UCI
# and OpenML class, Hugging Face labels. The others need to be the only one, class as well (of tickets in the Titanic): y (UCI
# bank marketing), species (penguins), variety (iris), sentiment (IMDB), diagnosis (breast cancer), outcome (Pima diabetes),
# survived (Titanic), churn (telco), attrition (IBM), income (Adult), category (news), intent (banking77), emotion, topic.
LABEL_NAMES = (
    ("label",),
    ("target", "class", "labels"),
    (
        *("class", "y", "species", "variety", "sentiment", "diagnosis", "outcome", "survived", "churn"),
        *("attrition", "income", "category", "intent", "emotion", "topic"),
    ),
)
# Of rounded shares of a class each row sums to 1 but for the last digit.
_SUM = 0.02
# A class has a sample in each of the five folds of the default, on average.
_ROWS_PER_CLASS = 5
# What people write in the column of a class that is meant, and in those of the others, if anything.
_YES, _NO = {"yes", "y", "x", "\u2713", "\u2714", "true"}, {"no", "n", "-", "", "\u2717", "\u2718", "false"}
# More values than this are no classes of raters.
_MOST_CLASSES = 50
# Columns that a message proposes.
_NAMED = 3


def suggest_label(table: SourceTable, free: Sequence[str] | None = None, name: str = "") -> str | None:
    """Return what to do where a column may be the label, or several are together; None where none is.

    Args:
        free: Columns that mean nothing else.
        name: What the label should be called.
    """
    free = table.schema.names if free is None else free
    batch = next(table.scan(table.schema.names, LOOK), None)
    if batch is None or not batch.num_rows:
        return None
    (shares, yes), raters = _find_shares(batch), _find_raters(batch) if name else []
    if raters and not set(raters) <= set(shares):
        return f"if several people gave the labels, name them with --raters {','.join(raters)}; else name one with --label"
    meant = find_close_name(name, free)
    if meant is not None and has_classes(table, meant):
        return f"did you mean '{meant}'? Name it with --label"
    if shares:
        frame = f"df[[{', '.join(map(repr, shares[:3]))}{', …' if len(shares) > 3 else ''}]]"
        if yes:
            what, which, frame = f"say {yes!r} once in each row", "that one's", f"{frame}.eq({yes!r})"
        else:
            what, which = "sum to 1 in each row, a share for each class", "the largest one's"
        return f"the columns {list_names(shares)} {what}: write a column of {which} name ({frame}.idxmax(axis=1) in pandas)"
    known = {word for names in LABEL_NAMES for word in names}
    named = (each for each in free if known.intersection(split_words(each).split()))
    edges = (each for each in (table.schema.names[-1], table.schema.names[0]) if each in free)
    few = (each for each in free if _has_few_values(batch.column(each)))
    found = _list_classes(table, [*named, *edges]) or _list_classes(table, few)
    such = " or ".join(f"--label {shlex.quote(each)}" for each in found)
    return f"name one with --label, such as {such}" if found else None


def _list_classes(table: SourceTable, names: Iterable[str]) -> list[str]:
    """Return the first of some columns that hold classes."""
    return list(islice((name for name in dict.fromkeys(names) if has_classes(table, name)), _NAMED))


def _has_few_values(column: pa.Array) -> bool:
    """Return whether the first rows leave it open that a column holds classes: all rows of each column take long to read."""
    if not has_text(column.type):
        return is_list(column.type)
    return len(pc.unique(convert_to_text(column))) <= max(2, len(column) // _ROWS_PER_CLASS) + 1


def has_classes(table: SourceTable, name: str) -> bool:
    """Return whether a column has two values or more, few for its rows, and not another one in each."""
    kind = table.schema.field(name).type
    lists = is_list(kind) and not is_embedding(kind)
    kind = kind.value_type if lists else kind
    if not has_text(kind) or pa.types.is_temporal(kind):
        return False
    seen: set[str] = set()
    rows = 0
    for batch in table.scan([name]):
        column = convert_to_text(pc.list_flatten(batch.column(0)) if lists else batch.column(0))
        seen.update(pc.unique(column.drop_null()).to_pylist())
        rows += len(column) - column.null_count
    return 2 <= len(seen) <= max(2, rows // _ROWS_PER_CLASS) and len(seen) < rows


def _find_shares(batch: pa.RecordBatch) -> tuple[list[str], str]:
    """Return the neighbouring columns of numbers from 0 to 1 that sum to 1 in each row, or the word that one of them says."""
    run: list[str] = []
    word, total = "", np.zeros(batch.num_rows)
    for name in [*batch.schema.names, None]:
        values, said = _read_shares(batch.column(name)) if name is not None else (None, "")
        if values is None or (run and said != word) or not ((values >= 0) & (values <= 1)).all():
            if len(run) > 1 and (np.abs(total - 1) <= _SUM).all():
                return run, word
            run, total = [], np.zeros(batch.num_rows)
        if name is not None and values is not None and ((values >= 0) & (values <= 1)).all():
            run, word, total = [*run, name], said, total + values
    return [], ""


def _read_shares(column: pa.Array) -> tuple[Array | None, str]:
    """Return the numbers of a column, or where it says its yes, and the word for it; None where it does neither."""
    if is_numeric(column.type):
        return convert_to_floats(column, pa.float64()), ""
    words = set(column.drop_null().to_pylist()) if pa.types.is_string(column.type) else set()
    yes = next((word for word in words if word.strip().lower() in _YES), "")
    if not yes or not {word.strip().lower() for word in words - {yes}} <= _NO:
        return None, ""
    return pc.fill_null(pc.equal(column, yes), fill_value=False).cast(pa.float64()).to_numpy(
        zero_copy_only=False
    ), yes


def _find_raters(batch: pa.RecordBatch) -> list[str]:
    """Return the columns that are called alike but for a number or a letter, and hold the same few values.

    Words may also be alike but for the first or the last of them, as in `label_ann` and `label_bob`.
    """
    groups: dict[str, list[str]] = {}
    for name in batch.schema.names:
        kind = batch.schema.field(name).type
        if not has_text(kind):
            continue
        stem = re.sub(r"[\s_.-]*(\d+|[A-Za-z])$", "", name)
        if stem and stem != name:
            groups.setdefault(stem, []).append(name)
        words = re.split(r"[\s_.-]+", name)
        if len(words) > 1 and pa.types.is_string(kind):
            groups.setdefault(f"{words[0]} *", []).append(name)
            groups.setdefault(f"* {words[-1]}", []).append(name)
    for names in groups.values():
        values = [set(convert_to_text(batch.column(name)).drop_null().to_pylist()) for name in names]
        shared, every = set.intersection(*values), set.union(*values)
        if len(names) > 1 and 2 <= len(every) <= _MOST_CLASSES and 2 * len(shared) > len(every):
            return names
    return []
