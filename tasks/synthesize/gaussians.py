"""Two Gaussian clouds with planted label errors, whose optimal decision boundary is known.

    y ~ Bernoulli(1/2),    x | y ~ N((1 - y) mean_0 + y mean_1, sigma^2 I)

With equal weights and equal round covariances, Bayes' rule decides for the nearer mean: the optimal boundary
is the hyperplane of points equidistant from both. A share of the labels is then exchanged, uniformly over the
samples.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.records import Synthetic
from tasks.storage import ROWS_PER_GROUP, open_atomically, open_table_writer

_METADATA = "labelsweep.synthetic"
_SUFFIXES = (".parquet", ".csv")
# 64 MiB of float32 are one chunk at most, whatever the dimension.
_CHUNK_BYTES = 64 * 2**20
# The names of that many columns are as much as a Parquet footer should carry.
_MOST_DIMENSIONS = 10_000


def synthesize(
    out: Path,
    *,
    rows: int = 10_000,
    dimension: int = 2,
    mean_0: Sequence[float] | None = None,
    mean_1: Sequence[float] | None = None,
    sigma: float = 0.2,
    flips: float = 0.0,
    seed: int = 0,
) -> Path:
    """Write a two-Gaussian data set: columns x0, x1, ..., label ("0" or "1") and true_label.

    Rows are drawn one after the other: a smaller data set of the same seed is the beginning of a larger one,
    but for the flips. How they were drawn is kept in the Parquet file's metadata.

    Args:
        out: File to write; its suffix (.parquet or .csv) tells the format. A file that is there is replaced.
        mean_0: Mean of the samples of class 0, one number a dimension; zeros if None.
        mean_1: Mean of the samples of class 1; ones if None.
        sigma: Standard deviation of each feature around its mean.
        flips: Share of the labels that are exchanged, 0 to 1, rounded to whole samples.

    Returns:
        The path of the file.

    Raises:
        InputError: An option is out of range, or the file cannot be written.

    >>> import tempfile
    >>> path = synthesize(Path(tempfile.mkdtemp()) / "two.parquet", rows=100, flips=0.1)
    >>> table = pq.read_table(path)
    >>> table.column_names, sum(a != b for a, b in zip(table["label"], table["true_label"]))
    (['x0', 'x1', 'label', 'true_label'], 10)
    """
    _check_options(rows, dimension, sigma, flips, seed)
    drawn = Synthetic(
        mean_0=_mean("--mean-0", mean_0, dimension, 0.0),
        mean_1=_mean("--mean-1", mean_1, dimension, 1.0),
        sigma=sigma,
    )
    if drawn.mean_0 == drawn.mean_1:
        raise InputError(
            "is the same as --mean-0", where="--mean-1", fix="two classes need two different means"
        )
    fields = [(f"x{axis}", pa.float32()) for axis in range(dimension)]
    columns = [*fields, ("label", pa.string()), ("true_label", pa.string())]
    schema = pa.schema(columns, {_METADATA: drawn.model_dump_json()})
    with _open_writer(out, schema) as writer:
        for features, given, true in draw(drawn, rows, flips, seed):
            arrays = [pa.array(column) for column in (*features.T, given.astype(str), true.astype(str))]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return out


def draw(
    synthetic: Synthetic, rows: int, flips: float, seed: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield chunks of (features, given labels, true labels).

    Args:
        synthetic: Means and standard deviation.
        flips: Share of the labels that are exchanged.
        seed: Seed; labels, features and flips have a stream of their own each.

    >>> two = Synthetic(mean_0=(0, 0), mean_1=(1, 1), sigma=0.2)
    >>> [(x.shape, given.shape) for x, given, true in draw(two, 5, 0.0, seed=0)]
    [((5, 2), (5,))]
    """
    means = np.array([synthetic.mean_0, synthetic.mean_1], np.float32)  # (classes, features)
    label_stream, feature_stream, flip_stream = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)
    )
    chunk = min(ROWS_PER_GROUP, max(1, _CHUNK_BYTES // (4 * means.shape[1])))
    flips_left = round(flips * rows)
    for start in range(0, rows, chunk):
        size = min(chunk, rows - start)
        true = label_stream.integers(0, 2, size)
        noise = feature_stream.standard_normal((size, means.shape[1]), dtype=np.float32)
        features = means[true] + np.float32(synthetic.sigma) * noise
        # How many of the flips fall into this chunk when all flips are drawn without replacement.
        count = int(flip_stream.hypergeometric(flips_left, rows - start - flips_left, size))
        flips_left -= count
        given = true.copy()
        given[flip_stream.permutation(size)[:count]] ^= 1
        yield features, given, true


def _check_options(rows: int, dimension: int, sigma: float, flips: float, seed: int) -> None:
    # NumPy draws hypergeometric numbers for populations below a thousand million.
    _check("--rows", rows, 2 <= rows < 10**9, "between 2 and 999,999,999")
    _check(
        "--dimension", dimension, 1 <= dimension <= _MOST_DIMENSIONS, f"between 1 and {_MOST_DIMENSIONS:,}"
    )
    _check("--sigma", sigma, math.isfinite(sigma) and sigma > 0, "above 0")
    _check("--flips", flips, 0 <= flips <= 1, "a share between 0 and 1")
    _check("--seed", seed, seed >= 0, "0 or above")


def _check(option: str, value: float, right: bool, expected: str) -> None:  # noqa: FBT001 (a condition is its whole point)
    if not right:
        raise InputError(f"must be {expected}, not {value}", where=option)


def _mean(option: str, given: Sequence[float] | None, dimension: int, default: float) -> tuple[float, ...]:
    if given is None:
        return (default,) * dimension
    mean = tuple(float(value) for value in given)
    if len(mean) != dimension:
        raise InputError(
            f"has {len(mean)} numbers, the data have dimension {dimension}",
            where=option,
            fix="make it fit --dimension",
        )
    if not all(math.isfinite(value) for value in mean):
        raise InputError("must be finite numbers", where=option)
    return mean


@contextmanager
def _open_writer(out: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter | pacsv.CSVWriter]:
    """Yield a writer of the format that the suffix names; the file appears when it is complete."""
    suffix = out.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InputError(f"unknown file type '{suffix}'", where=str(out), fix="name it .parquet or .csv")
    if out.is_dir():
        raise InputError("is a folder", where=str(out), fix="name a file")
    try:
        if suffix == ".parquet":
            with open_table_writer(out, schema) as writer:
                yield writer
        else:
            with open_atomically(out) as path, pacsv.CSVWriter(path, schema) as writer:
                yield writer
    except OSError as error:
        raise InputError(
            f"cannot write there ({error.strerror or error})", where=str(out), fix="choose another path"
        ) from error


def find_decision_boundary(
    mean_0: Sequence[float], mean_1: Sequence[float]
) -> tuple[NDArray[np.float64], float]:
    """Return the hyperplane of the points equidistant from both means: all x with `normal @ x == offset`.

    Args:
        mean_0: Mean of class 0, one number a dimension.
        mean_1: Mean of class 1; beyond the boundary, `normal @ x > offset`, class 1 is likelier.

    Returns:
        The unit normal, shape (dimension,), and the offset.

    Raises:
        ValueError: The means are equal or differ in length.

    >>> normal, offset = find_decision_boundary((0, 0), (0, 2))
    >>> normal.tolist(), offset
    ([0.0, 1.0], 1.0)
    """
    first, second = np.asarray(mean_0, float), np.asarray(mean_1, float)
    if first.shape != second.shape:
        raise ValueError(f"means of dimension {first.shape} and {second.shape}")
    between = second - first
    length = float(np.linalg.norm(between))
    if length == 0:
        raise ValueError("equal means have no boundary between them")
    normal: NDArray[np.float64] = between / length
    return normal, float(normal @ (first + second) / 2)
