"""What several raters of a sample promise: Bayes' rule over their answers, whoever answered, in whatever order."""

import numpy as np
import pytest
import torch
from problems import blobs
from sklearn.metrics import average_precision_score, f1_score

from tasks.arrays import Array
from tasks.attribute import AuditOptions, audit
from tasks.attribute.noise import SHARPNESS, compute_posterior
from tasks.attribute.votes import Answers, RaterNoise, estimate_answers, estimate_raters
from tasks.errors import InputError

TABLE = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).double()
BELIEF = torch.tensor([[0.7, 0.3]]).double()


def answers(*tables: torch.Tensor, shares: tuple[float, ...] = (1.0,), weight: float = 1.0) -> Answers:
    """Return how raters answer, all of them alike, for each kind of samples."""
    return Answers(torch.stack(tables)[:, None].log(), torch.tensor(shares).double().log(), weight)


def drawn(
    rates: tuple[float, ...], n: int = 3_000, asked: float = 1.0, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, Array]:
    """Return a calibrated belief in three classes, what raters with these rates of errors answer, and the truth."""
    generator = np.random.default_rng(seed)
    belief = generator.dirichlet(np.full(3, 0.3), size=n).clip(1e-6)
    truth = (belief.cumsum(1) > generator.random((n, 1)) * belief.sum(1, keepdims=True)).argmax(1)
    votes = np.stack([truth] * len(rates), axis=1)
    slips = generator.random(votes.shape) < rates
    votes = np.where(slips, (votes + generator.integers(1, 3, votes.shape)) % 3, votes)
    votes[generator.random(votes.shape) > asked] = -1
    return torch.from_numpy(belief).log(), torch.from_numpy(votes.astype(np.int16)), truth


def test_the_posterior_is_bayes_rule_and_who_did_not_answer_says_nothing() -> None:
    found = answers(TABLE).posterior(BELIEF.log() + 5, torch.tensor([[0, 1, -1]])).exp()
    assert found[0].tolist() == pytest.approx([0.063 / 0.111, 0.048 / 0.111])
    nobody = answers(TABLE).posterior(BELIEF.log(), torch.tensor([[-1, -1, -1]])).exp()
    assert nobody[0].tolist() == pytest.approx([0.7, 0.3])


def test_one_answer_is_the_formula_of_one_label() -> None:
    belief = torch.randn(20, 2, dtype=torch.float64)
    labels = torch.arange(20) % 2
    found = answers(TABLE).posterior(belief, labels[:, None])
    assert torch.allclose(found, compute_posterior(belief, labels, TABLE.log()))


def test_kinds_of_samples_are_summed_over() -> None:
    unsure = torch.full((2, 2), 0.5).double()
    found = answers(TABLE, unsure, shares=(0.6, 0.4)).posterior(BELIEF.log(), torch.tensor([[1, 1]])).exp()
    first, second = 0.7 * (0.6 * 0.01 + 0.4 * 0.25), 0.3 * (0.6 * 0.64 + 0.4 * 0.25)
    assert found[0].tolist() == pytest.approx([first / (first + second), second / (first + second)])


def test_the_order_of_raters_changes_nothing() -> None:
    belief, votes, _ = drawn((0.1, 0.2, 0.4), n=300, asked=0.7)
    order = [2, 0, 1]
    one, other = estimate_raters(belief, votes), estimate_raters(belief, votes[:, order])
    assert torch.allclose(one.posterior(belief, votes), other.posterior(belief, votes[:, order]))
    assert torch.allclose(one.count.tables[:, order], other.count.tables)


@pytest.mark.parametrize("asked", [1.0, 0.6])
def test_how_each_rater_answers_is_recovered_and_a_calibrated_belief_counts_in_full(asked: float) -> None:
    rates = (0.05, 0.2, 0.5)
    belief, votes, _ = drawn(rates, asked=asked)
    found = estimate_answers(belief, votes, kinds=1)
    right = found.tables[0].exp().diagonal(dim1=1, dim2=2).mean(1)
    assert right.tolist() == pytest.approx([1 - rate for rate in rates], abs=0.03)
    assert found.weight == pytest.approx(1.0, abs=0.1)


