"""What the planted errors promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.bench.datasets import load_data
from tasks.bench.quality.noise import CLASS_CAP, KINDS, plant
from tasks.errors import InputError


@pytest.fixture(scope="module")
def wine():
    return load_data("wine")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1])
def test_share_of_wrong_labels_is_the_rate(wine, kind, rate):
    noisy = plant(kind, wine.features, wine.labels, rate, seed=3)
    assert (noisy != wine.labels).sum() == round(rate * len(wine.labels))


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_same_errors_and_another_seed_others(wine, kind):
    first, again, other = (plant(kind, wine.features, wine.labels, 0.1, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kind", KINDS)
def test_true_labels_are_left_untouched(wine, kind):
    before = wine.labels.copy()
    plant(kind, wine.features, wine.labels, 0.3, seed=0)
    assert np.array_equal(before, wine.labels)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(5, 60), min_size=2, max_size=8),
    rate=st.floats(0, 0.4),
    kind=st.sampled_from(["class_conditional", "swamped"]),
    seed=st.integers(0, 1000),
)
def test_no_class_loses_its_majority(sizes, rate, kind, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    wrong = plant(kind, np.zeros((len(labels), 1)), labels, rate, seed) != labels
    per_class = np.bincount(labels, weights=wrong)
    assert (per_class <= CLASS_CAP * np.array(sizes)).all()
    if kind == "class_conditional":
        room = sum(int(CLASS_CAP * size) for size in sizes)
        assert per_class.sum() == min(round(rate * len(labels)), room)


def test_next_class_errors_go_to_the_next_class(wine):
    noisy = plant("next_class", wine.features, wine.labels, 0.2, seed=0)
    wrong = noisy != wine.labels
    assert np.array_equal(noisy[wrong], (wine.labels[wrong] + 1) % 3)


def test_swamped_errors_hit_one_class_and_go_to_one_other(wine):
    noisy = plant("swamped", wine.features, wine.labels, 0.1, seed=0)
    wrong = noisy != wine.labels
    assert len(set(wine.labels[wrong])) == len(set(noisy[wrong])) == 1


def test_uniform_errors_reach_every_other_class():
    labels = np.repeat(np.arange(4), 500)
    noisy = plant("uniform", np.zeros((2000, 1)), labels, 0.5, seed=0)
    moves = np.histogram2d(labels, noisy, bins=4)[0]
    off_diagonal = moves[~np.eye(4, dtype=bool)]
    assert off_diagonal.min() > 50  # 83 expected in each of 12 cells


def test_class_conditional_errors_are_uneven():
    labels = np.repeat(np.arange(5), 400)
    noisy = plant("class_conditional", np.zeros((2000, 1)), labels, 0.2, seed=0)
    moves = np.histogram2d(labels, noisy, bins=5)[0]
    assert not np.allclose(moves, moves.T, atol=20)
    left = 1 - np.diag(moves) / 400
    assert left.max() > 1.5 * left.min()


def test_instance_dependent_errors_prefer_samples_near_the_border():
    rng = np.random.default_rng(0)
    features = rng.uniform(-1, 1, (2000, 1))
    labels = (features[:, 0] > 0).astype(np.int64)
    noisy = plant("instance_dependent", features, labels, 0.1, seed=0)
    distance = np.abs(features[:, 0])
    assert distance[noisy != labels].mean() < 0.5 * distance[noisy == labels].mean()


@pytest.mark.parametrize(("kind", "rate"), [("uniform", 1.0), ("uniform", -0.1), ("unheard", 0.1)])
def test_wrong_input_is_refused_in_one_line(wine, kind, rate):
    with pytest.raises(InputError) as caught:
        plant(kind, wine.features, wine.labels, rate, seed=0)
    assert "\n" not in str(caught.value)


def test_one_class_alone_cannot_be_wronged():
    with pytest.raises(InputError, match="another class"):
        plant("uniform", np.zeros((5, 1)), np.zeros(5, dtype=np.int64), 0.2, seed=0)
