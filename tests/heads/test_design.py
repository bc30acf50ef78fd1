"""Who is fitted on, who is evaluated on and who is scored, for any labels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.arrays import Array
from tasks.errors import InputError
from tasks.heads.design import Design, make_design

LABELS = st.lists(st.integers(0, 4), min_size=12, max_size=80).map(np.array)
FOLDS = st.integers(2, 7)
SEEDS = st.integers(0, 2**31 - 1)


def masks(design: Design) -> tuple[Array, Array, Array]:
    """Return who is fitted, evaluated and scored as (n, K) bool each."""
    everything = slice(0, len(design.group))
    fitted, evaluated, scored = (
        mask(everything).expand(-1, design.folds).numpy()
        for mask in (design.fitted, design.evaluated, design.scored)
    )
    return fitted, evaluated, scored


def verified(labels: Array, seed: int) -> Array:
    """Return about a third of the samples as verified, at least one and never all."""
    trusted = np.random.default_rng(seed).random(len(labels)) < 0.3
    trusted[0], trusted[-1] = True, False
    return trusted


@settings(max_examples=40, deadline=None)
@given(LABELS, FOLDS, SEEDS)
def test_every_sample_is_scored_by_at_least_one_fold_and_fitted_folds_never_see_their_evaluation_set(
    labels: Array, folds: int, seed: int
) -> None:
    for evaluation in ("crossfit", "holdout", "trusted"):
        design = make_design(labels, evaluation, folds, seed, verified(labels, seed))
        fitted, evaluated, scored = masks(design)
        assert scored.any(axis=1).all()
        assert not (fitted & evaluated).any()
        assert fitted.any(axis=0).all()
        assert evaluated.any(axis=0).all()


@settings(max_examples=40, deadline=None)
@given(LABELS, FOLDS, SEEDS)
def test_crossfit_scores_a_sample_with_the_models_that_were_fitted_on_it(
    labels: Array, folds: int, seed: int
) -> None:
    design = make_design(labels, "crossfit", folds, seed)
    fitted, evaluated, scored = masks(design)
    assert (scored == fitted).all()
    assert (scored.sum(axis=1) == folds - 1).all()
    assert (evaluated.sum(axis=1) == 1).all()
    own = design.out_of_fold(slice(0, len(labels))).numpy()
    assert not fitted[np.arange(len(labels)), own].any()


@settings(max_examples=40, deadline=None)
@given(LABELS, FOLDS, SEEDS)
def test_folds_are_stratified_and_of_equal_size(labels: Array, folds: int, seed: int) -> None:
    group = make_design(labels, "crossfit", folds, seed).group.numpy()
    for members in (np.ones(len(labels), dtype=bool), *(labels == label for label in np.unique(labels))):
        sizes = np.bincount(group[members], minlength=folds)
        assert sizes.max() - sizes.min() <= 1


@settings(max_examples=40, deadline=None)
@given(LABELS, FOLDS, SEEDS)
def test_verified_samples_are_evaluated_on_and_never_fitted_on(labels: Array, folds: int, seed: int) -> None:
    trusted = verified(labels, seed)
    fitted, evaluated, _ = masks(make_design(labels, "trusted", folds, seed, trusted))
    assert not fitted[trusted].any()
    assert (evaluated == trusted[:, None]).all()
    assert (fitted[~trusted].sum(axis=1) == folds - 1).all()


def test_holdout_splits_seventy_ten_twenty() -> None:
    fitted, evaluated, _ = masks(make_design(np.arange(1_000) % 3, "holdout", 5, seed=0))
    assert (fitted.sum(), evaluated.sum()) == (700, 200)


@pytest.mark.parametrize("evaluation", ["crossfit", "holdout", "trusted"])
def test_the_same_labels_and_seed_give_the_same_folds_and_another_seed_gives_others(evaluation: str) -> None:
    labels = np.arange(200) % 4
    trusted = np.arange(200) % 5 == 0
    first, second, other = (make_design(labels, evaluation, 5, seed, trusted).group for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("evaluation", ["crossfit", "holdout", "trusted"])
def test_masks_of_indexed_samples_are_those_of_the_samples(evaluation: str) -> None:
    labels = np.arange(60) % 3
    design = make_design(labels, evaluation, 4, 0, np.arange(60) % 5 == 0)
    index = torch.tensor([59, 0, 17, 17])
    for mask in (design.fitted, design.evaluated, design.scored, design.out_of_fold):
        assert torch.equal(mask(index), mask(slice(0, 60))[index])


@pytest.mark.parametrize(
    ("trusted", "says"),
    [
        (None, "no sample is verified"),
        (np.zeros(9, dtype=bool), "no sample is verified"),
        (np.ones(9, dtype=bool), "nothing is left"),
    ],
)
def test_verification_that_leaves_nothing_to_do_is_refused(trusted: Array | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_design(np.arange(9) % 3, "trusted", 3, 0, trusted)
