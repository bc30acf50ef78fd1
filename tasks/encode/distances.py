"""Where samples are, for the question which are alike: some rows of the features, scaled so that a distance means something.

Columns of a table are divided by their spread, but for what is either 0 or 1; embeddings and texts are brought to length one, so
that their angle counts; pixels stay as they are. Wide features are projected at random, which keeps distances (Johnson and
Lindenstrauss, 1984; within a tenth at 64 directions).
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tasks.heads.features import FileFeatures
from tasks.heads.neighbours import EXACT_ROWS, Neighbours, find_neighbours
from tasks.options import AuditOptions
from tasks.records import Dataset

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Samples among which neighbours are looked for: 200,000 in 64 directions take 50 MB, twice, and seconds to search.
MOST_ROWS = 200_000
DIMENSIONS, FEWER_DIMENSIONS = 256, 64


def search(features: FileFeatures, rows: Ints, kind: str, count: int) -> Neighbours:
    """Return the nearest `count` others of each of some samples, two or more.

    Args:
        rows: Which samples, in order; those that are returned are numbered by their place here.
        kind: How distances are taken, as `place_rows` has it.
    """
    dimensions = DIMENSIONS if len(rows) <= EXACT_ROWS else FEWER_DIMENSIONS
    return find_neighbours(place_rows(features, rows, kind, dimensions), count)


def choose_distance(dataset: Dataset, options: AuditOptions) -> str:
    """Return how distances between samples of a data set are taken."""
    if dataset.payload == "tabular":
        return "scaled"
    return "plain" if dataset.payload == "image" and options.own_encoder is None else "angle"


def draw_row_numbers(n: int, most: int, seed: int = 0) -> Ints:
    """Return `most` random rows of n in order, or all.

    >>> draw_row_numbers(5, 10).tolist(), len(draw_row_numbers(100, 10))
    ([0, 1, 2, 3, 4], 10)
    """
    if n <= most:
        return np.arange(n, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False)).astype(np.int64)


def pick_rows(blocks: Iterable[Floats], rows: Ints) -> Iterable[Floats]:
    """Yield the wanted rows of each block; `rows` are numbered over all blocks, in order."""
    start = 0
    for block in blocks:
        low, high = np.searchsorted(rows, [start, start + len(block)])
        yield block[rows[low:high] - start]
        start += len(block)


def read_blocks(features: FileFeatures) -> Iterable[Floats]:
    """Yield the rows of a feature file."""
    for _, block in features.blocks():
        yield block.float().numpy()


def place_rows(features: FileFeatures, rows: Ints, kind: str, most_dimensions: int) -> Floats:
    """Return where some samples are, (len(rows), at most `most_dimensions`), an embedding beside their features left out.

    Args:
        rows: Which samples, in order.
        kind: `scaled` for tables, `angle` for embeddings and texts, `plain` for pixels.
    """
    narrow = features.plain <= most_dimensions
    sketch = None if narrow else _draw_sketch(features.plain, most_dimensions)
    scale = _scale(features, draw_row_numbers(features.n, 4_096)) if kind == "scaled" else None
    found: Sequence[Floats] = [
        _project_block(block, kind, scale, sketch)
        for block in pick_rows((block[:, : features.plain] for block in read_blocks(features)), rows)
    ]
    return np.concatenate(found)


def _project_block(block: Floats, kind: str, scale: Floats | None, sketch: Floats | None) -> Floats:
    if scale is not None:
        block = block / scale
    if kind == "angle":
        length: Floats = np.linalg.norm(block, axis=1, keepdims=True)
        block = np.divide(block, np.where(length > 0, length, np.float32(1)))
    return np.ascontiguousarray(block if sketch is None else block @ sketch, np.float32)


def _scale(features: FileFeatures, rows: Ints) -> Floats:
    """Return the spread of each feature; 1 where it is constant, or 0 or 1: two categories differ by one, rare or not."""
    sample = np.concatenate(list(pick_rows(read_blocks(features), rows)))[:, : features.plain]
    spread = sample.std(axis=0)
    either = np.isin(sample, (0, 1)).all(axis=0)
    return np.where(either | (spread == 0), np.float32(1), spread).astype(np.float32)


def _draw_sketch(width: int, dimensions: int) -> Floats:
    drawn_directions = np.random.default_rng(0).standard_normal((width, dimensions), np.float32)
    return drawn_directions / np.float32(np.sqrt(dimensions))
