"""Newton's method with conjugate gradients and a backtracking line search: the fit that converges.

The influence of a sample is a statement about the optimum, so the fit has to reach it. The loss is strictly
convex (l2 > 0), and each fold has its own step length; folds that have converged stand still while the others
continue. Nocedal & Wright, Numerical Optimization, algorithm 7.1 (line-search Newton-CG), with their forcing
sequence min(0.5, sqrt(|g|)).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.heads.softmax import SoftmaxHessian, SoftmaxStack

# Armijo's constant and the number of halvings: the values that Nocedal & Wright give for Newton steps.
ARMIJO, HALVINGS = 1e-4, 25

StepSolver = Callable[[SoftmaxHessian, Tensor, float], Tensor]


@dataclass(frozen=True)
class Fit:
    """Fitted parameters of all folds.

    Attributes:
        theta: (width, K, C).
        gradient_norm: (K,) norm of the gradient relative to the one at theta = 0.
        iterations: Newton iterations, the same for all folds.
        converged: Whether every gradient norm is within the tolerance.
        curve: For each iteration the losses (K,) and relative gradient norms (K,).
    """

    theta: Tensor
    gradient_norm: Tensor
    iterations: int
    converged: bool
    curve: list[tuple[list[float], list[float]]]


def choose_tolerance(dtype: torch.dtype) -> float:
    """Return the relative gradient norm that counts as converged: 1e-5, and what float32 sums can reach, 1e-4."""
    return 1e-5 if dtype == torch.float64 else 1e-4


def fit_newton(
    stack: SoftmaxStack,
    solve_step: StepSolver,
    start: Tensor | None = None,
    *,
    tolerance: float | None = None,
    max_iterations: int = 100,
) -> Fit:
    """Minimise the losses of all folds.

    Args:
        solve_step: (hessian, right-hand side (width, K, C), relative tolerance) to the approximate Newton
            step.
        start: (width, K, C) parameters to start from; zeros if None.
        tolerance: Gradient norm relative to the one at theta = 0 at which to stop.

    Returns:
        The fit; `converged` says whether the tolerance was reached.
    """
    theta = stack.zeros() if start is None else start.clone()
    tolerance = choose_tolerance(theta.dtype) if tolerance is None else tolerance
    loss, gradient = stack.loss_and_gradient(theta)
    scale = compute_gradient_scale(stack)
    curve = []
    stuck = torch.zeros_like(scale, dtype=torch.bool)
    for iteration in range(max_iterations + 1):
        relative = _compute_norm(gradient) / scale
        curve.append((loss.tolist(), relative.tolist()))
        active = (relative > tolerance) & ~stuck
        if not active.any() or iteration == max_iterations:
            break
        worst = float(relative[active].max())
        # The last step need not go further than the tolerance does (Kelley, Iterative Methods for Linear and Nonlinear
        # Equations, 1995, equation 6.20).
        forcing = min(0.5, max(worst**0.5, 0.5 * tolerance / worst))
        step = (
            solve_step(stack.hessian(theta), -gradient * active[None, :, None], forcing)
            * active[None, :, None]
        )
        length, theta, loss, gradient = _search_line(stack, theta, loss, gradient, step)
        stuck |= active & (length == 0)
    return Fit(theta, relative, iteration, bool((relative <= tolerance).all()), curve)


def _compute_norm(stacked: Tensor) -> Tensor:
    """Return the Euclidean norm of each fold's part, (width, K, C) to (K,)."""
    return stacked.square().sum(dim=(0, 2)).sqrt()


def compute_gradient_scale(stack: SoftmaxStack) -> Tensor:
    """Return the norm of each fold's gradient at theta = 0, (K,): what a gradient norm is relative to."""
    # The intercept alone makes a sample's gradient about one long. A mean this far below it is rounding: features that say
    # nothing of the labels have their optimum at zero, and nothing to be relative to.
    floor = torch.finfo(stack.rows.like.dtype).eps ** 0.5
    return _compute_norm(stack.loss_and_gradient(stack.zeros())[1]).clamp_min(floor)


def compute_relative_gradient(stack: SoftmaxStack, gradient: Tensor) -> Tensor:
    """Return each fold's gradient norm relative to the one at theta = 0, (width, K, C) to (K,)."""
    return _compute_norm(gradient) / compute_gradient_scale(stack)


def _search_line(
    stack: SoftmaxStack, theta: Tensor, loss: Tensor, gradient: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Halve each fold's step until its loss falls enough; return lengths (K,), parameters, losses and gradient.

    A fold that cannot be improved in this precision has length 0 and stands still while the others continue.
    """
    slope = (gradient * step).sum(dim=(0, 2))
    length = torch.where(slope < 0, 1.0, 0.0).to(theta.dtype)
    # A loss that is equal up to rounding is a success: near the optimum the decrease is below the precision
    # of the loss.
    slack = 10 * torch.finfo(theta.dtype).eps * loss.abs()
    for halving in range(HALVINGS + 1):
        if not length.any():
            break
        candidate = theta + length[None, :, None] * step
        new_loss, new_gradient = stack.loss_and_gradient(candidate)
        failed = ~(new_loss <= loss + ARMIJO * length * slope + slack)
        if not failed.any():
            return length, candidate, new_loss, new_gradient
        length = torch.where(failed, length / 2 if halving < HALVINGS - 1 else 0.0, length)
    return torch.zeros_like(length), theta, loss, gradient
