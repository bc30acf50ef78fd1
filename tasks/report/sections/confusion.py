"""Which labels are mixed up: given against suggested, among the flagged samples."""

import numpy as np

from tasks.report.matrix import MOST, Ints, count_pairs, find_most_confused, link_pair, make_matrix_table
from tasks.report.summary import Summary
from tasks.show.parts import Cell, Columns, ReportPart, Section, Table, TableRows
from tasks.show.scores import ScoreColumns
from tasks.show.text import format_share, show_plain
from tasks.show.view import RunView

PAIRS = 8


def build(view: RunView, _: Summary) -> Section | None:
    """Return the matrix of the flagged samples, the commonest mix-ups, and the labels that were flagged most."""
    scores = view.scores
    if scores is None or not scores.flagged.any():
        return None
    matrix = count_pairs(scores.given[scores.flagged], scores.suggested[scores.flagged], len(scores.classes))
    caption = "Flagged samples by given label (rows) and suggested label (columns)."
    if len(scores.classes) > MOST:
        caption += f" The {MOST} labels that are mixed up most, of {len(scores.classes):,}."
    parts: list[ReportPart] = [Columns([_tabulate_pairs(matrix, scores.classes), _tabulate_labels(scores)])]
    # Of many classes each pair is rare: a matrix that leaves most of the samples out is a field of zeros.
    shown = find_most_confused(matrix)
    if 2 * matrix[np.ix_(shown, shown)].sum() >= matrix.sum():
        table = make_matrix_table(matrix, scores.classes, caption, ("given", "suggested"), linked=True)
        parts.insert(0, table)
    return Section("confusion", "Which labels are mixed up", parts, "Mix-ups")


def _tabulate_pairs(matrix: Ints, names: tuple[str, ...]) -> Table:
    """Return the commonest given-to-suggested pairs."""
    off = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-off, axis=None, kind="stable")[:PAIRS]
    pairs = zip(*np.unravel_index(order, off.shape), strict=True)
    rows: TableRows = [
        [
            show_plain(names[i]),
            show_plain(names[j]),
            Cell(f"{off[i, j]:,}", float(off[i, j] / off.max()), to=link_pair(names[i], names[j])),
        ]
        for i, j in pairs
        if off[i, j]
    ]
    return Table("The commonest mix-ups", ["Given", "Suggested", "Samples"], rows, numeric=frozenset({2}))


def _tabulate_labels(scores: ScoreColumns) -> Table:
    """Return the labels with the largest flagged share."""
    size = len(scores.classes)
    every = np.bincount(scores.given[scores.given >= 0], minlength=size)
    flagged = np.bincount(scores.given[scores.flagged & (scores.given >= 0)], minlength=size)
    share = flagged / np.maximum(every, 1)
    order = [int(i) for i in np.argsort(-share, kind="stable")[:PAIRS] if flagged[i]]
    most = max((float(share[i]) for i in order), default=1.0)
    rows: TableRows = [
        [
            show_plain(scores.classes[i]),
            Cell(f"{flagged[i]:,} of {every[i]:,}", to=link_pair(scores.classes[i])),
            Cell(format_share(share[i], 1), float(share[i]) / most),
        ]
        for i in order
    ]
    caption = "The labels that are flagged most"
    return Table(caption, ["Given", "Flagged", "Share"], rows, numeric=frozenset({1, 2}))
