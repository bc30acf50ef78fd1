"""Read ORC, a stripe at a time."""

from collections.abc import Iterator

import pyarrow as pa
from pyarrow import orc

from tasks.ingest.reading import HEAD, FileReader, explain_damage, make_format_error
from tasks.ingest.source import Part

SUFFIXES, GZIP, TYPED = (".orc",), False, True

_MAGIC = b"ORC"


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:  # noqa: ARG001 (ORC has types of its own)
    """Open an ORC file.

    Raises:
        InputError: It is not ORC, or its end is missing.
    """

    def scan(columns: list[str], _: int) -> Iterator[pa.RecordBatch]:
        with explain_damage(part, "ORC"), part.open() as raw:
            file = orc.ORCFile(raw)
            for stripe in range(file.nstripes):
                yield file.read_stripe(stripe, columns).select(columns)

    with explain_damage(part, "ORC"), part.open() as raw:
        head = raw.read(HEAD)
        if not head.startswith(_MAGIC):
            raise make_format_error(part, "ORC", head)
        return FileReader(part, orc.ORCFile(raw).schema, scan)
