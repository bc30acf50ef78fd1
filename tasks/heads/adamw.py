"""AdamW with cosine annealing: the optimiser of the theory's example, for those who want to compare.

It stops after its epochs, not at the optimum; the gradient norm says how far it got, and a run that did not
converge says so. Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019. The regularisation is
part of the loss here, so that the minimum is the one that Newton's method finds and the Hessian speaks of.
"""

import torch
from torch import Tensor

from tasks.heads.newton import Fit, choose_tolerance, compute_relative_gradient
from tasks.heads.softmax import SoftmaxStack

# The theory's example: 50 epochs; the learning rate is the usual one for standardised features.
EPOCHS, LEARNING_RATE = 50, 1e-2
BATCH_ROWS = 256


def fit_adamw(
    stack: SoftmaxStack, start: Tensor | None = None, *, seed: int = 0, epochs: int = EPOCHS
) -> Fit:
    """Minimise the losses of all folds by mini-batches.

    Args:
        start: (width, K, C) parameters to start from; zeros if None.
    """
    theta = (stack.zeros() if start is None else start.clone()).requires_grad_()
    optimizer = torch.optim.AdamW([theta], lr=LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    generator = torch.Generator().manual_seed(seed)
    curve: list[tuple[list[float], list[float]]] = []
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(stack.rows.n, generator=generator), BATCH_ROWS):
            gradient = _batch_gradient(stack, theta.detach(), batch.to(stack.labels.device))
            theta.grad = gradient
            optimizer.step()
        schedule.step()
        loss, gradient = stack.loss_and_gradient(theta.detach())
        curve.append((loss.tolist(), compute_relative_gradient(stack, gradient).tolist()))
    relative = compute_relative_gradient(stack, gradient)
    converged = bool((relative <= choose_tolerance(theta.dtype)).all())
    return Fit(theta.detach(), relative, epochs, converged, curve)


def _batch_gradient(stack: SoftmaxStack, theta: Tensor, batch: Tensor) -> Tensor:
    """Return the unbiased gradient estimate of a mini-batch, (width, K, C)."""
    features = stack.rows.take(batch)
    residual = torch.softmax(stack.logits(features, theta), dim=-1)
    given = stack.labels[batch][:, None, None].expand(-1, stack.design.folds, 1)
    residual = residual.scatter_add_(-1, given, residual.new_full((), -1.0).expand(given.shape))
    scale = stack.rows.n / len(batch)
    residual = residual * stack.weights(batch)[..., None] * scale
    return (features.T @ residual.reshape(len(features), -1)).reshape(stack.shape) + stack.l2 * theta
