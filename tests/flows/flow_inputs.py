"""The wrong inputs that a user can hand to `labelsweep clean`, each with what its one line must name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class WrongInput:
    """How to make a wrong input, the options that go with it, and what the message must name."""

    make: Callable[[Path], Path]
    names: tuple[str, ...]
    options: tuple[str, ...] = ()


def good_table(rows: int = 60) -> pa.Table:
    """Return two well separated classes in two features, with ids."""
    rng = np.random.default_rng(0)
    label = np.arange(rows) % 2
    x = rng.normal(label[:, None], 0.2, (rows, 2))
    return pa.table(
        {
            "id": [f"row-{n}" for n in range(rows)],
            "x0": x[:, 0],
            "x1": x[:, 1],
            "label": [("cat", "dog")[n] for n in label],
        }
    )


def parquet(folder: Path, **columns: object) -> Path:
    """Write the good table with some columns replaced (None: left out) and return its path."""
    table = good_table()
    for name, values in columns.items():
        table = table.drop([name]) if name in table.column_names else table
        if values is not None:
            table = table.append_column(name, values if isinstance(values, pa.Array) else pa.array(values))
    path = folder / "pets.parquet"
    pq.write_table(table, path)
    return path


def text(name: str, content: str | bytes) -> Callable[[Path], Path]:
    """Return a maker of a file with just that content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def truncated(folder: Path) -> Path:
    """Write a Parquet file that lost its second half."""
    path = parquet(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def ragged(folder: Path) -> Path:
    """Write a CSV whose fifth line has a field too many."""
    lines = ["id,x0,x1,label", *(f"{n},{n % 2},{n},{'ab'[n % 2]}" for n in range(40))]
    lines[4] += ",surplus"
    path = folder / "ragged.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _not_finite() -> list[float]:
    values = np.random.default_rng(1).normal(size=60)
    values[::4] = np.nan
    values[1::4] = np.inf
    return list(values)


WRONG_INPUTS = {
    "no such file": WrongInput(lambda folder: folder / "absent.csv", ("absent.csv",)),
    "empty file": WrongInput(text("empty.csv", ""), ("empty.csv",)),
    "not a data file": WrongInput(text("notes.docx", "PK not data"), ("notes.docx",)),
    "not what the name says": WrongInput(text("pets.parquet", "id,label\n1,cat\n"), ("pets.parquet",)),
    "no label column": WrongInput(lambda f: parquet(f, label=None), ("pets.parquet", "label")),
    "one class only": WrongInput(lambda f: parquet(f, label=["cat"] * 60), ("cat",)),
    "all labels missing": WrongInput(lambda f: parquet(f, label=pa.nulls(60, pa.string())), ("label",)),
    "several labels a row": WrongInput(
        lambda f: parquet(f, label=[["cat", "dog"]] * 60), ("label", "multi-label data are not supported")
    ),
    "measured quantities as labels": WrongInput(
        lambda f: parquet(f, label=[n + 0.37 * n for n in range(60)]),
        ("regression targets are not supported",),
    ),
    "no features": WrongInput(lambda f: parquet(f, x0=None, x1=None), ("pets.parquet",)),
    "a feature is missing": WrongInput(parquet, ("x7",), ("--features", "x0,x7")),
    "a feature is text": WrongInput(
        lambda f: parquet(f, x1=[f"sentence {n}" for n in range(60)]),
        ("x1", "--text"),
        ("--features", "x0,x1"),
    ),
    "not finite beyond tolerance": WrongInput(lambda f: parquet(f, x1=_not_finite()), ("x1",)),
    "fewer samples in a class than folds": WrongInput(
        lambda f: parquet(f, label=["cat"] * 57 + ["dog"] * 3), ("dog", "5")
    ),
    "duplicate ids": WrongInput(
        lambda f: parquet(f, id=["twin"] * 30 + [f"row-{n}" for n in range(30)]), ("twin",), ("--id", "id")
    ),
    "vectors that are all the same": WrongInput(
        lambda f: parquet(f, vector=[[0.0, 1.0]] * 60),
        ("all samples are the same",),
        ("--embedding", "vector"),
    ),
    "ragged CSV": WrongInput(ragged, ("ragged.csv", "5")),
    "truncated Parquet": WrongInput(truncated, ("pets.parquet",)),
    "embeddings of unequal lengths": WrongInput(
        lambda f: parquet(f, vector=[[0.0] * (3 + n % 2) for n in range(60)]),
        ("pets.parquet", "vector", "2 different lengths (3, 4)"),
        ("--embedding", "vector"),
    ),
    "image bytes that do not decode": WrongInput(
        lambda f: parquet(f, photo=[b"not an image"] * 60), ("photo",), ("--image", "photo")
    ),
    "unknown option value": WrongInput(parquet, ("--solver", "magic", "direct"), ("--solver", "magic")),
    "unknown option": WrongInput(parquet, ("--lable",), ("--lable", "x")),
}