def test_a_belief_that_is_too_sure_counts_less_and_none_more_than_where_there_are_no_votes() -> None:
    belief, votes, truth = drawn((0.1, 0.1, 0.1))
    assert estimate_answers(3 * belief, votes, kinds=1).weight == pytest.approx(1 / 3, abs=0.05)
    agreed = torch.from_numpy(np.stack([truth] * 3, axis=1))
    certain = 0.1 * torch.nn.functional.one_hot(agreed[:, 0], 3).double()
    assert estimate_answers(certain, agreed, kinds=1).weight == SHARPNESS


def test_a_rater_who_answered_once_is_an_average_one() -> None:
    belief, votes, truth = drawn((0.1, 0.1, 0.1, 0.1), n=900)
    votes[:, 3] = -1
    votes[0, 3] = (int(truth[0]) + 1) % 3
    tables = estimate_answers(belief, votes, kinds=1).tables[0].exp()
    assert torch.allclose(tables[3], tables[:3].mean(0), atol=0.1)


def test_two_kinds_count_errors_that_raters_make_together() -> None:
    generator = np.random.default_rng(1)
    belief, votes, truth = drawn((0.03, 0.03, 0.03), n=4_000)
    hard = generator.random(4_000) < 0.25  # on these everybody errs in half of the cases
    slips = hard[:, None] & (generator.random((4_000, 3)) < 0.5)
    said = np.where(slips, (truth[:, None] + generator.integers(1, 3, (4_000, 3))) % 3, votes.numpy())
    given = np.array([np.bincount(row, minlength=3).argmax() for row in said])
    noise = estimate_raters(belief, torch.from_numpy(said))
    arguments = belief.exp()[None], torch.from_numpy(said), torch.from_numpy(given)
    wrong = float(np.mean(given != truth))
    both = float(noise.judge_labels(*arguments).wrong.mean())
    one = float(RaterNoise(noise.rank, noise.rank).judge_labels(*arguments).wrong.mean())
    assert abs(both - wrong) < 0.15 * wrong
    assert abs(both - wrong) < abs(one - wrong)


def rated(n: int) -> tuple[Array, Array, Array, Array]:
    """Return overlapping blobs with the votes of a good, a middling and a bad rater, their majority, and the truth."""
    features, _, truth = blobs(n=n, flips=0.0)
    generator = np.random.default_rng(3)
    votes = np.stack([truth] * 3, axis=1)
    slips = generator.random(votes.shape) < (0.05, 0.2, 0.45)
    votes = np.where(slips, (votes + 1) % 3, votes)
    return features, votes, np.array([max(row, key=list(row).count) for row in votes.tolist()]), truth


def test_an_audit_finds_more_wrong_majorities_by_the_votes() -> None:
    features, votes, given, truth = rated(240)
    blind, told = audit(features, given), audit(features, given, votes=votes)
    wrong = given != truth
    assert average_precision_score(wrong, -told.score) > average_precision_score(wrong, -blind.score) + 0.05
    assert f1_score(wrong, told.flagged) > f1_score(wrong, blind.flagged)
    assert (told.suggested == truth)[told.flagged & wrong].mean() > 0.9
    assert told.noise_matrix.sum(1) == pytest.approx(np.ones(3))
    corrected = np.where(told.flagged, truth, given)  # as on files: a correction overrules the votes
    assert not audit(features, corrected, votes=votes).flagged[told.flagged & wrong].any()


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_votes_are_in_the_score_and_influence_stays_what_it_is(model: str) -> None:
    features, votes, given, _ = rated(60)
    options = AuditOptions(model=model, rounds=1, folds=2)
    blind, told = audit(features, given, options), audit(features, given, options, votes=votes)
    assert np.array_equal(told.influence, blind.influence)
    against = (votes != given[:, None]).any(1)
    wrong = told.scores.wrong[0]
    assert wrong[against].mean() > 2 * wrong[~against].mean()


@pytest.mark.parametrize(
    ("votes", "message"),
    [(np.zeros((4, 3), int), "votes of shape"), (np.full((120, 2), 3), "votes are not classes")],
)
def test_votes_that_are_none_are_refused(votes: Array, message: str) -> None:
    features, _, truth = blobs()
    with pytest.raises(InputError, match=message):
        audit(features, truth, votes=votes)
