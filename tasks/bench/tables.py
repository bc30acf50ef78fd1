"""The tables of all benchmarks: Markdown that is readable as plain text too."""

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

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
