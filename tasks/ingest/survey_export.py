"""Exports of surveys: Qualtrics writes two more rows of headers below the names, the questions and a row of import ids."""

import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.table import SourceTable

_IMPORT_ID = '{"ImportId"'
# The import ids stand in the second row, or in the first where the questions were removed.
_ROWS = 2


def check_no_header_rows(table: SourceTable) -> None:
    """Raise InputError where the first rows are headers that a survey tool wrote: every column would be text."""
    reader = table.readers[
        0
    ]  # as it stands in the file: in a column of numbers such a value is only one that is missing
    texts = [field.name for field in reader.schema if field.name and pa.types.is_string(field.type)]
    head = next(iter(reader.batches(texts, _ROWS)), None) if texts else None
    rows = head.slice(0, _ROWS).to_pylist() if head is not None else []
    for number, row in enumerate(rows):
        if any(isinstance(value, str) and value.startswith(_IMPORT_ID) for value in row.values()):
            first, last = table.place(0), table.place(number)
            which = first if number == 0 else f"{first} and {last}"
            raise InputError(
                f"a Qualtrics export: {which} hold no answers but the questions and Qualtrics' own ids",
                where=table.uri,
                fix=f"remove {which}",
            )
