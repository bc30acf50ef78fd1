"""The tables of all benchmarks: Markdown that is readable as plain text too."""

import math
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any


def format_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    words: int = 1,
    show: str = ".3f",
) -> str:
    """Return a table with aligned columns.

    Args:
        rows: Cells; integers get separators of thousands, a missing number is a dash.
        words: So many columns from the left hold words, the others figures.
        show: How a float is written.

    >>> print(format_table(["n", "s"], [[1000, 2.5], ["many", float("nan")]], show=".1f"), end="")
    | n     |   s |
    |-------|----:|
    | 1,000 | 2.5 |
    | many  |   – |
    """
    lines = [list(heads), *([_format_cell(cell, show) for cell in row] for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * (w + 2) if n < words else "-" * (w + 1) + ":" for n, w in enumerate(widths)]
    text = [f"## {title}\n"] if title else []
    for line in lines:
        cells = [
            cell.ljust(w) if n < words else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(line, widths, strict=True))
        ]
        text.append(f"| {' | '.join(cells)} |")
        if line is lines[0]:
            text.append(f"|{'|'.join(rule)}|")
    return "\n".join(text) + "\n"


def _format_cell(cell: object, show: str) -> str:
    if isinstance(cell, float):
        return "–" if math.isnan(cell) else f"{cell:{show}}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def format_frame(frame: Any, *, title: str = "", show: str = ".3f") -> str:  # noqa: ANN401 (pandas takes a second to import)
    """Return the table of a frame: its index in words, then its columns."""
    heads = [*(name or "" for name in frame.index.names), *map(str, frame.columns)]
    rows = frame.reset_index(names=list(range(frame.index.nlevels))).astype(object).to_numpy().tolist()
    return format_table(heads, rows, title=title, words=frame.index.nlevels, show=show)


def describe_setup(*packages: str) -> str:
    """Return the cores and versions behind a table.

    >>> describe_setup().endswith(" cores")
    True
    """
    versions = "".join(f", {name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()}{versions}; {os.cpu_count()} cores"
