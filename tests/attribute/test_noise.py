"""What the estimate of the label noise promises: patterns are found, and the flags are as many as promise the best F1."""

import itertools

import numpy as np
import pytest
import torch
from problems import blobs, crossfit, ensemble_of, fitted, stack_of
from sklearn.metrics import average_precision_score, f1_score

from tasks.arrays import Array
from tasks.attribute import AuditOptions, audit, estimate
from tasks.attribute.estimate import estimate_noise
from tasks.attribute.noise import compute_posterior, count_worthwhile, estimate_beliefs, estimate_noise_matrix
from tasks.controls.intervals import do_overlap
from tasks.controls.trust import judge_trust


def confused(n: int = 900, share: float = 0.3, seed: int = 1) -> tuple[Array, Array, Array]:
    """Return features, given and true labels of three overlapping blobs: a share of class 0 is labeled 1, all else is right."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(3, size=n)
    # Corners of a triangle, three standard deviations apart: one sample in ten is nearer to another class.
    features = generator.normal(size=(n, 3)) + 3 / np.sqrt(2) * np.eye(3)[truth]
    given = np.where((truth == 0) & (generator.random(n) < share), 1, truth)
    return features, given, truth


def test_the_matrix_behind_the_labels_is_recovered_from_a_right_belief() -> None:
    generator = np.random.default_rng(0)
    matrix = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.05, 0.05, 0.9]])
    belief = generator.dirichlet(np.full(3, 0.2), size=20_000)
    truth = (belief.cumsum(1) > generator.random((len(belief), 1))).argmax(1)
    given = (matrix[truth].cumsum(1) > generator.random((len(belief), 1))).argmax(1)
    found = estimate_noise_matrix(
        torch.from_numpy(belief).clamp_min(1e-300).log(), torch.from_numpy(given)
    ).exp()
    assert found.sum(1).numpy() == pytest.approx(np.ones(3))
    # Standard error of a rate among 6,700 samples of a class: 0.006, and the belief says less than the truth does.
    assert found.numpy() == pytest.approx(matrix, abs=0.03)


def test_the_posterior_is_bayes_rule() -> None:
    belief, matrix = torch.tensor([[0.7, 0.3]]).double(), torch.tensor([[0.9, 0.1], [0.2, 0.8]]).double()
    found = compute_posterior(belief.log() + 5, torch.tensor([1]), matrix.log()).exp()
    assert found[0].tolist() == pytest.approx([0.07 / 0.31, 0.24 / 0.31])


def test_an_audit_names_the_class_that_is_mistaken_for_another() -> None:
    features, given, truth = confused()
    result = audit(features, given, AuditOptions(feature_map="raw"))
    assert result.noise_matrix.shape == (3, 3)
    errors = result.noise_matrix - np.diag(np.diag(result.noise_matrix))
    assert np.unravel_index(errors.argmax(), errors.shape) == (0, 1)
    assert errors[0, 1] == pytest.approx(0.3, abs=0.12)
    assert (result.suggested == truth)[result.flagged & (given != truth)].mean() > 0.9


def test_knowing_the_pattern_of_errors_finds_more_of_them() -> None:
    gains = []
    for seed in range(3):
        features, given, truth = confused(seed=seed)
        result = audit(features, given, AuditOptions(feature_map="raw"))
        known, blind = (
            average_precision_score(given != truth, -s) for s in (result.score, result.scores.margin)
        )
        gains.append(known - blind)
    assert min(gains) > 0, gains


def test_the_number_of_flags_has_the_best_expected_f1() -> None:
    wrong = np.array([0.95, 0.6, 0.4, 0.3, 0.05])

    def expected(count: int) -> float:
        flagged = np.arange(len(wrong)) < count
        total = 0.0
        for outcome in itertools.product([False, True], repeat=len(wrong)):
            chance = np.where(outcome, wrong, 1 - wrong).prod()
            total += chance * f1_score(outcome, flagged, zero_division=1.0)
        return total

    best = max(range(len(wrong) + 1), key=expected)
    # The formula takes the expectation above and below the line apart: its choice is as good to a hundredth.
    assert expected(count_worthwhile(wrong[::-1])) > expected(best) - 0.01


def test_nothing_is_flagged_where_every_label_fits() -> None:
    features, _, truth = blobs(n=300, flips=0.0)
    separate = features + 20 * np.eye(3)[truth]
    assert not audit(separate, truth).flagged.any()


@pytest.mark.parametrize(("rows", "classes"), [(60, 2), (200, 5), (600, 10)])
def test_models_that_know_nothing_flag_nothing(rows: int, classes: int) -> None:
    generator = np.random.default_rng(classes)
    categories = np.eye(8)[generator.integers(8, size=rows)]
    found = audit(categories, generator.permutation(np.arange(rows) % classes))
    trust = judge_trust(found.doubts, 1 / classes)
    assert not found.flagged.any()
    assert trust is not None
    assert trust.verdict == "cannot tell"


def test_classes_that_overlap_may_have_no_wrong_label_at_all() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(2, size=600)
    found = audit(labels[:, None] * 1.2 + generator.normal(size=(600, 5)), labels)
    trust = judge_trust(found.doubts, 0.5)
    assert found.flagged.any()
    assert do_overlap(found.doubts)
    assert trust is not None
    assert trust.verdict == "weak"
    assert "may be right" in trust.why


def test_a_sample_of_the_data_gives_nearly_the_same_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, _ = blobs(n=3_000)
    stack = stack_of(features, labels, crossfit(labels), block_rows=700)
    theta = fitted(stack, tolerance=1e-4)
    ensemble = ensemble_of(stack, theta)
    whole = estimate_noise(ensemble, seed=0)
    monkeypatch.setattr(estimate, "MATRIX_ROWS", 1_500)
    part = estimate_noise(ensemble, seed=0)
    assert torch.allclose(whole.rank.exp(), part.rank.exp(), atol=0.05)
    assert not torch.equal(whole.rank, part.rank)
    assert torch.equal(part.rank, estimate_noise(ensemble, seed=0).rank)


def test_where_no_fold_was_fitted_on_a_sample_the_unseen_belief_counts_twice() -> None:
    _, labels, truth = blobs()
    stack = stack_of(np.zeros((len(labels), 1)), labels, crossfit(labels))
    log_p = torch.randn(stack.design.folds, 3, len(labels), dtype=torch.float64).log_softmax(1)
    unseen, both = estimate_beliefs(stack.design, slice(0, len(labels)), log_p)
    own = stack.design.group.long()
    everyone = (log_p.sum(0) - log_p[own, :, torch.arange(len(labels))].T).T
    assert torch.allclose(both, unseen + everyone / (stack.design.folds - 1))
    stack.design.group[:] = -1  # all verified
    object.__setattr__(stack.design, "evaluation", "trusted")
    unseen, both = estimate_beliefs(stack.design, slice(0, len(truth)), log_p)
    assert torch.equal(both, 2 * unseen)
