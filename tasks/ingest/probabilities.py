"""Probabilities that a model gave already: clipped logs as features, which is what a linear head reads best.

They should be out of fold: a model that has seen a label when it gave its probability defends the label.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.ingest.content import Encoded
from tasks.ingest.identity import content_hashes, vector_rows
from tasks.ingest.kinds import is_list
from tasks.ingest.numbers import as_float32
from tasks.ingest.table import SourceTable

# Below one in a million a probability is rounding; its log would stand far from all others.
LEAST = 1e-6
# Probabilities that were rounded to two digits, of a hundred classes, sum to one within this.
_SUM = 0.5
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Probabilities:
    """One column of lists, or one column for each class."""

    table: SourceTable
    columns: tuple[str, ...]
    width: int

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name with the class, or the columns' own names."""
        if len(self.columns) > 1:
            return self.columns
        return tuple(f"{self.columns[0]}[{place}]" for place in range(self.width))

    @property
    def shape(self) -> tuple[int, ...]:
        """One number a class."""
        return (self.width,)

    def encode(self, batch: pa.RecordBatch, first_row: int) -> Encoded:
        """Return log-probabilities and hashes; a missing list is all NaN.

        Raises:
            InputError: A list has another length, or a row holds no probabilities.
        """
        given = np.full((batch.num_rows, self.width), np.nan, np.float32)
        if is_list(batch.column(self.columns[0]).type):
            for row, values in enumerate(batch.column(self.columns[0]).to_pylist()):
                if values is not None and len(values) != self.width:
                    raise self._problem(first_row + row, f"has {len(values)} numbers, not {self.width}")
                given[row] = np.nan if values is None else np.array(values, np.float32)
        else:
            for place, name in enumerate(self.columns):
                given[:, place] = as_float32(batch.column(name))
        self._check(given, first_row)
        logs = np.log(np.maximum(given, np.float32(LEAST)))
        return Encoded(logs, content_hashes("probabilities", (), vector_rows(given)))

    def _check(self, given: np.ndarray[tuple[int, int], np.dtype[np.float32]], first_row: int) -> None:
        outside = ((given < -_TOLERANCE) | (given > 1 + _TOLERANCE)).any(axis=1)
        sums = given.sum(axis=1)
        if outside.any():
            row = int(outside.argmax())
            worst = given[row][np.abs(given[row] - 0.5).argmax()]
            raise self._problem(first_row + row, f"holds {worst:g}, which is no probability")
        far = np.abs(sums - 1) > _SUM
        if far.any():
            row = int(far.argmax())
            raise self._problem(first_row + row, f"sums to {sums[row]:g}, not to 1")

    def _problem(self, row: int, what: str) -> Exception:
        shown = ", ".join(f"'{name}'" for name in self.columns[:3]) + (", …" if len(self.columns) > 3 else "")
        return self.table.problem(
            row, f"--pred-probs {shown} {what}", fix="give one probability for each class, in every row"
        )
