"""The ingest step of the flow."""

from pathlib import Path

from tasks.ingest import digest_files
from tasks.ingest import ingest as ingest_source
from tasks.records import Dataset, Source
from tasks.runs.step import step


@step(reads=lambda given: {"files": digest_files(given["source"].uri)}, may_retry=True)
def ingest(source: Source, folder: Path) -> Dataset:
    """Read the source into `folder`, or return what an earlier try made of the same, unchanged files.

    Args:
        source: What to read, and which column means what.

    Raises:
        InputError: The source cannot be read, or is no labeled data.
        StoreError: The store that it is on fails; tried again.
    """
    return ingest_source(source, folder)
