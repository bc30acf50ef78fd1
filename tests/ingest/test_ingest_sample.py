"""The bundled digits are what their card says, and the script beside them makes exactly them."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tasks.ingest import ingest
from tasks.ingest.source import sample_path
from tasks.records import Source

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(DATA / "digits.parquet")


def pixels_of(column: pa.ChunkedArray) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in column.to_pylist()])


def test_the_script_makes_exactly_the_bundled_rows(table, tmp_path):
    path = tmp_path / "again.parquet"
    script = [sys.executable, str(DATA / "make_digits.py"), str(path)]
    subprocess.run(
        script, check=True, cwd=tmp_path, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    again = pq.read_table(path)
    assert again.schema.equals(table.schema)
    assert again.drop_columns("image").equals(table.drop_columns("image"))
    # The pixels, not the files' bytes: those depend on the version of Pillow that wrote them.
    np.testing.assert_array_equal(pixels_of(again["image"]), pixels_of(table["image"]))


def test_the_images_are_scikit_learns_digits(table):
    digits = load_digits()
    pixels = pixels_of(table["image"])
    assert pixels.shape == (1797, 8, 8)
    np.testing.assert_array_equal(pixels, np.rint(digits.images * 255 / 16))
    assert table["true_label"].to_pylist() == [str(label) for label in digits.target]
    assert table["id"].to_pylist() == [f"digit-{number:04d}" for number in range(1, 1798)]


def test_eight_percent_of_the_labels_are_wrong_and_all_are_digits(table):
    given, true = (np.array(table[column].to_pylist()) for column in ("label", "true_label"))
    assert (given != true).sum() == round(0.08 * 1797) == 144
    assert set(given) == set(true) == set("0123456789")


def test_half_of_the_errors_are_honest_confusions(table):
    """Confused pairs are few, uniform ones are spread: of 72 uniform flips a tenth falls on the 9 commonest pairs."""
    given, true = (np.array(table[column].to_pylist()) for column in ("label", "true_label"))
    pairs, counts = np.unique(np.stack([true, given])[:, given != true], axis=1, return_counts=True)
    assert np.sort(counts)[-9:].sum() >= 36
    assert pairs.shape[1] > 45


def test_the_file_stays_small():
    assert (DATA / "digits.parquet").stat().st_size < 200_000


def test_the_sample_is_found_and_ingested_as_images(tmp_path):
    assert sample_path("digits").is_file()
    dataset = ingest(Source(uri="sample:digits", id="id", truth="true_label"), tmp_path)
    assert (dataset.name, dataset.rows, dataset.payload, dataset.feature_shape) == (
        "digits",
        1797,
        "image",
        (8, 8),
    )
    assert dataset.classes == tuple("0123456789")
    data, truth = pq.read_table(dataset.path), pq.read_table(dataset.truth)
    assert "true_label" not in data.column_names
    assert truth["sample_id"].equals(data["sample_id"])
    assert (np.array(truth["true_label"].to_pylist()) != np.array(data["label"].to_pylist())).sum() == 144


def test_an_audit_without_the_truth_option_never_sees_the_truth(tmp_path):
    dataset = ingest(Source(uri="sample:digits"), tmp_path)
    assert "true_label" not in pq.read_schema(dataset.path).names
    assert dataset.truth is None
    assert dataset.display_columns == ()  # the column id is the sample's id
