"""Read labeled data of any supported format and write them in the canonical form."""

from tasks.ingest.pipeline import ingest
from tasks.ingest.source import fingerprint, slug

__all__ = ["fingerprint", "ingest", "slug"]
