"""Make `digits.parquet`: scikit-learn's handwritten digits as PNG images, with errors planted in the labels.

Run `python data/make_digits.py` from anywhere; the result is the same on every run. README.md beside this
file is the data card.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

SEED = 20
WRONG = 0.08  # about the share of wrong labels that people make on small images (CIFAR-10N, aggregated: 9 %)
PIXEL_MAX = 16  # scikit-learn's copy counts the set pixels in 4 x 4 blocks of the scanned bitmap
CLASSES = 10


def as_png(image: NDArray[np.float64]) -> bytes:
    """Return one image of shape (8, 8) with values 0..16 as an 8-bit grayscale PNG."""
    pixels = np.rint(image * 255 / PIXEL_MAX).astype(np.uint8)
    buffer = io.BytesIO()
    # Stored, not deflated: the same bytes with every build of zlib, and Parquet compresses them all together.
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=0)
    return buffer.getvalue()


def most_confused(features: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each image the wrong class that a model fitted without the image finds likeliest."""
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    model = LogisticRegression(max_iter=2_000)
    probabilities = cross_val_predict(model, features / PIXEL_MAX, labels, cv=folds, method="predict_proba")
    probabilities[np.arange(len(labels)), labels] = -1.0
    return probabilities.argmax(axis=1)


def plant_errors(features: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a copy of `truth` with a share of `WRONG` wrong: half uniformly, half to the confused class."""
    rng = np.random.default_rng(SEED)
    wrong = rng.permutation(len(truth))[: round(WRONG * len(truth))]
    uniform, confused = np.array_split(wrong, 2)
    labels = truth.copy()
    labels[uniform] = (truth[uniform] + rng.integers(1, CLASSES, len(uniform))) % CLASSES
    labels[confused] = most_confused(features, truth)[confused]
    return labels


def make_table() -> pa.Table:
    """Return the table: id, image, label (8 % wrong), true_label."""
    digits = load_digits()
    truth = digits.target.astype(np.int64)
    labels = plant_errors(digits.data, truth)
    return pa.table(
        {
            "id": pa.array([f"digit-{number:04d}" for number in range(1, len(truth) + 1)], pa.string()),
            "image": pa.array([as_png(image) for image in digits.images], pa.binary()),
            "label": pa.array(labels.astype(str), pa.string()),
            "true_label": pa.array(truth.astype(str), pa.string()),
        }
    )


def main() -> None:
    """Write the table and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).with_name("digits.parquet"))
    out: Path = parser.parse_args().out
    table = make_table()
    pq.write_table(table, out, compression="zstd", compression_level=19)
    wrong = sum(given != true for given, true in zip(table["label"], table["true_label"], strict=True))
    print(f"{out}: {table.num_rows} images, {wrong} labels wrong, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
