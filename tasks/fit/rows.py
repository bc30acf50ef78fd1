"""Rows of encoded features, block by block: in memory where they fit, encoded as they are read where they do not."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from tasks.fit.features import BLOCK_ROWS, Features


class Encode(Protocol):
    """A map from raw features (b, d) to encoded features (b, width)."""

    @property
    def width(self) -> int:
        """Number of encoded features, without the intercept."""
        ...

    def __call__(self, raw: Tensor) -> Tensor:
        """Encode raw features."""
        ...


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
        self.like = features.new_empty(0)
        self.block_rows = block_rows

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield views, nothing is copied."""
        for start in range(0, self.n, self.block_rows):
            rows = slice(start, min(start + self.block_rows, self.n))
            yield rows, self.features[rows]

    def take(self, index: Tensor) -> Tensor:
        """Return the features of some samples."""
        return self.features[index.to(self.features.device)]


class EncodedRows:
    """Features that are encoded block by block each time they are read; memory is that of one block.

    Args:
        features: Raw features.
        encode: Feature map.
    """

    def __init__(self, features: Features, encode: Encode) -> None:
        self.features = features
        self.encode = encode
        self.n, self.width = features.n, encode.width + 1
        self.like = features.like

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Read and encode the features once from front to back."""
        for rows, raw in self.features.blocks():
            yield rows, with_intercept(self.encode(raw))

    def take(self, index: Tensor) -> Tensor:
        """Return the features of some samples."""
        return with_intercept(self.encode(self.features.take(index)))


class CachedRows(EncodedRows):
    """The same rows to the last bit, encoded once and held in memory."""

    def __init__(self, features: Features, encode: Encode) -> None:
        super().__init__(features, encode)
        self._held = features.like.new_ones(self.n, self.width)
        for rows, raw in features.blocks():
            self._held[rows, :-1] = encode(raw)

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield views, nothing is copied."""
        for start in range(0, self.n, self.features.block_rows):
            rows = slice(start, min(start + self.features.block_rows, self.n))
            yield rows, self._held[rows]


def encoded_bytes(features: Features, encode: Encode) -> int:
    """Return what the encoded features of all samples take in memory."""
    return features.n * (encode.width + 1) * features.like.element_size()


def encode_rows(features: Features, encode: Encode, memory: int) -> Rows:
    """Return encoded rows, in memory where they take at most `memory` bytes."""
    if encoded_bytes(features, encode) <= memory:
        return CachedRows(features, encode)
    return EncodedRows(features, encode)
