"""Influences are pinned to pyDVL, to dense float64 algebra, and to retraining without the sample."""

import warnings

import numpy as np
import pytest
import torch
from problems import assert_same_in_scale, blobs, crossfit, dense_hessian, fitted, stack_of
from pydvl.influence.torch import DirectInfluence
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import compute_evaluation_gradient, score_blocks
from tasks.attribute.pairwise import compute_pairwise_influence, compute_saliency
from tasks.heads.design import Design, make_design
from tasks.heads.feature_map import make_kernel_map, make_raw_map
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve
from tasks.heads.solvers import SOLVERS


def linear_model(theta: Tensor, fold: int) -> torch.nn.Linear:
    """Return one fold's head as the torch module that pyDVL takes; the last feature is the intercept."""
    model = torch.nn.Linear(theta.shape[0], theta.shape[2], bias=False).to(theta.dtype)
    model.weight.data = theta[:, fold].T.contiguous()
    return model.eval()


def pydvl_matrix(stack: SoftmaxStack, theta: Tensor, fold: int) -> tuple[Tensor, Tensor]:
    """Return pyDVL's influences (M, N) of all samples on the evaluation samples, and the evaluation samples."""
    features = torch.cat([block for _, block in stack.rows.blocks()])
    everything = slice(0, stack.rows.n)
    train = stack.design.fitted(everything).expand(-1, stack.design.folds)[:, fold]
    evaluation = stack.design.evaluated(everything).expand(-1, stack.design.folds)[:, fold]
    influence = DirectInfluence(
        linear_model(theta, fold), torch.nn.functional.cross_entropy, regularization=stack.l2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = TensorDataset(features[train], stack.labels[train])
        influence = influence.fit(DataLoader(data, batch_size=int(train.sum())))
        matrix = influence.influences(features[evaluation], stack.labels[evaluation], features, stack.labels)
    return matrix, torch.nonzero(evaluation).squeeze(1)


def given_influence(stack: SoftmaxStack, theta: Tensor, ihvp: Tensor) -> Tensor:
    """Return the raw mean influence of every given label."""
    blocks = list(score_blocks(stack, theta, ihvp))
    raw = torch.cat([block.influence_raw for block in blocks])
    return raw.gather(1, stack.labels[:, None]).squeeze(1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_holdout_scores_are_the_trust_weighted_mean_of_pydvls_matrix(solver: str) -> None:
    features, labels, _ = blobs()
    stack = stack_of(features, labels, make_design(labels, "holdout", 5, seed=0))
    theta = fitted(stack)
    ours = given_influence(stack, theta, solve_ihvp(stack, theta, solver, tolerance=1e-8).vector)
    matrix, evaluation = pydvl_matrix(stack, theta, 0)
    logits = stack.logits(stack.rows.take(evaluation), theta)[:, 0]
    trust = torch.softmax(logits, 1).gather(1, stack.labels[evaluation][:, None]).square()
    theirs = (trust * matrix).sum(0) / trust.sum()
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-7 * float(theirs.abs().max()))
    assert np.polyfit(theirs.numpy(), ours.numpy(), 1)[0] == pytest.approx(1.0, abs=1e-4)


def test_verified_samples_give_pydvls_plain_mean() -> None:
    features, labels, truth = blobs()
    trusted = (labels == truth) & (np.arange(len(labels)) % 4 == 0)
    stack = stack_of(features, labels, make_design(labels, "trusted", 2, seed=0, trusted=trusted))
    theta = fitted(stack)
    ihvp = solve_ihvp(stack, theta, "direct").vector
    expected = torch.zeros(len(labels), dtype=torch.float64)
    count = torch.zeros(len(labels))
    for fold in range(2):
        scored = stack.design.scored(slice(0, len(labels)))[:, fold]
        expected += torch.where(scored, pydvl_matrix(stack, theta, fold)[0].mean(0), 0.0)
        count += scored
    ours = given_influence(stack, theta, ihvp)
    assert torch.allclose(ours, expected / count, rtol=1e-4, atol=1e-7)


def test_pairwise_influences_are_pydvls() -> None:
    features, labels, _ = blobs()
    stack = stack_of(features, labels, make_design(labels, "holdout", 5, seed=0))
    theta = fitted(stack)
    matrix, evaluation = pydvl_matrix(stack, theta, 0)
    chosen = torch.tensor([0, 7, 50])
    ours = compute_pairwise_influence(stack, theta, chosen, evaluation)
    # The evidence is solved to 1e-2: enough to name the samples harmed most.
    assert torch.allclose(ours, matrix[:, chosen].T, rtol=3e-2, atol=1e-2 * float(matrix.abs().max()))


def test_saliency_is_pydvls_perturbation_influence() -> None:
    features, labels, _ = blobs()
    x = torch.from_numpy(features)
    stack = stack_of(features, labels, make_design(labels, "holdout", 5, seed=0))
    theta = fitted(stack)
    ihvp = solve_ihvp(stack, theta, "direct").vector
    identity = make_raw_map(torch.zeros(3, dtype=x.dtype), torch.ones(3, dtype=x.dtype))
    chosen = torch.tensor([3, 11])
    ours = compute_saliency(identity, x[chosen], stack.labels[chosen], torch.ones(2, 1), theta, ihvp)
    step = 1e-6
    for feature in range(3):
        nudged = x.clone()
        nudged[chosen, feature] += step
        moved = stack_of(nudged.numpy(), labels, stack.design)
        change = given_influence(moved, theta, ihvp) - given_influence(stack, theta, ihvp)
        assert torch.allclose(ours[:, feature], change[chosen] / step, rtol=1e-3, atol=1e-6)


def test_saliency_goes_through_kernel_features() -> None:
    features, labels, _ = blobs()
    x = torch.from_numpy(features)
    kernel = make_kernel_map(make_raw_map(x.mean(0), x.std(0)), x, landmarks=20, multiple=1.0)
    assert kernel is not None
    theta, ihvp = (
        torch.randn(kernel.width + 1, 1, 3, dtype=x.dtype, generator=torch.Generator().manual_seed(s))
        for s in (0, 1)
    )
    ours = compute_saliency(kernel, x[:2], torch.from_numpy(labels[:2]), torch.ones(2, 1), theta, ihvp)

    def mean_influence(raw: Tensor) -> Tensor:
        stack = stack_of(kernel(raw).numpy(), labels[:2], make_design(labels[:2], "holdout", 5, seed=0))
        stack.n_classes = 3
        return given_influence(stack, theta, ihvp)

    step = 1e-6
    nudged = x[:2].clone()
    nudged[:, 1] += step
    assert torch.allclose(
        ours[:, 1], (mean_influence(nudged) - mean_influence(x[:2])) / step, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_match_a_dense_reference_in_scale(solver: str) -> None:
    features, labels, _ = blobs()
    stack = stack_of(features, labels, crossfit(labels))
    theta = fitted(stack)
    gradient = compute_evaluation_gradient(stack, theta)
    solution = solve(stack.hessian(theta), gradient, tolerance=1e-9, solver=solver)
    assert solution.converged
    for fold in range(stack.design.folds):
        reference = torch.linalg.solve(dense_hessian(stack, theta, fold), gradient[:, fold].reshape(-1))
        assert_same_in_scale(solution.vector[:, fold], reference)


def test_hessian_products_and_diagonal_match_automatic_differentiation() -> None:
    features, labels, _ = blobs()
    stack = stack_of(features, labels, crossfit(labels), block_rows=32)
    theta = torch.randn(stack.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vectors = torch.randn((2, *stack.shape), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    hessian = stack.hessian(theta)
    product, diagonal = hessian.product(vectors), hessian.diagonal()
    for fold in range(stack.design.folds):
        dense = dense_hessian(stack, theta, fold)
        expected = vectors[:, :, fold].reshape(2, -1) @ dense
        assert torch.allclose(product[:, :, fold].reshape(2, -1), expected, rtol=1e-8, atol=1e-10)
        assert torch.allclose(diagonal[:, fold].reshape(-1), dense.diagonal(), rtol=1e-8, atol=1e-10)


def test_scores_predict_retraining_without_the_sample() -> None:
    features, labels, _ = blobs(n=60, d=2, classes=2)
    design = make_design(labels, "holdout", 5, seed=0)
    stack = stack_of(features, labels, design, l2=0.05)
    theta = fitted(stack)
    everything = slice(0, 60)
    predicted = given_influence(stack, theta, solve_ihvp(stack, theta, "direct").vector)
    evaluation = torch.nonzero(design.evaluated(everything)[:, 0]).squeeze(1)
    trust = _losses(stack, theta, evaluation)[1].square()

    def weighted_loss(parameters: Tensor) -> float:
        return float((trust * _losses(stack, parameters, evaluation)[0]).sum() / trust.sum())

    train = torch.nonzero(design.fitted(everything)[:, 0]).squeeze(1)
    base, actual = weighted_loss(theta), []
    for sample in train.tolist():
        without = stack_of(features, labels, design, l2=0.05)
        without.keep[sample] = False
        # The regularisation stays that of the whole set, as the up-weighting by 1/n assumes.
        without.l2 = 0.05 * len(train) / (len(train) - 1)
        actual.append((weighted_loss(fitted(without)) - base) * len(train))
    ours = predicted[train].numpy()
    assert np.corrcoef(ours, actual)[0, 1] > 0.99
    assert np.polyfit(ours, actual, 1)[0] == pytest.approx(1.0, abs=0.1)


def _losses(stack: SoftmaxStack, theta: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return loss and probability of the given label of some samples."""
    logits = stack.logits(stack.rows.take(samples), theta)[:, 0]
    loss = torch.nn.functional.cross_entropy(logits, stack.labels[samples], reduction="none")
    return loss, torch.exp(-loss)


def test_a_single_fold_of_a_design_is_that_fold() -> None:
    _, labels, _ = blobs()
    design = crossfit(labels)
    alone = design.single(1)
    everything = slice(0, len(labels))
    assert isinstance(alone, Design)
    assert torch.equal(alone.fitted(everything)[:, 0], design.fitted(everything)[:, 1])
    assert torch.equal(alone.evaluated(everything)[:, 0], design.evaluated(everything)[:, 1])
