"""Samples that belong together lie in one fold, and the folds stay as even as the groups let them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.heads.design import make_design
from tasks.networks.train import _split

EVALUATIONS = ("crossfit", "holdout", "trusted")


def problem(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(3, size=rows), random.integers(80, size=rows), random.random(rows) < 0.2


@pytest.mark.parametrize("evaluation", EVALUATIONS)
@given(seed=st.integers(0, 1_000))
def test_no_group_is_split_between_what_is_fitted_and_what_is_held_out(evaluation, seed):
    labels, groups, trusted = problem(seed)
    part = make_design(labels, evaluation, 4, seed, trusted, groups=groups).group.numpy()
    dealt = part >= 0
    for group in np.unique(groups):
        assert len(np.unique(part[dealt & (groups == group)])) <= 1
    assert (dealt == (~trusted if evaluation == "trusted" else True)).all()
    assert set(part[dealt]) >= ({0, 2} if evaluation == "holdout" else {0, 1, 2, 3})


@given(seed=st.integers(0, 1_000))
def test_folds_of_groups_are_stratified_and_the_same_in_another_order(seed):
    labels, groups, _ = problem(seed)
    groups[:150] = 1_000 + np.arange(150)  # these stand alone
    fold = make_design(labels, "crossfit", 4, seed, groups=groups).group.numpy()
    counts = np.stack([np.bincount(fold[labels == kind], minlength=4) for kind in range(3)])
    assert (
        counts.max(1) - counts.min(1)
    ).max() <= 3  # 50 samples alone in each class fill up what groups leave uneven
    order = np.random.default_rng(seed).permutation(len(labels))
    again = make_design(
        labels[order], "crossfit", 4, seed, order=np.argsort(order), groups=(7 * groups)[order]
    )
    assert (again.group.numpy() == fold[order]).all()


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_groups_of_one_change_nothing(evaluation):
    labels, _, trusted = problem(0)
    plain = make_design(labels, evaluation, 4, 0, trusted).group
    assert plain.equal(make_design(labels, evaluation, 4, 0, trusted, groups=np.arange(400)).group)


@pytest.mark.parametrize(
    ("groups", "said"),
    [(np.zeros(400, int), "all samples are in one group"), (np.arange(400) % 3, "3 groups are fewer than 4")],
)
def test_too_few_groups_are_refused(groups, said):
    with pytest.raises(InputError, match=said):
        make_design(problem(0)[0], "crossfit", 4, 0, groups=groups)


def test_the_part_that_stops_the_training_of_a_network_shares_no_group_with_the_rest():
    import torch

    index, groups = torch.arange(100, 300), np.arange(400) // 7
    inner, outer = _split(index, torch.Generator().manual_seed(0), groups)
    assert sorted([*inner.tolist(), *outer.tolist()]) == index.tolist()
    assert 20 <= len(inner) <= 27
    assert not set(groups[inner]) & set(groups[outer])
