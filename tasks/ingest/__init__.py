"""Read labeled data of any supported format and write them in the canonical form.

- `pipeline`: the order of it all: look once, then write once
- `source`, `folder`, `partitions`, `compression`: where the bytes are
- `formats`, `text`, `reading`, `converted`: how a file is read
- `table`: all files of a source as one table of plain types
- `columns`: which type, kind and role a column has
- `labels`, `leaks`: which classes there are, and which columns give them away
- `content`, `vectors`, `images`, `probabilities`: how what the model sees becomes features
- `identity`, `write`: ids, and the canonical files
"""

from tasks.ingest.pipeline import ingest
from tasks.ingest.source import digest_files, make_short_name

__all__ = ["digest_files", "ingest", "make_short_name"]
