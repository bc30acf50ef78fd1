"""Newton's method reaches the optimum where it is hard to reach, and says so where it does not."""

import numpy as np
import pytest
import torch
from head_problems import clouds, stacked
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from tasks.heads.adamw import fit_adamw
from tasks.heads.fit import fit_stack
from tasks.heads.newton import choose_tolerance, compute_relative_gradient, fit_newton
from tasks.heads.softmax import SoftmaxHessian
from tasks.heads.solve import solve_newton_step
from tasks.options import AuditOptions

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def test_the_optimum_is_that_of_scikit_learn() -> None:
    features, labels = clouds(150, 4, 3)
    stack = stacked(features, labels)
    theta = fit_newton(stack, solve_newton_step, tolerance=1e-10).theta
    with_ones = np.c_[features, np.ones(len(labels))]
    for fold in range(3):
        train = stack.design.fitted(slice(0, 150))[:, fold].numpy()
        # scikit-learn sums the losses: C = 1 / (l2 n); our intercept is regularised like the rest.
        reference = LogisticRegression(
            C=1 / (stack.l2 * train.sum()), fit_intercept=False, tol=1e-10, max_iter=5_000
        )
        reference.fit(with_ones[train], labels[train])
        assert np.allclose(theta[:, fold].T, reference.coef_, atol=1e-5)


@BOTH
@pytest.mark.parametrize("l2", [1e-4, 1e-6, 1e-8])
def test_separable_data_with_hardly_any_regularisation_converge(l2: float, dtype: torch.dtype) -> None:
    features, _ = clouds(200, 5, 2)
    stack = stacked(features, (features[:, 0] > 0).astype(int), l2, dtype=dtype)
    fit = fit_newton(stack, solve_newton_step)
    assert fit.converged
    assert fit.iterations < 30
    assert torch.isfinite(fit.theta).all()


def test_a_thousand_classes_converge() -> None:
    features, labels = clouds(2_000, 8, 1_000)
    fit = fit_newton(stacked(features, labels, 1e-2, folds=2, dtype=torch.float32), solve_newton_step)
    assert fit.converged


@BOTH
@pytest.mark.parametrize("share", [2, 3])
def test_features_that_are_all_constant_converge_to_the_class_frequencies(
    share: int, dtype: torch.dtype
) -> None:
    labels = (np.arange(120) % share > 0).astype(int)
    stack = stacked(np.zeros((120, 2)), labels, 1e-6, dtype=dtype)
    fit = fit_newton(stack, solve_newton_step)
    assert fit.converged
    assert fit.iterations < 10
    p = torch.softmax(stack.logits(stack.rows.take(torch.tensor([0])), fit.theta), dim=-1)
    frequency = (stack.weights(slice(0, 120)) * stack.labels[:, None]).sum(0)
    assert torch.allclose(p[0, :, 1], frequency, atol=1e-3)


def test_features_of_very_different_scale_converge() -> None:
    features, labels = clouds(150, 3, 3)
    fit = fit_newton(stacked(features * np.array([1e-3, 1.0, 1e3]), labels), solve_newton_step)
    assert fit.converged


@BOTH
def test_the_loss_never_rises_and_the_gradient_norm_reported_is_the_one_at_the_end(
    dtype: torch.dtype,
) -> None:
    features, labels = clouds(150, 4, 3)
    stack = stacked(features, labels, 1e-4, dtype=dtype)
    fit = fit_newton(stack, solve_newton_step)
    losses = np.array([loss for loss, _ in fit.curve])
    assert (np.diff(losses, axis=0) <= 100 * torch.finfo(dtype).eps * losses[:-1]).all()
    at_the_end = compute_relative_gradient(stack, stack.loss_and_gradient(fit.theta)[1])
    assert torch.allclose(fit.gradient_norm, at_the_end, rtol=1e-3)
    assert (at_the_end <= choose_tolerance(dtype)).all()
    assert fit.iterations == len(fit.curve) - 1


def test_a_warm_start_at_the_optimum_needs_no_iteration() -> None:
    features, labels = clouds(150, 4, 3)
    stack = stacked(features, labels)
    fit = fit_newton(stack, solve_newton_step)
    assert fit_newton(stack, solve_newton_step, fit.theta).iterations == 0


def test_too_few_iterations_are_reported_as_such() -> None:
    features, labels = clouds(150, 4, 3)
    fit = fit_newton(stacked(features, labels, 1e-4), solve_newton_step, max_iterations=2)
    assert not fit.converged
    assert fit.iterations == 2
    assert float(fit.gradient_norm.max()) > choose_tolerance(torch.float64)


def test_a_fold_without_a_useful_step_does_not_stop_the_others() -> None:
    features, labels = clouds(150, 4, 3)
    stack = stacked(features, labels)

    def useless_for_the_first(hessian: SoftmaxHessian, rhs: Tensor, tolerance: float) -> Tensor:
        step = solve_newton_step(hessian, rhs, tolerance)
        step[:, 0] *= 1e12  # downhill, but so far that no number of halvings brings it back
        return step

    fit = fit_newton(stack, useless_for_the_first)
    assert not fit.converged
    assert float(fit.gradient_norm[0]) == pytest.approx(1.0)
    assert float(fit.gradient_norm[1:].max()) <= choose_tolerance(torch.float64)


def test_folds_do_not_influence_each_other() -> None:
    features, labels = clouds(150, 4, 3)
    together = stacked(features, labels)
    theta = fit_newton(together, solve_newton_step, tolerance=1e-9).theta
    alone = stacked(features, labels, design=together.design.single(1))
    assert torch.allclose(
        theta[:, 1], fit_newton(alone, solve_newton_step, tolerance=1e-9).theta[:, 0], atol=1e-7
    )


def test_samples_that_are_left_out_do_not_count() -> None:
    features, labels = clouds(150, 4, 3)
    stack = stacked(features, labels)
    out = torch.arange(150) % 10 == 0
    stack.keep[out] = False
    theta = fit_newton(stack, solve_newton_step, tolerance=1e-9).theta
    changed = labels.copy()
    changed[out.numpy()] = (changed[out.numpy()] + 1) % 3
    other = stacked(features, changed, design=stack.design)
    other.keep[out] = False
    assert torch.allclose(theta, fit_newton(other, solve_newton_step, tolerance=1e-9).theta, atol=1e-8)
    assert torch.allclose(stack.weights(slice(0, 150)).sum(0), torch.ones(3, dtype=torch.float64))


def test_adamw_comes_near_the_same_optimum_and_is_honest_about_the_rest() -> None:
    features, labels = clouds(300, 4, 3)
    stack = stacked(features, labels)
    adamw, newton = fit_adamw(stack), fit_newton(stack, solve_newton_step)
    start, *losses = [stack.loss_and_gradient(t)[0] for t in (stack.zeros(), adamw.theta, newton.theta)]
    # A hundred small steps on 300 samples cover most of the way down, and are not the optimum.
    assert ((start - losses[0]) > 0.8 * (start - losses[1])).all()
    assert (losses[0] >= losses[1] - 1e-9).all()
    assert adamw.converged == bool((adamw.gradient_norm <= choose_tolerance(torch.float64)).all())
    again = fit_stack(stack, None, AuditOptions(optimizer="adamw"))
    assert torch.equal(again.theta, adamw.theta)
