"""A matrix of counts between labels as a table: the most confused labels first to be shown, shaded, every number written."""

from typing import Any
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt

from tasks.show.parts import Cell, Table
from tasks.show.text import show_plain

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.integer[Any]]

# More rows than this are not a table to look at but one to search.
MOST = 20
LABEL = 18


def count_pairs(rows: Codes, columns: Codes, classes: int) -> Ints:
    """Return the matrix of counts, (classes, classes); pairs with a missing label are left out.

    Args:
        rows: (n,) a label of each sample, -1 where it is missing: the row in which the sample counts.
        columns: (n,) another one: its column.

    >>> count_pairs(np.array([0, 0, 1]), np.array([1, 1, -1]), 2).tolist()
    [[0, 2], [0, 0]]
    """
    both = (rows >= 0) & (columns >= 0)
    pairs = rows[both].astype(np.int64) * classes + columns[both]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def find_most_confused(matrix: Ints) -> Ints:
    """Return the `MOST` labels with the most confusions, in their own order."""
    off = matrix - np.diag(np.diag(matrix))
    weight = off.sum(0) + off.sum(1)
    return np.sort(np.argsort(-weight, kind="stable")[:MOST])


def link_pair(given: str, suggested: str = "") -> str:
    """Return where the review page shows the samples of a given and a suggested label.

    >>> link_pair("a b", "c")
    '/grid?state=all&given=a+b&suggested=c'
    """
    wanted = {"state": "all", "given": given, "suggested": suggested}
    return "/grid?" + urlencode({name: value for name, value in wanted.items() if value})


def make_matrix_table(
    matrix: Ints, names: tuple[str, ...], caption: str, corner: tuple[str, str], *, linked: bool = False
) -> Table:
    """Return the matrix as a table, shaded off the diagonal by its own largest count.

    Args:
        matrix: (classes, classes) counts.
        corner: What the rows and the columns are.
        linked: Whether a cell leads to its samples on the review page.
    """
    shown = find_most_confused(matrix)
    part = matrix[np.ix_(shown, shown)]
    off = part - np.diag(np.diag(part))
    largest = max(int(off.max(initial=0)), 1)
    rows = [
        [
            Cell(show_plain(names[label], LABEL)),
            *(
                Cell(
                    f"{count:,}",
                    0.0 if i == j else float(count / largest),
                    strong=i == j,
                    to=link_pair(names[label], names[shown[j]]) if linked and count else "",
                )
                for j, count in enumerate(part[i].tolist())
            ),
        ]
        for i, label in enumerate(shown)
    ]
    header = [show_plain(names[label], LABEL) for label in shown]
    return Table(caption, header, rows, heat=True, corner=corner)
