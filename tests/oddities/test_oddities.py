"""Near-duplicates, outliers and telling features are found where they are, not where they are not, and cost a bounded amount."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tasks.encode.distances import draw_row_numbers, place_rows
from tasks.heads import neighbours as search
from tasks.heads.features import FileFeatures
from tasks.heads.neighbours import find_neighbours
from tasks.ingest.leaks.measures import measure_column
from tasks.oddities.outliers import find_near_duplicates, find_outliers
from tasks.records import FeatureFile


def cloud(rows: int, width: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def names(rows: int) -> np.ndarray:
    return np.array([f"content {row}" for row in range(rows)], object)


@pytest.mark.parametrize("exact", [True, False])
def test_planted_copies_and_strangers_are_found_by_both_searches(exact, monkeypatch):
    where = cloud(3_000)
    where[10] = where[20] + 0.001
    where[11] = where[20] - 0.001
    where[500] = 30
    if not exact:
        monkeypatch.setattr(search, "EXACT_ROWS", 100)
    found = find_neighbours(where)
    assert found.exact is exact
    (group,) = find_near_duplicates(found, names(3_000))
    assert group.members.tolist() == [10, 11, 20]
    assert find_outliers(found)[0].tolist()[0] == 500
    assert len(find_outliers(found)[0]) < 30


def test_the_approximate_search_finds_what_the_exact_one_does(monkeypatch):
    centres = cloud(40, 16) * 4
    where = centres[np.arange(4_000) % 40] + cloud(4_000, 16, seed=1)
    exact = find_neighbours(where)
    monkeypatch.setattr(search, "EXACT_ROWS", 100)
    found, again = find_neighbours(where), find_neighbours(where)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.index, found.index, strict=True)]
    assert np.mean(shared) / 10 > 0.9
    assert (found.index == again.index).all()
    assert (found.distance == again.distance).all()
    assert (found.index != np.arange(4_000)[:, None]).all()


def test_identical_content_alone_is_no_near_duplicate():
    where = cloud(100)
    where[3] = where[4]
    content = names(100)
    content[3] = content[4]
    assert find_near_duplicates(find_neighbours(where), content) == []


def test_points_that_all_coincide_are_neither_copies_nor_strangers():
    found = find_neighbours(np.ones((50, 3), np.float32))
    assert find_outliers(found)[0].tolist() == []
    assert find_near_duplicates(found, names(50)) == []


def tells(values, labels):
    return measure_column(np.unique(values, return_inverse=True)[1], values, labels)


def test_a_copy_of_the_label_tells_and_a_constant_or_noise_does_not():
    labels = np.random.default_rng(1).permutation(1_000) % 4
    assert tells(np.array([7.0, 3.0, 9.0, 1.0])[labels], labels) == 1.0
    for useless in (cloud(1_000, 1)[:, 0].astype(float), np.ones(1_000), np.where(labels == 2, np.nan, 0.0)):
        assert tells(useless, labels) < 0.5


def test_a_measurement_tells_as_far_as_the_classes_are_apart():
    labels = np.random.default_rng(2).integers(0, 2, 1_000)
    noise = np.random.default_rng(3).normal(size=1_000)
    assert tells(labels + 0.1 * noise, labels) > 0.99
    assert tells(labels + noise, labels) < 0.5


def test_a_code_of_a_thousand_classes_tells_them():
    labels = np.repeat(np.arange(1_000), 10)
    assert tells(labels.astype(float), labels) > 0.99


def test_wide_features_are_projected_and_keep_their_distances(tmp_path):
    import torch

    wide = cloud(200, 2_000)
    wide.astype("<f4").tofile(tmp_path / "f.f32")
    file = FileFeatures(
        FeatureFile(path=tmp_path / "f.f32", rows=200, width=2_000), torch.empty(0), block_rows=64
    )
    rows = draw_row_numbers(200, 50)
    where = place_rows(file, rows, "plain", 256)
    assert where.shape == (50, 256)
    true = np.linalg.norm(wide[rows[0]] - wide[rows[1:]], axis=1)
    assert np.abs(np.linalg.norm(where[0] - where[1:], axis=1) / true - 1).max() < 0.25
    angles = place_rows(file, rows, "angle", 4_000)
    np.testing.assert_allclose(np.linalg.norm(angles, axis=1), 1, rtol=1e-5)


APPROXIMATE = """
import hashlib
import numpy as np
from tasks.heads import neighbours as search

search.EXACT_ROWS = 100
where = np.random.default_rng(0).normal(size=(5_000, 12)).astype(np.float32)
found = search.find_neighbours(where)
assert not found.exact
print(hashlib.sha256(found.index.tobytes() + found.distance.tobytes()).hexdigest())
"""


def test_the_approximate_search_gives_the_same_bytes_in_another_process_with_other_threads():
    digests = set()
    for threads in ("1", "2"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        command = [sys.executable, "-c", APPROXIMATE]
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=True
        )
        digests.add(ran.stdout)
    assert len(digests) == 1
