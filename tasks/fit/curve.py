"""Training curves on disk: one file for all rounds, each written after those before it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.storage import read_parquet, write_table


def write_curve(rows: Sequence[dict[str, Any]], number: int, path: Path) -> None:
    """Write the points of a round after those of the rounds before; those of a later one, of an earlier try, go.

    Args:
        rows: The points; each has a `round`.
        number: The round, from 1.
        path: The file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "curve.parquet"
    >>> for number in (1, 2, 2):
    ...     write_curve([{"round": number, "loss": 1 / number}], number, path)
    >>> read_parquet(path).to_pylist()
    [{'round': 1, 'loss': 1.0}, {'round': 2, 'loss': 0.5}]
    """
    table = pa.Table.from_pylist(list(rows))
    if number > 1:
        earlier = read_parquet(path)
        table = pa.concat_tables([earlier.filter(pc.less(earlier["round"], number)), table])
    write_table(table, path)
