"""Raw features of the samples, block by block: a tensor of the caller's, or the feature file of a run.

Every sum over samples in this project is a sum over these blocks, in order. Blocks have a fixed size, so the
sums depend neither on how the source was cut into row groups nor on how much of the data is in memory.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tasks.records import FeatureFile

T = TypeVar("T")

# 16,384 x 1,024 float32 is 64 MiB: large enough that a matrix product dominates the loop around it, small
# enough for any budget.
BLOCK_ROWS = 16_384

# Little-endian float32 in C order, whatever machine wrote it.
STORED = np.dtype("<f4")


class Features(Protocol):
    """Raw features of n samples."""

    @property
    def n(self) -> int:
        """Number of samples."""
        ...

    @property
    def width(self) -> int:
        """Number of raw features, d."""
        ...

    @property
    def like(self) -> Tensor:
        """An empty tensor of the dtype and device in which blocks come."""
        ...

    @property
    def block_rows(self) -> int:
        """Samples per block; the last block may have fewer."""
        ...

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield (rows, features (b, d)) in order."""
        ...

    def take(self, index: Tensor) -> Tensor:
        """Return the features of some samples, (len(index), d)."""
        ...

    def part(self, start: int, stop: int) -> "Features":
        """Return the features of the samples from `start`, a block's first, up to `stop`."""
        ...


class MemoryFeatures:
    """Features that are in memory (or on the device) as one tensor, (n, d)."""

    def __init__(self, tensor: Tensor, block_rows: int = BLOCK_ROWS) -> None:
        self.tensor = tensor
        self.n, self.width = tensor.shape
        self.like = tensor.new_empty(0)
        self.block_rows = block_rows

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield views, nothing is copied."""
        for start in range(0, self.n, self.block_rows):
            rows = slice(start, min(start + self.block_rows, self.n))
            yield rows, self.tensor[rows]

    def take(self, index: Tensor) -> Tensor:
        """Return the features of some samples."""
        return self.tensor[index.to(self.tensor.device)]

    def part(self, start: int, stop: int) -> "MemoryFeatures":
        """Return a view of some samples."""
        return MemoryFeatures(self.tensor[start:stop], self.block_rows)


class FileFeatures:
    """Features in the feature file of a run, read again each time they are asked for.

    Plain reads rather than a memory map: mapped pages count as resident memory until the system takes them
    back, and the promise here is a bound on it. What was read lately comes from the system's page cache.

    Args:
        file: The feature file.
        like: A tensor of the dtype and device wanted.
        block_rows: Samples per block.
        first: Row of the file that is the first sample here.
    """

    def __init__(self, file: FeatureFile, like: Tensor, block_rows: int = BLOCK_ROWS, first: int = 0) -> None:
        self.path: Path = file.path
        self.n, self.width, self.plain = file.rows - first, file.width, file.plain
        self.first = first
        self.like = like
        self.block_rows = block_rows

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Read the file once from front to back, a block ahead of whoever computes."""
        return prefetch(self._read())

    def _read(self) -> Generator[tuple[slice, Tensor], None, None]:
        with self.path.open("rb") as file:
            file.seek(self.first * self.width * STORED.itemsize)
            for start in range(0, self.n, self.block_rows):
                stop = min(start + self.block_rows, self.n)
                raw = np.fromfile(file, dtype=STORED, count=(stop - start) * self.width)
                yield slice(start, stop), self._tensor(raw, stop - start)

    def take(self, index: Tensor) -> Tensor:
        """Read some samples, each where it is."""
        raw = np.empty((len(index), self.width), dtype=STORED)
        with self.path.open("rb") as file:
            for row, sample in enumerate(index.tolist()):
                file.seek((self.first + sample) * self.width * STORED.itemsize)
                raw[row] = np.fromfile(file, dtype=STORED, count=self.width)
        return self._tensor(raw, len(index))

    def part(self, start: int, stop: int) -> "FileFeatures":
        """Return the same file, read from one row up to another."""
        file = FeatureFile(path=self.path, rows=self.first + stop, width=self.width)
        return FileFeatures(file, self.like, self.block_rows, self.first + start)

    def _tensor(self, raw: npt.NDArray[np.float32], rows: int) -> Tensor:
        block = torch.from_numpy(raw.reshape(rows, self.width))
        if self.like.device.type == "cuda":  # from pinned memory the copy runs beside the computation
            return block.pin_memory().to(self.like, non_blocking=True)
        return block.to(self.like)


def prefetch(items: Generator[T, None, None]) -> Iterator[T]:
    """Yield the same items, the next one made in a thread while the last one is used.

    >>> list(prefetch(number for number in range(3)))
    [0, 1, 2]
    """
    try:
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(next, items, None)
            while (item := coming.result()) is not None:
                coming = pool.submit(next, items, None)
                yield item
    finally:
        items.close()  # the pool has waited for its thread, whatever came between: a signal, or no thread at all


def compute_moments(
    features: Features, seen: Callable[[Tensor], Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each feature, (d,) each, of the features' dtype and device.

    Args:
        seen: What is made of a block of them first, if anything.

    Blocks are joined by the update of Chan, Golub and LeVeque (1983) in float64, so that one pass is enough.

    >>> mean, deviation = compute_moments(MemoryFeatures(torch.tensor([[1.0], [2.0], [3.0]]), block_rows=2))
    >>> mean.tolist(), deviation.square().tolist()
    ([2.0], [0.6666666865348816])
    """
    count = 0
    mean = squares = torch.zeros(1, dtype=torch.float64, device=features.like.device)
    for _, block in features.blocks():
        double = (seen(block) if seen else block).double()
        own = double.mean(0)
        total = count + len(block)
        squares = (
            squares + (double - own).square().sum(0) + (own - mean).square() * (count * len(block) / total)
        )
        mean = mean + (own - mean) * (len(block) / total)
        count = total
    return mean.to(features.like), (squares / max(count, 1)).sqrt().to(features.like)
