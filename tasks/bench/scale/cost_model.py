"""What a run costs: seconds and bytes of every step as sums of products of rows, features, classes and folds.

A step's seconds are a non-negative combination of a few terms, each with its reason: a start (1), something for every row (N),
for every number read (N d), for every probability (N K C), for every multiply-add of a pass over the data (N d K C), and for
every number of two samples that the queue compares. What has a bound (rows a fit starts from, pairs, probabilities of those
whom a sample may harm, rows and directions looked at for oddities) has it here too. Errors are weighed relative to what was
measured, so that small runs count as much as large ones. (Lawson & Hanson, Solving Least Squares Problems, 1974, chapter 23:
non-negative least squares, from scipy.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from tasks.arrays import Array
from tasks.encode.distances import FEWER_DIMENSIONS, MOST_ROWS
from tasks.heads.fit import START_NUMBERS, START_SHARE
from tasks.queue.evidence import EVIDENCE_ROWS, NEIGHBOUR_PAIRS

READING = ("ingest", "validate", "encode")
MATHS = ("fit", "attribute")
# Of all rows they only read; the rest of their work has a bound.
BOUNDED = ("queue", "oddities", "map")
# Samples whose neighbours are looked for; the pairs that are compared for it have a bound.
QUEUED = 10_000


@dataclass(frozen=True)
class Size:
    """The size of a run: N rows x d features, C classes, K folds."""

    rows: int
    features: int
    classes: int
    folds: int

    def __str__(self) -> str:
        return f"{self.rows:,} x {self.features} x {self.classes}, {self.folds} folds"


COSTS = ["seconds", "memory"]


def terms(step: str, size: Size) -> dict[str, float]:
    """Return the terms of a step's seconds, by name.

    >>> terms("flag", Size(10, 2, 3, 5))
    {'start': 1.0, 'row': 10.0}
    """
    found = {"start": 1.0, "row": float(size.rows)}
    if step in READING:
        found["number"] = float(size.rows * size.features)
    if step in BOUNDED:
        found = {"start": 1.0, "number": float(size.rows * size.features)}
    if step.startswith(MATHS):
        found["probability"] = float(size.rows * size.folds * size.classes)
        found["multiply-add"] = found["probability"] * size.features
    if step.startswith("fit"):
        some = min(START_SHARE * size.rows, START_NUMBERS / size.features)
        found["multiply-add at the start"] = some * size.features * size.classes
    if step in ("oddities", "map"):
        found["row looked at"] = float(min(size.rows, MOST_ROWS))
        found["number looked at"] = found["row looked at"] * min(size.features, FEWER_DIMENSIONS)
    if step == "queue":
        found["probability looked at"] = float(min(size.rows, EVIDENCE_ROWS) * size.classes)
        found["pair"] = float(min(QUEUED * size.rows, NEIGHBOUR_PAIRS) * size.features)
    return found


@dataclass(frozen=True)
class CostModel:
    """A fitted cost model.

    Attributes:
        seconds: What one of each term (column) costs in each step (row); missing where a step has no such term.
        memory: For each step the MB at the start, and per row.
    """

    seconds: pd.DataFrame
    memory: pd.DataFrame

    def predict(self, size: Size) -> pd.DataFrame:
        """Return what each step of a run of this size costs: seconds on the wall, and the peak of its memory in MB."""
        counts = pd.DataFrame({step: terms(step, size) for step in self.seconds.index}).T
        seconds = (self.seconds * counts).sum(axis=1)
        memory = self.memory["start"] + self.memory["row"] * size.rows
        return pd.DataFrame({"seconds": seconds, "memory": memory})


def fit_costs(runs: Sequence[tuple[Size, pd.DataFrame]]) -> CostModel:
    """Fit the model to measured runs, each with the costs of the same steps.

    >>> runs = [(Size(n, 1, 2, 5), pd.DataFrame([[1 + n / 10, 50.0]], ["flag"], COSTS)) for n in (10, 100, 1000)]
    >>> round(fit_costs(runs).predict(Size(10_000, 1, 2, 5)).loc["flag", "seconds"])
    1001
    """
    rows = pd.DataFrame({"start": 1.0, "row": [float(size.rows) for size, _ in runs]})
    seconds, memory = {}, {}
    for step in runs[0][1].index:
        spent, held = np.array([run.loc[step, COSTS] for _, run in runs], dtype=np.float64).T
        seconds[step] = _combine(pd.DataFrame([terms(step, size) for size, _ in runs]), spent)
        memory[step] = _combine(rows, held)
    return CostModel(pd.DataFrame(seconds).T, pd.DataFrame(memory).T)


def _combine(counts: pd.DataFrame, measured: Array) -> pd.Series:
    """Return non-negative coefficients that reproduce what was measured with the least relative error."""
    # A step that takes no measurable time counts as a hundredth of a second: its relative error does not matter.
    weight = 1 / np.maximum(measured, 0.01)
    weighed = counts.mul(weight, axis=0)
    scale = weighed.max()
    solution, _ = nnls((weighed / scale).to_numpy(), measured * weight)
    return pd.Series(solution, counts.columns) / scale


def sum_costs(run: pd.DataFrame) -> tuple[float, float]:
    """Return the seconds of all steps together, and the highest peak in MB."""
    return float(run["seconds"].sum()), float(run["memory"].max())
