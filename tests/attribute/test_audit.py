"""The audit finds planted errors, and its answer depends on data and seed alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from problems import blobs, crossfit, fitted, stack_of
from scipy.stats import spearmanr
from sklearn.datasets import load_digits, load_wine
from sklearn.metrics import average_precision_score

from tasks.attribute import AuditOptions, audit
from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import score_blocks
from tasks.errors import InputError
from tasks.heads import device


def test_scores_do_not_depend_on_batch_size() -> None:
    features, labels, _ = blobs()
    results = []
    for block_rows in (7, 64, 1_000):
        stack = stack_of(features, labels, crossfit(labels), block_rows=block_rows)
        theta = fitted(stack)
        ihvp = solve_ihvp(stack, theta, "direct").vector
        results.append(torch.cat([block.influence for block in score_blocks(stack, theta, ihvp)]))
    assert torch.allclose(results[0], results[1], rtol=1e-8)
    assert torch.allclose(results[0], results[2], rtol=1e-8)


def test_a_label_that_a_person_verified_is_never_flagged() -> None:
    features, labels, _ = blobs()
    found = audit(features, labels)
    worst = found.score.argsort()[:5]
    again = audit(features, labels, trusted=np.isin(np.arange(len(labels)), worst))
    assert found.flagged[worst].all()
    assert not again.flagged[worst].any()
    assert again.flagged.any()


def test_an_error_in_all_copies_of_a_sample_is_found_where_the_copies_are_named() -> None:
    random = np.random.default_rng(0)
    truth, wrong = np.arange(60) % 2, np.arange(60) % 15 == 0
    person = np.repeat(np.arange(60), 4)
    features = (
        4 * truth[person, None] + random.normal(size=(60, 3))[person] + 0.2 * random.normal(size=(240, 3))
    )
    found = audit(features, (truth ^ wrong)[person], groups=person.astype(str))
    assert found.flagged[wrong[person]].all()
    assert found.flagged.sum() < 24
    with pytest.raises(InputError, match="groups of shape"):
        audit(features, truth[person], groups=person[:10])


def test_equal_rows_of_other_groups_do_not_take_each_others_place_in_another_order() -> None:
    features, labels, _ = blobs(n=160)
    features, groups = features.round(), np.arange(160) // 3
    rows = np.random.default_rng(1).permutation(160)
    options = AuditOptions(models="heads", feature_map="raw", device="cpu")
    first = audit(features, labels, options, groups=groups)
    again = audit(features[rows], labels[rows], options, groups=groups[rows])
    kept = pd.DataFrame(np.c_[features, labels, groups]).duplicated(keep=False).to_numpy()
    assert again.score[~kept[rows]] == pytest.approx(first.score[rows][~kept[rows]], abs=0.05)
    assert again.flagged.sum() == first.flagged.sum()


@pytest.mark.parametrize("evaluation", ["crossfit", "holdout", "trusted"])
def test_the_queue_does_not_depend_on_the_order_of_the_rows(evaluation: str) -> None:
    features, labels, _ = blobs(n=400, flips=0.1)
    trusted = np.arange(len(labels)) % 7 == 0 if evaluation == "trusted" else None
    rows = np.random.default_rng(1).permutation(len(labels))
    options = AuditOptions(evaluation=evaluation, device="cpu")  # in double precision, as no GPU is
    first = audit(features, labels, options, trusted=trusted)
    moved = audit(features[rows], labels[rows], options, trusted=None if trusted is None else trusted[rows])
    assert np.array_equal(first.flagged[rows], moved.flagged)
    queue = np.flatnonzero(moved.flagged)
    in_order = moved.score[queue][first.score[rows][queue].argsort()]
    # As near as two fits to the same tolerance are; two samples may lie a millionth apart.
    assert np.diff(in_order).min() > -1e-3
    assert np.allclose(first.score[rows], moved.score, rtol=1e-4, atol=1e-3)
    assert np.allclose(first.influence[rows], moved.influence, atol=3e-4)


def test_the_same_seed_gives_the_same_scores_bit_for_bit() -> None:
    features, labels = load_wine(return_X_y=True)
    first, second = audit(features, labels), audit(features, labels)
    assert np.array_equal(first.score, second.score)
    assert np.array_equal(first.influence, second.influence)


def test_single_and_double_precision_give_the_same_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, _ = blobs(n=400, flips=0.1)
    options = AuditOptions(device="cpu")  # a GPU works in single precision always
    monkeypatch.setattr(device, "DOUBLE_VALUES", 10**9)
    double = audit(features, labels, options)
    monkeypatch.setattr(device, "DOUBLE_VALUES", 0)
    single = audit(features, labels, options)
    assert double.members[0].start.dtype == torch.float64
    assert single.members[0].start.dtype == torch.float32
    # Samples on the threshold may fall to either side: at most one in a hundred.
    assert (double.flagged != single.flagged).mean() < 0.01
    assert spearmanr(double.score, single.score).statistic > 0.999


@pytest.mark.parametrize("evaluation", ["crossfit", "holdout", "trusted"])
def test_planted_errors_come_first_in_every_evaluation(evaluation: str) -> None:
    features, truth = load_wine(return_X_y=True)
    labels = truth.copy()
    labels[::10] = (labels[::10] + 1) % 3
    trusted = (labels == truth) & (np.arange(len(labels)) % 3 == 0)
    options = AuditOptions(evaluation=evaluation)
    result = audit(features, labels, options, trusted=trusted if evaluation == "trusted" else None)
    assert np.isfinite(result.score).all()
    assert average_precision_score(labels != truth, -result.score) > 0.9
    assert result.converged


def test_the_suggested_label_of_a_flagged_sample_is_another_one() -> None:
    features, labels, truth = blobs(n=300)
    result = audit(features, labels)
    assert result.flagged.any()
    assert (result.suggested != labels)[result.flagged].all()
    assert (
        result.relabel_gain[result.flagged & (labels != truth)] > 0
    ).mean() > 0.9  # others are hard samples


def test_kernel_features_are_chosen_where_borders_curve_and_not_where_they_do_not() -> None:
    features, labels = load_digits(return_X_y=True)
    digits = audit(features[:600], labels[:600], AuditOptions(rounds=1))
    assert digits.members[0].feature_map.name.startswith("kernel")
    generator = np.random.default_rng(0)
    straight = generator.normal(size=(500, 20))
    sides = (straight @ generator.normal(size=20) + 0.3 * generator.normal(size=500) > 0).astype(int)
    assert audit(straight, sides, AuditOptions(rounds=1)).members[0].feature_map.name == "raw"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x, y: (np.where(np.arange(len(x))[:, None] == 3, np.nan, x), y), "row 3"),
        (lambda x, y: (x, np.zeros_like(y)), "only one class"),
        (lambda x, y: (x, np.where(np.arange(len(y)) == 0, 9, y)), "fewer than 5 folds"),
        (lambda x, y: (x, y + 0.5), "not classes"),
        (lambda x, y: (x[:-1], y), "shape"),
    ],
)
def test_what_cannot_be_audited_is_refused_in_one_line(change: object, says: str) -> None:
    features, labels, _ = blobs()
    with pytest.raises(InputError, match=says) as caught:
        audit(*change(features, labels))  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("features", "classes"),
    [
        (np.arange(40.0)[:, None], 2),  # a single feature
        (np.c_[np.arange(40.0), np.ones(40)], 2),  # a constant one beside it
        (np.random.default_rng(0).normal(size=(30, 200)), 3),  # more parameters than samples
        (np.repeat(np.eye(4), 10, axis=0), 4),  # many identical rows
    ],
)
def test_awkward_shapes_give_finite_converged_scores(features: np.ndarray, classes: int) -> None:
    labels = np.arange(len(features)) * classes // len(features)
    result = audit(features, labels)
    assert np.isfinite(result.score).all()
    assert np.isfinite(result.influence).all()
    assert result.converged


def test_many_classes() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(50), 6)
    features = generator.normal(size=(50, 16))[labels] * 3 + generator.normal(size=(300, 16))
    given = labels.copy()
    given[::20] = (given[::20] + 1) % 50
    result = audit(features, given, AuditOptions(rounds=1, feature_map="raw"))
    assert average_precision_score(given != labels, -result.score) > 0.8


def test_adamw_says_that_it_did_not_converge() -> None:
    features, labels, _ = blobs()
    result = audit(features, labels, AuditOptions(optimizer="adamw", rounds=1))
    assert not result.converged
    assert np.isfinite(result.score).all()
