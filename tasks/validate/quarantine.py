"""The files that validation writes about rows: the quarantine, the conflicts, the data set without the rows set aside.

All are streamed: memory depends on the size of a part, never on the number of rows.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.ingest.identity import write_identity_line
from tasks.storage import open_table_writer
from tasks.validate.findings import Finding
from tasks.validate.parts import read_numbered_rows


def write_quarantine(
    source: Path, findings: Sequence[Finding], aside: NDArray[np.bool_], final: Path
) -> Path:
    """Write the rows that were set aside, without features, with a column `reason`.

    Args:
        aside: Which rows are set aside  # (rows,)
    """
    schema = pa.schema(
        [field for field in pq.read_schema(source) if field.name not in ("features", "reason")]
    )
    with open_table_writer(final, schema.append(pa.field("reason", pa.string()))) as writer:
        for rows, table in read_numbered_rows(source, schema.names, np.flatnonzero(aside)):
            why: dict[int, list[str]] = {row: [] for row in rows.tolist()}
            for finding in findings:
                if finding.sets_aside:
                    low, high = np.searchsorted(finding.all_rows, [rows[0], rows[-1] + 1])
                    failing = finding.all_rows[low:high].tolist()
                    for row, text in zip(failing, finding.explain(low, high), strict=True):
                        why[row].append(text)
            said = ["; ".join(dict.fromkeys(texts)) for texts in why.values()]
            writer.write_table(table.append_column("reason", pa.array(said, pa.string())).cast(writer.schema))
    return final


def write_conflicts(source: Path, conflicting: NDArray[np.int64], final: Path) -> Path:
    """Write id, label and content hash of the samples whose content occurs with more than one label.

    Args:
        conflicting: Numbers of these rows, in order  # (conflicting,)
        final: Where to write; a file without rows says that there are none.
    """
    schema = pa.schema([(name, pa.string()) for name in ("sample_id", "label", "content_hash")])
    with open_table_writer(final, schema) as writer:
        for _, table in read_numbered_rows(source, schema.names, conflicting):
            writer.write_table(table.cast(schema))
    return final


def write_kept(source: Path, aside: NDArray[np.bool_], final: Path) -> str:
    """Write the data set without the rows set aside, in the same order.

    Args:
        aside: Which rows are set aside  # (rows,)
        final: Where to write; the caller publishes it.

    Returns:
        The digest of contents and labels in their order, as ingest takes it.
    """
    digest = hashlib.sha256()
    schema = pq.read_schema(source)
    # A dictionary of measured numbers is as long as they are: without one they are written in a quarter of the time.
    repetitive = [
        field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_integer(field.type)
    ]
    with pq.ParquetWriter(final, schema, compression="zstd", use_dictionary=repetitive) as writer:
        for _, table in read_numbered_rows(source, schema.names, np.flatnonzero(~aside)):
            writer.write_table(table.replace_schema_metadata(schema.metadata))
            pairs = zip(table["content_hash"].to_pylist(), table["label"].to_pylist(), strict=True)
            digest.update(b"".join(write_identity_line(*pair) for pair in pairs))
    return digest.hexdigest()
