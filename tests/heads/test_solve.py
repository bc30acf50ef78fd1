"""What a solve says of itself is what was measured, whichever solver was asked for."""

import numpy as np
import pytest
import torch
from head_problems import clouds, stacked
from torch import Tensor

from tasks.attribute.influence import compute_evaluation_gradient
from tasks.heads.newton import fit_newton
from tasks.heads.softmax import SoftmaxHessian
from tasks.heads.solve import solve, solve_many, solve_newton_step
from tasks.heads.solvers import SOLVERS


@pytest.fixture
def problem() -> tuple[SoftmaxHessian, Tensor]:
    """Return the Hessian at a hard optimum, and the gradient that the influences are solved for."""
    features, labels = clouds(150, 4, 3)
    stack = stacked(features * np.array([0.03, 0.3, 3.0, 30.0]), labels, 1e-6)
    theta = fit_newton(stack, solve_newton_step).theta
    return stack.hessian(theta), compute_evaluation_gradient(stack, theta)


def measured(hessian: SoftmaxHessian, vector: Tensor, rhs: Tensor) -> Tensor:
    """Return |Hv - g| / |g| of each fold."""
    difference = hessian.product(vector[None])[0] - rhs
    return difference.square().sum((0, 2)).sqrt() / rhs.square().sum((0, 2)).sqrt()


@pytest.mark.parametrize("iterations", [1, 3, 1_000])
def test_the_residual_reported_is_the_one_measured(
    problem: tuple[SoftmaxHessian, Tensor], iterations: int
) -> None:
    hessian, rhs = problem
    solution = solve(hessian, rhs, tolerance=1e-6, solver="cg", max_iterations=iterations)
    assert torch.allclose(solution.residual, measured(hessian, solution.vector, rhs))
    assert solution.converged == bool((solution.residual <= 1e-5).all())


def test_too_few_iterations_are_not_called_converged(problem: tuple[SoftmaxHessian, Tensor]) -> None:
    short = solve(*problem, tolerance=1e-6, solver="cg", max_iterations=2)
    assert not short.converged
    assert float(short.residual.max()) > 1e-5
    assert solve(*problem, tolerance=1e-6, solver="cg").converged


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_conjugate_gradients_reach_the_tolerance_that_was_asked_for(
    problem: tuple[SoftmaxHessian, Tensor], tolerance: float
) -> None:
    hessian, rhs = problem
    vector = solve(hessian, rhs, tolerance=tolerance, solver="cg").vector
    overall = (hessian.product(vector[None])[0] - rhs).norm() / rhs.norm()
    assert float(overall) <= 2 * tolerance


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_empty_evaluation_set_has_no_influence(
    problem: tuple[SoftmaxHessian, Tensor], solver: str
) -> None:
    hessian, rhs = problem
    nothing = solve(hessian, torch.zeros_like(rhs), tolerance=1e-3, solver=solver)
    assert not nothing.vector.any()
    one = rhs.clone()
    one[:, 1] = 0
    some = solve(hessian, one, tolerance=1e-12, solver=solver)
    assert some.converged
    assert torch.allclose(some.vector[:, 1], torch.zeros_like(one[:, 1]), atol=1e-9)
    full = solve(hessian, rhs, tolerance=1e-12, solver=solver).vector
    assert torch.allclose(some.vector[:, 0], full[:, 0], rtol=1e-4, atol=1e-6 * float(full.abs().max()))


@pytest.mark.parametrize("copies", [1, 2, 40])
def test_right_hand_sides_that_repeat_each_other_are_all_solved(copies: int) -> None:
    features, labels = clouds(150, 4, 3)
    stack = stacked(features, labels, design=stacked(features, labels).design.single(0))
    hessian = stack.hessian(fit_newton(stack, solve_newton_step).theta)
    generator = torch.Generator().manual_seed(0)
    rhs = torch.randn((3, *stack.shape), dtype=torch.float64, generator=generator)
    rhs[2] = 0.5 * rhs[0] - rhs[1]
    many = rhs.repeat(copies, 1, 1, 1)  # beyond the number of parameters for 40 copies
    solved = solve_many(hessian, many, tolerance=1e-6)
    difference = (hessian.product(solved) - many).flatten(1).norm(dim=1) / many.flatten(1).norm(dim=1)
    assert float(difference.max()) < 1e-5


def test_probabilities_that_do_not_fit_are_computed_again() -> None:
    features, labels = clouds(150, 4, 3)
    stack = stacked(features, labels)
    theta = fit_newton(stack, solve_newton_step).theta
    vectors = torch.ones((2, *stack.shape), dtype=torch.float64)
    kept = stack.hessian(theta)
    stack.keep_bytes = 0
    fresh = stack.hessian(theta)
    assert torch.equal(kept.product(vectors), fresh.product(vectors))
    assert torch.equal(kept.diagonal(), fresh.diagonal())
