"""What the measures promise, against slower ways to the same figure."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from tasks.bench.datasets import load_data, split_clean_test, standardise
from tasks.bench.quality.case import MethodVerdict
from tasks.bench.quality.metrics import (
    RECOVER,
    average_precision,
    kernel_smoother,
    measure,
    precision_at,
    review_share,
)
from tasks.bench.quality.noise import plant


@pytest.fixture(scope="module")
def flipped():
    data = load_data("iris")
    audited, test = split_clean_test(data.labels, seed=0)
    features, test_features = standardise(data.features[audited], data.features[test])
    labels = data.labels[audited]
    return (
        features,
        labels,
        plant("class_conditional", features, labels, 0.35, 0),
        test_features,
        data.labels[test],
    )


def test_average_precision_is_the_mean_precision_at_each_error():
    rng = np.random.default_rng(0)
    wrong, score = rng.random(50) < 0.2, rng.random(50)
    hits = wrong[np.argsort(score)]
    precisions = np.cumsum(hits) / np.arange(1, 51)
    assert average_precision(wrong, score) == pytest.approx(precisions[hits].mean())


def test_precision_among_ties_is_the_mean_over_random_orders():
    rng = np.random.default_rng(0)
    wrong, score = rng.random(30) < 0.4, rng.integers(0, 4, 30).astype(float)
    draws = [wrong[np.lexsort((rng.random(30), score))[:11]].mean() for _ in range(4000)]
    assert precision_at(wrong, score, 11) == pytest.approx(
        np.mean(draws), abs=4 * np.std(draws) / np.sqrt(4000)
    )


def test_smoother_predicts_as_a_refitted_kernel_ridge_classifier(flipped):
    features, _, given, test_features, _ = flipped
    model = KernelRidge(alpha=1, kernel="rbf").fit(features, np.eye(3)[given])
    assert np.allclose(
        kernel_smoother(features, test_features) @ np.eye(3)[given], model.predict(test_features)
    )


def test_review_share_is_the_depth_at_which_a_refit_recovers_the_accuracy(flipped):
    features, labels, given, test_features, test_labels = flipped

    def right(current):
        model = KernelRidge(alpha=1, kernel="rbf").fit(features, np.eye(3)[current])
        return (model.predict(test_features).argmax(axis=1) == test_labels).sum()

    score = np.random.default_rng(1).random(len(labels))
    start, clean = right(given), right(labels)
    assert clean - start >= 2
    order, depth = np.argsort(score), 0
    while right(np.where(np.isin(np.arange(len(labels)), order[:depth]), labels, given)) < start + RECOVER * (
        clean - start
    ):
        depth += 1
    smoother = kernel_smoother(features, test_features)
    assert review_share(labels, given, score, smoother, test_labels) == depth / len(labels)


def test_a_perfect_queue_needs_less_review_than_a_reversed_one(flipped):
    features, labels, given, test_features, test_labels = flipped
    smoother = kernel_smoother(features, test_features)
    perfect = (labels == given).astype(float)
    shares = [review_share(labels, given, score, smoother, test_labels) for score in (perfect, -perfect)]
    assert shares[0] <= 0.35 < 0.65 < shares[1]


def test_review_share_does_not_exist_where_nothing_is_gained(flipped):
    features, labels, _, test_features, test_labels = flipped
    smoother = kernel_smoother(features, test_features)
    assert review_share(labels, labels, np.arange(len(labels), dtype=float), smoother, test_labels) is None


def test_a_perfect_verdict_measures_one_everywhere(flipped):
    _, labels, given, _, _ = flipped
    score = (labels == given).astype(float)
    figures = measure(labels, given, MethodVerdict(score, labels != given, labels))
    assert figures.pop("review_share") is None
    assert set(figures.values()) == {1.0}
