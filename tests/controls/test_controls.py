"""Planted controls: the estimates are near the truth where the truth is known, and the data stay as they are."""

import numpy as np
import pytest
import torch

from tasks.attribute import AuditOptions, audit
from tasks.controls.estimate import Quality, compare_with_shadow
from tasks.controls.plant import MOST_CONTROLS, choose_controls, choose_units, flip, flip_labels
from tasks.controls.shadow import estimate_quality
from tasks.errors import InputError


def test_controls_are_believed_labels_and_never_more_than_asked_for() -> None:
    believed = np.arange(1_000) % 3 > 0
    chosen = choose_controls(np.flatnonzero(believed), 1_000, 0.05, seed=1)
    assert len(chosen) == len(set(chosen.tolist())) == 50
    assert believed[chosen].all()
    assert len(choose_controls(np.arange(100_000), 100_000, 0.2, seed=1)) == MOST_CONTROLS
    assert len(choose_controls(np.arange(0), 100, 0.2, seed=1)) == 0


@pytest.mark.parametrize("classes", [2, 10])
def test_a_control_gets_another_class_and_half_of_them_one_it_is_easily_taken_for(classes: int) -> None:
    given = np.arange(4_000) % classes
    probabilities = np.full((4_000, classes), 1e-6)
    probabilities[np.arange(4_000), given] = 1.0
    probabilities[np.arange(4_000), (given + 1) % classes] = 0.1
    flipped = flip(given, probabilities, seed=0)
    assert (flipped != given).all()
    assert flipped.min() >= 0
    assert flipped.max() < classes
    expected = 0.5 + 0.5 / (classes - 1)
    assert (flipped == (given + 1) % classes).mean() == pytest.approx(expected, abs=0.03)


def test_a_model_that_is_certain_still_leaves_another_class() -> None:
    certain = np.eye(3)[np.zeros(50, dtype=int)]
    assert set(flip(np.zeros(50, dtype=int), certain, seed=0).tolist()) == {1, 2}


def test_a_control_has_the_votes_that_a_wrong_majority_has() -> None:
    labels, votes = torch.tensor([0, 0, 1, 2]), torch.tensor([[0, 0, 1], [0, 0, 0], [1, -1, 1], [2, 2, 0]])
    before = labels.clone(), votes.clone()
    shadow, said = flip_labels(labels, votes, np.full((3, 3), 1 / 3), np.array([0, 1, 2]), seed=0)
    assert torch.equal(labels, before[0])
    assert torch.equal(votes, before[1])
    assert shadow[0] == 1  # what the third rater says
    assert said.tolist() == [[1, 1, 0], [int(shadow[1])] * 3, [int(shadow[2]), -1, int(shadow[2])], [2, 2, 0]]
    assert shadow[1] != 0
    assert shadow[2] != 1


def test_all_copies_of_a_control_are_flipped_together_to_one_class() -> None:
    groups, labels = np.arange(900) // 6, np.arange(900) // 3 % 3  # two labels in each group, three rows each
    believed = np.flatnonzero(np.arange(900) % 18 > 0)  # one row in each third group is not
    chosen, unit = choose_units(np.random.default_rng(0).permutation(believed), labels, groups, 0.1, seed=0)
    assert unit is not None
    assert len(chosen) == 90
    assert (np.bincount(unit) == 3).all()
    assert not (chosen % 18 < 3).any()  # of such a group, nothing with that label
    random = np.random.default_rng(1).random((90, 3))
    shadow, _ = flip_labels(torch.from_numpy(labels), None, random, chosen, seed=0, unit=unit)
    for number in range(30):
        rows = chosen[unit == number]
        assert len(set(zip(groups[rows], labels[rows], strict=True))) == 1
        assert len(set(shadow[rows].tolist())) == 1
        assert (shadow[rows].numpy() != labels[rows]).all()


