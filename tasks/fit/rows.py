"""Rows of encoded features, block by block: in memory where they fit, from disk where they do not.

Every sum over samples in this project is a sum over these blocks, in order. Blocks have a fixed size, so the
sums do not depend on how the source was cut into row groups, nor on how many machines share the work.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array

# 16,384 x 1,024 float32 is 64 MiB: large enough that a matrix product dominates the loop around it, small
# enough for any budget.
BLOCK_ROWS = 16_384


class Rows(Protocol):
    """Encoded features of n samples, last column 1 for the intercept."""

    @property
    def n(self) -> int:
        """Number of samples."""
        ...

    @property
    def width(self) -> int:
        """Number of encoded features, the intercept included."""
        ...

    @property
    def like(self) -> Tensor:
        """An empty tensor of the dtype and device in which blocks come."""
        ...

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield (rows, features (b, width)) in order."""
        ...

    def take(self, index: Tensor) -> Tensor:
        """Return the features of some samples, (len(index), width)."""
        ...


def with_intercept(features: Tensor) -> Tensor:
    """Append a column of ones: (n, d) to (n, d + 1).

    >>> with_intercept(torch.zeros(2, 1))
    tensor([[0., 1.],
            [0., 1.]])
    """
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


class MemoryRows:
    """Encoded features that lie in memory (or on the device) as one tensor.

    Args:
        features: (n, d) encoded features without the intercept.
        block_rows: Samples per block.
    """

    def __init__(self, features: Tensor, block_rows: int = BLOCK_ROWS) -> None:
        self.features = with_intercept(features)
        self.n, self.width = self.features.shape
        self.like = self.features.new_empty(0)
        self.block_rows = block_rows

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield views, nothing is copied."""
        for start in range(0, self.n, self.block_rows):
            rows = slice(start, min(start + self.block_rows, self.n))
            yield rows, self.features[rows]

    def take(self, index: Tensor) -> Tensor:
        """Return the features of some samples."""
        return self.features[index.to(self.features.device)]


class DiskRows:
    """Raw float32 features in a flat file, encoded block by block each time they are read.

    Plain reads rather than a memory map: mapped pages count as resident memory until the system takes them
    back, and the promise here is a bound on it.

    Args:
        path: File of n x d little-endian float32 in C order.
        shape: (n, d).
        encode: Feature map from raw (b, d) to encoded (b, width - 1).
        width: Encoded features, the intercept included.
        like: A tensor of the dtype and device wanted.
        block_rows: Samples per block.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int],
        encode: Callable[[Tensor], Tensor],
        width: int,
        like: Tensor,
        block_rows: int = BLOCK_ROWS,
    ) -> None:
        self.path = path
        self.n, self.raw_width = shape
        self.encode = encode
        self.width = width
        self.like = like
        self.block_rows = block_rows

    def _encoded(self, raw: Array) -> Tensor:
        return with_intercept(self.encode(torch.from_numpy(raw).to(self.like)))

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Read the file once from front to back."""
        with self.path.open("rb") as file:
            for start in range(0, self.n, self.block_rows):
                stop = min(start + self.block_rows, self.n)
                raw = np.fromfile(file, dtype="<f4", count=(stop - start) * self.raw_width)
                yield slice(start, stop), self._encoded(raw.reshape(stop - start, self.raw_width))

    def take(self, index: Tensor) -> Tensor:
        """Read some samples, each where it lies."""
        raw = np.empty((len(index), self.raw_width), dtype="<f4")
        with self.path.open("rb") as file:
            for row, sample in enumerate(index.tolist()):
                file.seek(sample * self.raw_width * 4)
                raw[row] = np.fromfile(file, dtype="<f4", count=self.raw_width)
        return self._encoded(raw)
