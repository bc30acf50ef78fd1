"""Canonical data sets on disk, as ingest writes them, for the tests of validation."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.records import Dataset
from tasks.storage import hash_file


def columns(rows: int = 60, *, features: int = 3, classes: int = 3, seed: int = 0) -> dict[str, list]:
    """Return clean columns: `rows` samples, labels taking turns, an `age` and a `city` column beside the features."""
    random = np.random.default_rng(seed)
    return {
        "sample_id": [f"s{row}" for row in range(rows)],
        "label": [f"c{row % classes}" for row in range(rows)],
        "features": random.normal(size=(rows, features)).astype(np.float32).tolist(),
        "content_hash": [f"{row:032x}" for row in range(rows)],
        "source_row": [2 * row for row in range(rows)],
        "age": [20 + row % 50 for row in range(rows)],
        "city": [["Bonn", "Ulm", "Trier"][row % 3] for row in range(rows)],
    }


def write(
    path: Path, data: dict[str, list], *, classes: int = 3, rows_per_group: int = 16, **changes: object
) -> Dataset:
    """Write columns as a canonical file and return its record."""
    width = len(data["features"][0])
    known = {
        "sample_id": pa.string(),
        "label": pa.string(),
        "features": pa.list_(pa.float32(), width),
        "content_hash": pa.string(),
        "source_row": pa.int64(),
    }
    table = pa.table({name: pa.array(values, known.get(name)) for name, values in data.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows_per_group)
    record: dict[str, object] = {
        "path": path,
        "name": "people",
        "uri": "people.csv",
        "rows": table.num_rows,
        "classes": tuple(f"c{index}" for index in range(classes)),
        "payload": "tabular",
        "feature_names": tuple(f"x{index}" for index in range(width)),
        "feature_shape": (width,),
        "display_columns": tuple(name for name in data if name not in known),
        "digest": hash_file(path),
    }
    return Dataset.model_validate(record | changes)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder with its bytes, but what a killed run left half written: `finish_run` removes it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".partial")
    }