def test_controls_that_are_copies_make_the_intervals_wider() -> None:
    random = np.random.default_rng(0)
    score = random.normal(2.0, 1.0, 2_000)
    score[:200] = np.repeat(random.normal(-1.0, 1.5, 40), 5)
    flagged, belief, controls = score < 0, 1 / (1 + np.exp(4 * score)), np.arange(200)
    alone = compare_with_shadow(score, flagged, belief, controls, 100)
    copies = compare_with_shadow(score, flagged, belief, controls, 100, unit=np.arange(200) // 5)
    assert copies.planted_groups == 40
    for name in ("recall", "noise_rate", "precision"):
        first, second = getattr(alone, name), getattr(copies, name)
        assert second.estimate == pytest.approx(first.estimate)
        assert second.high - second.low > first.high - first.low


def drawn(n: int, wrong: int, planted: int, seed: int) -> tuple[Quality, int]:
    """Return the estimates on scores whose distribution is known, and how many of the wrong ones are flagged."""
    generator = np.random.default_rng(seed)
    score = generator.normal(2.0, 1.0, n)
    score[: wrong + planted] = generator.normal(-2.0, 1.0, wrong + planted)
    controls = np.arange(wrong, wrong + planted)
    flagged = score < 0
    # Bayes' rule with the two densities: what a model that is right would believe.
    share = max(wrong + planted, 1) / n
    belief = 1 / (1 + (1 - share) / share * np.exp(4 * score))
    before = int(flagged.sum()) - int(flagged[controls].sum())
    return compare_with_shadow(score, flagged, belief, controls, before), int(flagged[:wrong].sum())


@pytest.mark.parametrize("wrong", [100, 600])
def test_the_estimates_are_near_the_truth(wrong: int) -> None:
    quality, found = drawn(6_000, wrong, planted=300, seed=0)
    assert quality.recall.low <= found / wrong <= quality.recall.high
    # The minimum over thresholds is an upper estimate where wrong labels are few and the top of the queue is not pure.
    assert 0.75 <= quality.noise_rate.estimate / (wrong / 6_000) <= (1.25 if wrong > 300 else 1.6)
    assert quality.noise_rate.low < quality.noise_rate.estimate < quality.noise_rate.high
    assert [depth.recall for depth in quality.depths] == sorted(depth.recall for depth in quality.depths)
    assert quality.depths[0].precision > 0.8
    end = quality.depths[-1]
    assert (end.recall, end.precision) == pytest.approx((quality.recall.estimate, quality.precision.estimate))


def test_clean_labels_are_not_called_wrong() -> None:
    quality, _ = drawn(6_000, wrong=0, planted=300, seed=0)
    assert quality.noise_rate.estimate < 0.01
    assert quality.precision.estimate < 0.3


def test_a_shadow_audit_estimates_the_errors_of_real_data() -> None:
    from sklearn.datasets import load_breast_cancer

    from tasks.bench.quality.noise import plant

    features, labels = load_breast_cancer(return_X_y=True)
    given = plant("uniform", features, labels, 0.1, seed=0)
    options = AuditOptions(feature_map="raw", controls=0.1)
    found, before = audit(features, given, options), given.copy()
    quality = estimate_quality(features, given, found, options)
    assert np.array_equal(given, before)
    flagged = found.flagged
    wrong = given != labels
    assert quality.recall.low <= flagged[wrong].mean() <= quality.recall.high
    assert quality.noise_rate.low <= wrong.mean() <= quality.noise_rate.high
    assert quality.precision.low <= wrong[flagged].mean() <= quality.precision.high


def test_labels_that_a_person_verified_are_counted_as_right() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(3, size=500)
    features = 2 * np.eye(3)[truth] + random.normal(size=(500, 3))
    labels = np.where(np.arange(500) < 50, (truth + 1) % 3, truth)
    options = AuditOptions(models="heads", feature_map="raw")
    found = audit(features, labels, options)
    verified = np.zeros(500, bool)
    shares = []
    for count in (0, 100, 498):
        verified[found.score.argsort()[:count]] = True
        again = audit(features, labels, options, trusted=verified)
        quality = estimate_quality(features, labels, again, options, trusted=verified)
        shares.append(quality.noise_rate.estimate)
        assert again.doubts.right == pytest.approx(found.doubts.right, abs=0.05)
    assert shares[0] > 0.06
    assert shares[1] < 0.03
    assert shares[2] < 0.005
    verified[:-1], verified[-1] = True, False
    with pytest.raises(InputError, match="no label is left"):
        estimate_quality(features, labels, found, options, trusted=verified)


def test_the_precision_of_an_empty_queue_is_undefined() -> None:
    rng = np.random.default_rng(0)
    score, controls = rng.normal(size=100), np.arange(10)
    flagged = np.arange(100) < 5
    wrong = np.full(100, 0.05)
    assert compare_with_shadow(score, flagged, wrong, controls, flagged_before=0).precision is None
    assert compare_with_shadow(score, flagged, wrong, controls, flagged_before=3).precision is not None
