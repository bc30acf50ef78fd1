"""Heads on features of their own give what heads on shared features give; networks find planted errors."""

import numpy as np
import pytest
import torch
from problems import blobs, fitted, stack_of
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

from tasks.attribute import AuditOptions, audit
from tasks.attribute.heads import score_stacks, solve_stacks
from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import score_blocks
from tasks.errors import InputError
from tasks.heads.design import make_design
from tasks.heads.ensemble import join_fits
from tasks.heads.fit import fit_stack


@pytest.mark.parametrize("evaluation", ["crossfit", "holdout", "trusted"])
def test_folds_one_by_one_score_like_folds_that_share_their_features(evaluation: str) -> None:
    features, labels, truth = blobs()
    trusted = (labels == truth) & (np.arange(len(labels)) % 4 == 0)
    design = make_design(labels, evaluation, 3, seed=0, trusted=trusted if evaluation == "trusted" else None)
    together = stack_of(features, labels, design, block_rows=50)
    theta = fitted(together)
    expected = list(score_blocks(together, theta, solve_ihvp(together, theta, "direct").vector))
    alone = [stack_of(features, labels, design.single(k), block_rows=50) for k in range(design.folds)]
    solution = solve_stacks(alone, theta, "direct")
    assert solution.converged
    for ours, theirs in zip(score_stacks(alone, design, theta, solution.vector), expected, strict=True):
        assert ours.rows == theirs.rows
        for name in ("influence", "influence_raw", "probabilities", "training_loss", "n_folds"):
            assert torch.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, equal_nan=True), name


def test_heads_side_by_side_are_fitted_like_folds_that_share_their_features() -> None:
    features, labels, _ = blobs()
    design = make_design(labels, "crossfit", 3, seed=0)
    alone = [stack_of(features, labels, design.single(k)) for k in range(3)]
    fit = join_fits([fit_stack(stack, None, AuditOptions()) for stack in alone])
    assert fit.converged
    assert fit.theta.shape == (4, 3, 3)
    assert torch.allclose(fit.theta, fitted(stack_of(features, labels, design)), atol=1e-3)
    assert all(len(losses) == len(norms) == 3 for losses, norms in fit.curve)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_networks_find_planted_errors(model: str) -> None:
    images, truth = load_digits(return_X_y=True)
    n, folds, rounds = (600, 3, 2) if model == "mlp" else (400, 2, 1)
    images, truth = images[:n].reshape(n, 8, 8), truth[:n]
    given = truth.copy()
    given[::12] = (given[::12] + 1) % 10
    options = AuditOptions(model=model, folds=folds, rounds=rounds)
    result = audit(images, given, options)
    assert average_precision_score(given != truth, -result.score) > 0.8
    assert result.converged
    assert (result.suggested == truth)[given != truth].mean() > 0.8


def test_the_same_seed_trains_the_same_networks_bit_for_bit() -> None:
    features, labels, _ = blobs(n=90)
    options = AuditOptions(model="mlp", folds=2, rounds=1)
    first, second = audit(features, labels, options), audit(features, labels, options)
    assert np.array_equal(first.score, second.score)
    assert np.array_equal(first.influence, second.influence)


def test_images_may_come_flat_with_their_shape() -> None:
    images, labels = load_digits(return_X_y=True)
    images, labels = images[:40], np.arange(40) % 2
    options = AuditOptions(model="cnn", folds=2, rounds=1)
    flat = audit(images, labels, options, feature_shape=(8, 8))
    assert np.array_equal(flat.score, audit(images.reshape(-1, 8, 8), labels, options).score)


def test_plain_features_are_no_images() -> None:
    features, labels, _ = blobs(n=60)
    with pytest.raises(InputError, match="--model cnn: needs images"):
        audit(features, labels, AuditOptions(model="cnn"))
