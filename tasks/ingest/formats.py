"""One reader for each format, behind one dict."""

from collections.abc import Callable

from tasks.errors import InputError
from tasks.ingest.arrow import open_arrow
from tasks.ingest.delimited import open_delimited
from tasks.ingest.jsonlines import open_jsonlines
from tasks.ingest.parquet import open_parquet
from tasks.ingest.reading import Reader
from tasks.ingest.source import Part, access

READERS: dict[str, Callable[[Part, frozenset[str]], Reader]] = {
    "arrow": open_arrow,
    "csv": open_delimited,
    "jsonl": open_jsonlines,
    "parquet": open_parquet,
}


def open_part(part: Part, as_text: frozenset[str]) -> Reader:
    """Open one file with the reader that its suffix names.

    Args:
        part: The file.
        as_text: Columns that a format without types must not turn into numbers: labels, ids.

    Raises:
        InputError: The file is empty, damaged, or not what its name says.
    """
    with access(part.shown):
        if part.size == 0:
            raise InputError("the file is empty", where=part.shown, fix="write or download it again")
    return READERS[part.kind or ""](part, as_text)
