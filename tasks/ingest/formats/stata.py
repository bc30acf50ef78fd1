"""Read Stata's files: where values have names, these are the values. A file is held in memory."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from tasks.errors import take_first_line
from tasks.ingest.reading import FileReader, explain_damage
from tasks.ingest.source import Part

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES, GZIP, TYPED = (".dta",), False, True

# Characters of pandas' words that are enough to search for.
_SAID = 160


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:  # noqa: ARG001 (Stata has types of its own)
    """Open a Stata file.

    Raises:
        InputError: It is none, or its end is missing.
    """
    with explain_damage(part, "Stata"), part.open() as file:
        try:
            frame = _read_frame(file)
        except (ValueError, IndexError, KeyError) as error:
            what = take_first_line(error, _SAID)
            raise part.problem(f"damaged, or no Stata file although it is named so ({what})") from error
    named = frame.select_dtypes("category").columns
    table = pa.Table.from_pandas(frame.astype(dict.fromkeys(named, "string")), preserve_index=False)
    table = table.replace_schema_metadata().combine_chunks()

    def scan(columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield from table.select(columns).to_batches(max_chunksize=rows)

    return FileReader(part, table.schema, scan)


def _read_frame(file: BinaryIO) -> "pd.DataFrame":
    """Return the rows; where two values of a column have one name, values are as they are."""
    import pandas as pd  # noqa: PLC0415 (slow to import, and other formats need it not)

    try:
        return pd.read_stata(file)
    except ValueError as error:
        if "not unique" not in str(error):
            raise
        file.seek(0)
        return pd.read_stata(file, convert_categoricals=False)
