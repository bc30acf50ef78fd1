"""Rows of encoded features, block by block: in memory where they fit, encoded as they are read where they do not."""

from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from tasks.heads.features import BLOCK_ROWS, Features, MemoryFeatures


class Encode(Protocol):
    """A map from raw features (b, d) to encoded features (b, width)."""

    @property
    def width(self) -> int:
        """Number of encoded features, without the intercept."""
        ...

    def __call__(self, raw: Tensor) -> Tensor:
        """Encode raw features."""
        ...


class Rows(Features, Protocol):
    """Encoded features of n samples, last column 1 for the intercept; `width` counts it."""

    def part(self, start: int, stop: int) -> "Rows":
        """Return the samples from `start`, a block's first, up to `stop`."""
        ...


def add_intercept(features: Tensor) -> Tensor:
    """Append a column of ones: (n, d) to (n, d + 1).

    >>> add_intercept(torch.zeros(2, 1))
    tensor([[0., 1.],
            [0., 1.]])
    """
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


class HeldRows(MemoryFeatures):
    """Encoded features that are in memory (or on the device) as one tensor, (n, width) with the intercept."""

    def part(self, start: int, stop: int) -> "HeldRows":
        """Return a view of some samples."""
        return HeldRows(self.tensor[start:stop], self.block_rows)


class MemoryRows(HeldRows):
    """Features (n, d) that are taken as they are, the intercept put beside them."""

    def __init__(self, features: Tensor, block_rows: int = BLOCK_ROWS) -> None:
        super().__init__(add_intercept(features), block_rows)


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
        self.block_rows = features.block_rows

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Read and encode the features once from front to back."""
        for rows, raw in self.features.blocks():
            yield rows, add_intercept(self.encode(raw))

    def take(self, index: Tensor) -> Tensor:
        """Return the features of some samples."""
        return add_intercept(self.encode(self.features.take(index)))

    def part(self, start: int, stop: int) -> Rows:
        """Return some samples, still unread."""
        return EncodedRows(self.features.part(start, stop), self.encode)


class CachedRows(HeldRows):
    """The rows of `EncodedRows` to the last bit, encoded once, when they are first asked for, and held in memory."""

    def __init__(self, features: Features, encode: Encode) -> None:
        self._unread = EncodedRows(features, encode)
        self.n, self.width, self.like = self._unread.n, self._unread.width, self._unread.like
        self.block_rows = features.block_rows

    @cached_property
    def tensor(self) -> Tensor:  # type: ignore[override]
        """(n, width) encoded features with the intercept."""
        held = self.like.new_ones(self.n, self.width)
        for rows, raw in self._unread.features.blocks():
            held[rows, :-1] = self._unread.encode(raw)
        return held

    def take(self, index: Tensor) -> Tensor:
        """Encode anew: a matrix product of few rows may round otherwise than one of a block."""
        return self._unread.take(index)


def count_encoded_bytes(features: Features, encode: Encode) -> int:
    """Return what the encoded features of all samples take in memory."""
    return features.n * (encode.width + 1) * features.like.element_size()


def encode_rows(features: Features, encode: Encode, memory: int) -> Rows:
    """Return encoded rows, in memory where they take at most `memory` bytes."""
    if count_encoded_bytes(features, encode) <= memory:
        return CachedRows(features, encode)
    return EncodedRows(features, encode)
