"""The files that validation writes about rows: the quarantine, the conflicts, the data set without the rows set aside.

All are streamed: memory depends on the size of a part, never on the number of rows.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.ingest.identity import identity_line
from tasks.storage import ROWS_PER_GROUP, table_writer
from tasks.validate.findings import Finding
from tasks.validate.parts import parts

# What is read at a time; about eight copies of it are alive while it is filtered and compressed.
_COPIED_BYTES = 8 * 2**20


def write_quarantine(
    source: Path, findings: Sequence[Finding], aside: NDArray[np.bool_], final: Path
) -> Path:
    """Write the rows that were set aside, without features, with a column `reason`.

    Args:
        source: The data set with all rows.
        findings: What the checks found.
        aside: Which rows are set aside  # (rows,)
        final: Where to write.
    """
    schema = pq.read_schema(source)
    columns = [name for name in schema.names if name not in ("features", "reason")]
    fields = [schema.field(name) for name in columns]
    explained = [
        (finding, finding.all_rows(), finding.all_values()) for finding in findings if finding.sets_aside
    ]
    with table_writer(final, pa.schema([*fields, pa.field("reason", pa.string())])) as writer:
        for start, batch in parts(source, columns, rows=ROWS_PER_GROUP, size=_COPIED_BYTES):
            inside = np.flatnonzero(aside[start : start + batch.num_rows])
            if len(inside):
                table = pa.Table.from_batches([batch]).take(inside)
                why = _explain(explained, start, start + batch.num_rows)
                text = pa.array([why[row] for row in (inside + start).tolist()], pa.string())
                writer.write_table(table.append_column("reason", text).cast(writer.schema))
    return final


def write_kept(source: Path, aside: NDArray[np.bool_], stamp: dict[str, str], final: Path) -> str:
    """Write the data set without the rows set aside, in the same order.

    Args:
        source: The data set with all rows.
        aside: Which rows are set aside  # (rows,)
        stamp: Names and values to keep in the file's own metadata.
        final: Where to write; the caller publishes it.

    Returns:
        The digest of contents and labels in their order, as ingest takes it.
    """
    digest = hashlib.sha256()
    schema = pq.read_schema(source)
    schema = schema.with_metadata(
        {**(schema.metadata or {}), **{key.encode(): stamp[key].encode() for key in stamp}}
    )
    # A dictionary of measured numbers is as long as they are: without one they are written in a quarter of the time.
    repetitive = [
        field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_integer(field.type)
    ]
    with pq.ParquetWriter(final, schema, compression="zstd", use_dictionary=repetitive) as writer:
        for start, batch in parts(source, rows=ROWS_PER_GROUP, size=_COPIED_BYTES):
            kept = ~aside[start : start + batch.num_rows]
            if kept.any():
                table = pa.Table.from_batches([batch]).filter(pa.array(kept))
                writer.write_table(table.replace_schema_metadata(schema.metadata))
                pairs = zip(table["content_hash"].to_pylist(), table["label"].to_pylist(), strict=True)
                digest.update(b"".join(identity_line(*pair) for pair in pairs))
    return digest.hexdigest()


def write_conflicts(source: Path, conflicting: NDArray[np.int64], final: Path) -> Path:
    """Write id, label and content hash of the samples whose content occurs with more than one label.

    Args:
        source: The data set with all rows.
        conflicting: Numbers of these rows, in order  # (conflicting,)
        final: Where to write; a file without rows says that there are none.
    """
    columns = ["sample_id", "label", "content_hash"]
    schema = pa.schema([(name, pa.string()) for name in columns])
    with table_writer(final, schema) as writer:
        for start, batch in (
            parts(source, columns, rows=ROWS_PER_GROUP, size=_COPIED_BYTES) if len(conflicting) else ()
        ):
            low, high = np.searchsorted(conflicting, [start, start + batch.num_rows])
            if low < high:
                writer.write_table(
                    pa.Table.from_batches([batch]).take(conflicting[low:high] - start).cast(schema)
                )
    return final


def _explain(
    explained: Sequence[tuple[Finding, NDArray[np.int64], pd.DataFrame]], start: int, stop: int
) -> dict[int, str]:
    """Return the reasons of the rows from `start` to `stop`, each reason once."""
    found: dict[int, list[str]] = {}
    for finding, rows, values in explained:
        low, high = np.searchsorted(rows, [start, stop])
        if low < high:
            texts = finding.check.explain(rows[low:high], values.iloc[low:high])
            for row, text in zip(rows[low:high].tolist(), texts, strict=True):
                found.setdefault(row, []).append(text)
    return {row: "; ".join(dict.fromkeys(texts)) for row, texts in found.items()}
