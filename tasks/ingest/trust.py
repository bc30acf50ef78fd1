"""Which labels are verified: a column of anything that means true or false."""

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.kinds import has_text
from tasks.ingest.labels import as_text
from tasks.ingest.numerals import without_marks
from tasks.ingest.table import SourceTable

_TRUE = pa.array(["true", "1", "yes", "y", "t"])
_FALSE = pa.array(["false", "0", "no", "n", "f"])


def trusted(table: SourceTable, column: str, values: pa.Array, first_row: int) -> pa.Array:
    """Return a column of true and false; a missing value is not verified.

    Args:
        table: The source, to name the row in an error.
        column: Name of the column.
        values: One batch of it.
        first_row: Number of the batch's first row.

    Raises:
        InputError: A value means neither.
    """
    if pa.types.is_boolean(values.type):
        return pc.fill_null(values, fill_value=False)
    if not has_text(values.type):
        raise table.problem(
            first_row, f"trusted column '{column}' holds {values.type}", fix="use true or false"
        )
    text = pc.utf8_lower(without_marks(as_text(values)))
    yes = pc.is_in(text, value_set=_TRUE)
    known = pc.or_(pc.or_(yes, pc.is_in(text, value_set=_FALSE)), text.is_null())
    if not pc.all(known).as_py():
        offset = known.index(pa.scalar(value=False)).as_py()
        raise table.problem(
            first_row + offset,
            f"trusted column '{column}': '{text[offset]}' is neither true nor false",
            fix="use true or false, 1 or 0, yes or no",
        )
    return yes
