"""The tables of all benchmarks: Markdown that is readable as plain text too."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version


def markdown(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", words: int = 1
) -> str:
    """Return a table with aligned columns.

    Args:
        heads: Names of the columns.
        rows: Cells; integers get separators of thousands.
        title: Heading above the table.
        words: So many columns from the left hold words, the others figures.

    >>> print(markdown(["n", "s"], [[1000, "2.5"]]), end="")
    | n     |   s |
    |-------|----:|
    | 1,000 | 2.5 |
    """
    lines = [list(heads), *([_cell(value) for value in row] for row in rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(heads))]
    rule = [
        "-" * (width + 2) if column < words else "-" * (width + 1) + ":"
        for column, width in enumerate(widths)
    ]
    shown = [
        " | ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    text = "\n".join([f"| {shown[0]} |", f"|{'|'.join(rule)}|", *(f"| {line} |" for line in shown[1:])])
    return (f"## {title}\n\n" if title else "") + text + "\n"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def made_with(*packages: str) -> str:
    """Return the cores and versions behind a table.

    >>> made_with().endswith(" cores")
    True
    """
    versions = "".join(f", {name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()}{versions}; {os.cpu_count()} cores"
