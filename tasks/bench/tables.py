"""The tables of all benchmarks: Markdown that is readable as plain text too."""

import math
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.storage import write_text


def format_table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", words: int = 1
) -> str:
    """Return a table with aligned columns.

    Args:
        rows: Cells; integers get separators of thousands.
        words: So many columns from the left hold words, the others figures.

    >>> print(format_table(["n", "s"], [[1000, "2.5"]]), end="")
    | n     |   s |
    |-------|----:|
    | 1,000 | 2.5 |
    """
    lines = [list(heads)]
    lines += [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    text = ""
    for line in lines:
        cells = zip(line, widths, "<" * words + ">" * len(line), strict=False)
        text += f"| {' | '.join(f'{cell:{side}{width}}' for cell, width, side in cells)} |\n"
        if line is lines[0]:
            rule = ["-" * (w + 2) if n < words else "-" * (w + 1) + ":" for n, w in enumerate(widths)]
            text += f"|{'|'.join(rule)}|\n"
    return (f"## {title}\n\n" if title else "") + text


def format_frame(frame: Any, *, title: str = "", show: str = ".3f") -> str:  # noqa: ANN401 (pandas takes a second to import)
    """Return the table of a frame: its index in words, then its columns.

    Args:
        show: How a float is written; where it is missing, a dash is.

    >>> import pandas as pd
    >>> print(format_frame(pd.DataFrame({"AP": [0.5, None]}, index=["ours", "theirs"])), end="")
    |        |    AP |
    |--------|------:|
    | ours   | 0.500 |
    | theirs |     – |
    """
    words = frame.index.nlevels
    rows = [
        [*(names if words > 1 else [names]), *(_show_cell(cell, show) for cell in cells)]
        for names, *cells in frame.itertuples()
    ]
    heads = [*(name or "" for name in frame.index.names), *map(str, frame.columns)]
    return format_table(heads, rows, title=title, words=words)


def _show_cell(cell: object, show: str) -> object:
    if not isinstance(cell, float):
        return cell
    return "–" if math.isnan(cell) else f"{cell:{show}}"


def publish_tables(text: str, page: Path | None) -> None:
    """Print tables, and write them to a file where one is named."""
    sys.stdout.write(text)
    if page is not None:
        write_text(text, page)


def describe_setup(*packages: str) -> str:
    """Return the cores and versions behind a table.

    >>> describe_setup().endswith(" cores")
    True
    """
    versions = "".join(f", {name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()}{versions}; {os.cpu_count()} cores"
