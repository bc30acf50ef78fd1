"""The two-Gaussian data are what the theory says, reproducible, and their optimal boundary is optimal."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.memory import read_peak_memory, reset_peak_memory
from tasks.records import Source, Synthetic
from tasks.synthesize import find_decision_boundary, synthesize


def drawn(path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = pq.read_table(path) if path.suffix == ".parquet" else pacsv.read_csv(path)
    names = [name for name in table.column_names if name.startswith("x")]
    features = np.column_stack([table[name].to_numpy() for name in names])
    return features, *(np.array(table[name].to_pylist()).astype(int) for name in ("label", "true_label"))


def test_the_classes_have_the_means_the_spread_and_the_shares_of_the_theory(tmp_path):
    means = ((0.0, 3.0, -1.0), (1.0, 1.0, 1.0))
    path = synthesize(
        tmp_path / "s.parquet", rows=40_000, dimension=3, mean_0=means[0], mean_1=means[1], sigma=0.5
    )
    x, given_label, true = drawn(path)
    assert np.array_equal(given_label, true)
    # Six standard errors of a share of 40,000, and of a mean and a deviation of 20,000.
    assert abs(true.mean() - 0.5) < 6 * 0.5 / math.sqrt(40_000)
    for label, mean in enumerate(means):
        cloud = x[true == label]
        np.testing.assert_allclose(cloud.mean(axis=0), mean, atol=6 * 0.5 / math.sqrt(20_000))
        np.testing.assert_allclose(np.cov(cloud.T), 0.25 * np.eye(3), atol=6 * 0.25 * math.sqrt(2 / 20_000))


def test_the_defaults_are_the_theorys_example(tmp_path):
    x, _, true = drawn(synthesize(tmp_path / "s.parquet"))
    assert x.shape == (10_000, 2)
    np.testing.assert_allclose(x[true == 0].mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(x[true == 1].mean(axis=0), 1, atol=0.02)
    assert abs(x[true == 0].std() - 0.2) < 0.01


@pytest.mark.parametrize(
    ("rows", "flips"), [(10_000, 0.1), (40_000, 0.25), (50, 0.02), (7, 1.0), (1000, 0.0)]
)
def test_exactly_the_chosen_share_is_flipped(rows, flips, tmp_path):
    _, label, true = drawn(synthesize(tmp_path / "s.parquet", rows=rows, flips=flips))
    assert (label != true).sum() == round(flips * rows)


def test_flips_are_spread_over_all_rows_and_both_classes(tmp_path):
    _, label, true = drawn(synthesize(tmp_path / "s.parquet", rows=60_000, flips=0.1))
    wrong = label != true
    shares = [part.mean() for part in np.array_split(wrong, 6)] + [
        wrong[true == 0].mean(),
        wrong[true == 1].mean(),
    ]
    # Six standard errors of a share of 0.1 of 10,000.
    np.testing.assert_allclose(shares, 0.1, atol=6 * math.sqrt(0.1 * 0.9 / 10_000))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_rows(tmp_path):
    def content(name, seed):
        return synthesize(tmp_path / name, rows=500, flips=0.1, seed=seed).read_bytes()

    assert content("a.parquet", 1) == content("b.parquet", 1)
    assert content("a.csv", 1) == content("b.csv", 1)
    assert content("a.parquet", 1) != content("c.parquet", 2)


def test_a_smaller_data_set_is_the_beginning_of_a_larger_one(tmp_path):
    small, _, small_true = drawn(synthesize(tmp_path / "s.parquet", rows=1_000, flips=0.1))
    large, _, large_true = drawn(synthesize(tmp_path / "l.parquet", rows=50_000, flips=0.3))
    np.testing.assert_array_equal(small, large[:1_000])
    np.testing.assert_array_equal(small_true, large_true[:1_000])


def test_csv_and_parquet_hold_the_same_rows(tmp_path):
    a = drawn(synthesize(tmp_path / "s.parquet", rows=300, dimension=4, flips=0.1))
    b = drawn(synthesize(tmp_path / "s.csv", rows=300, dimension=4, flips=0.1))
    np.testing.assert_array_equal(a[0], b[0].astype(np.float32))
    for one, other in zip(a[1:], b[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_columns_types_and_metadata_are_the_contract(tmp_path):
    schema = pq.read_schema(synthesize(tmp_path / "s.parquet", rows=10, dimension=2, sigma=0.3))
    assert schema.names == ["x0", "x1", "label", "true_label"]
    assert schema.types == [pa.float32(), pa.float32(), pa.string(), pa.string()]
    kept = Synthetic.model_validate_json(schema.metadata[b"labelsweep.synthetic"])
    assert kept == Synthetic(mean_0=(0, 0), mean_1=(1, 1), sigma=0.3)


@pytest.mark.parametrize("name", ["s.parquet", "s.csv"])
def test_synthetic_data_are_ingested_without_leaking_the_truth(name, tmp_path):
    path = synthesize(tmp_path / name, rows=200, dimension=3, flips=0.1)
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    assert dataset.feature_names == ("x0", "x1", "x2")
    assert dataset.classes == ("0", "1")
    assert (dataset.synthetic is not None) == (name == "s.parquet")
    scored = ingest(Source(uri=str(path), truth="true_label"), tmp_path / "scored")
    truth = pq.read_table(scored.truth)["true_label"].to_pylist()
    assert (
        sum(a != b for a, b in zip(truth, pq.read_table(scored.path)["label"].to_pylist(), strict=True)) == 20
    )


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    def peak(rows):
        reset_peak_memory()
        before = read_peak_memory()
        synthesize(tmp_path / f"{rows}.parquet", rows=rows, dimension=16)
        return read_peak_memory() - before

    peak(50_000)
    # 350,000 rows more are 22 MiB of features and 16 MiB of label text more.
    assert peak(400_000) - peak(50_000) < 16 * 2**20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": 1}, "--rows: must be between 2"),
        ({"rows": 10**9}, "--rows: must be between 2"),
        ({"dimension": 0}, "--dimension: must be between 1"),
        ({"sigma": 0.0}, "--sigma: must be above 0"),
        ({"sigma": float("nan")}, "--sigma: must be above 0"),
        ({"sigma": float("inf")}, "--sigma: must be above 0"),
        ({"flips": -0.1}, "--flips: must be a share between 0 and 1, not -0.1"),
        ({"flips": 10}, "--flips: must be a share between 0 and 1, not 10"),
        ({"seed": -1}, "--seed: must be 0 or above"),
        ({"mean_0": (1.0,)}, "--mean-0: has 1 numbers, the data have dimension 2"),
        ({"mean_1": (1.0, float("inf"))}, "--mean-1: must be finite"),
        ({"mean_0": (1, 1)}, "--mean-1: is the same as --mean-0"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(options, said, tmp_path):
    with pytest.raises(InputError) as caught:
        synthesize(tmp_path / "s.parquet", **options)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "d.csv").mkdir()
    for out, said in [
        (tmp_path / "s.xlsx", "unknown file type '.xlsx'"),
        (tmp_path / "file" / "s.csv", "cannot write there"),
        (tmp_path / "d.csv", "is a folder"),
    ]:
        with pytest.raises(InputError, match=said):
            synthesize(out, rows=10)


points = st.lists(st.floats(-100, 100), min_size=2, max_size=2).map(tuple)


@given(points, points, st.floats(-50, 50))
def test_every_point_of_the_boundary_is_equidistant_from_the_means(mean_0, mean_1, along):
    assume(math.dist(mean_0, mean_1) > 1e-3)
    normal, offset = find_decision_boundary(mean_0, mean_1)
    assert math.isclose(np.linalg.norm(normal), 1)
    point = offset * normal + along * np.array([-normal[1], normal[0]])
    assert math.isclose(math.dist(point, mean_0), math.dist(point, mean_1), rel_tol=1e-9, abs_tol=1e-6)
    assert normal @ np.array(mean_1) > offset > normal @ np.array(mean_0)


def test_the_boundary_decides_as_well_as_the_theory_allows(tmp_path):
    x, _, true = drawn(synthesize(tmp_path / "s.parquet", rows=40_000, sigma=0.6))
    normal, offset = find_decision_boundary((0, 0), (1, 1))
    accuracy = ((x @ normal > offset) == true).mean()
    best = 0.5 * (1 + math.erf(math.sqrt(2) / (2 * 0.6) / math.sqrt(2)))  # Phi(distance / (2 sigma))
    assert abs(accuracy - best) < 6 * math.sqrt(best * (1 - best) / 40_000)


def test_means_without_a_boundary_are_refused():
    with pytest.raises(ValueError, match="equal means"):
        find_decision_boundary((1, 1), (1, 1))
    with pytest.raises(ValueError, match="dimension"):
        find_decision_boundary((1, 1), (1, 1, 1))
