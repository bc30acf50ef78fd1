"""The ingest step of the flow."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.ingest import fingerprint
from tasks.ingest import ingest as ingest_source
from tasks.records import Dataset, Source
from tasks.steps import may_pass, recorded


@task(
    name="ingest", retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=may_pass, cache_policy=NO_CACHE
)
def ingest(source: Source, folder: Path) -> Dataset:
    """Read the source into `folder`, or return what an earlier try made of the same, unchanged files.

    Args:
        source: What to read, and which column means what.
        folder: The run folder.

    Raises:
        InputError: The source cannot be read, or is no labeled data.
        StoreError: The store that it lies on fails; tried again.
    """
    inputs = {"source": source, "files": fingerprint(source.uri)}
    return recorded("ingest", folder, Dataset, inputs, lambda: ingest_source(source, folder))
