"""Pairwise influences and saliency: evidence for a few samples, never for all.

I(i, j) = grad l_i^T H^-1 grad l_j needs one solve for each sample i, so it is computed for the flagged
samples only, with the fold's model that was fitted on i and evaluated on j. The derivative of a sample's mean
influence with respect to its input says which pixels or features make it harmful (pyDVL calls this the
perturbation influence).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.heads.rows import add_intercept
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve_many

# Two digits of an influence are enough to name the samples harmed most.
PAIRWISE_TOLERANCE = 1e-2


@dataclass(frozen=True)
class HarmedSamples:
    """The evaluation samples that each of r samples harms most, worst first.

    Attributes:
        index: (r, k) index into the data set.
        influence: (r, k) pairwise influence relative to the norm of the sample's gradient, as the influence that orders the
            queue is; negative = harmful.
    """

    index: Tensor
    influence: Tensor


def compute_pairwise_influence(
    stack: SoftmaxStack, theta: Tensor, chosen: Tensor, evaluation: Tensor
) -> Tensor:
    """Return the influence of each chosen sample on the loss of each evaluation sample.

    Args:
        stack: One fold's problem (K = 1).
        theta: (width, 1, C) its parameters.
        chosen: (r,) samples whose influence is wanted.
        evaluation: (m,) samples whose loss it is on.

    Returns:
        (r, m) influences; positive = helpful.
    """
    gradients = _compute_sample_gradients(stack, theta, chosen)
    factors = solve_many(
        stack.hessian(theta), gradients[:, :, None, :], tolerance=PAIRWISE_TOLERANCE
    ).squeeze(2)
    features, residual = _compute_residuals(stack, theta, evaluation)
    u = torch.einsum("md,rdc->rmc", features, factors)
    return torch.einsum("rmc,mc->rm", u, residual)


def _compute_residuals(stack: SoftmaxStack, theta: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return features (m, width) and p - e_y (m, C) of some samples."""
    features = stack.rows.take(samples)
    residual = torch.softmax(stack.logits(features, theta), dim=-1).squeeze(1)
    residual[torch.arange(len(samples), device=residual.device), stack.labels[samples]] -= 1
    return features, residual


def _compute_sample_gradients(stack: SoftmaxStack, theta: Tensor, samples: Tensor) -> Tensor:
    """Return the loss gradients of some samples, (r, width, C)."""
    features, residual = _compute_residuals(stack, theta, samples)
    return torch.einsum("rd,rc->rdc", features, residual)


def find_most_harmed(
    stack: SoftmaxStack, theta: Tensor, chosen: Tensor, evaluation: Tensor, count: int
) -> HarmedSamples:
    """Return the evaluation samples that each chosen sample harms most.

    Among the evaluation samples only those whose own label the model believes (probability above one half)
    are considered: to harm a sample that is itself mislabeled is no evidence.

    Args:
        stack: One fold's problem (K = 1).
        theta: (width, 1, C) its parameters.
        chosen: (r,) samples.
        evaluation: (m,) evaluation samples of the fold.
        count: k, at most how many.
    """
    _, residual = _compute_residuals(stack, theta, evaluation)
    given = 1 + residual.gather(1, stack.labels[evaluation][:, None]).squeeze(1)
    believed = evaluation[given > 0.5]
    norm = _compute_sample_gradients(stack, theta, chosen).flatten(1).norm(dim=1)
    influence = compute_pairwise_influence(stack, theta, chosen, believed) / norm[:, None]
    worst = influence.topk(min(count, len(believed)), dim=1, largest=False)
    return HarmedSamples(believed[worst.indices], worst.values)


def compute_saliency(
    feature_map: Callable[[Tensor], Tensor],
    raw: Tensor,
    labels: Tensor,
    scored: Tensor,
    theta: Tensor,
    ihvp: Tensor,
) -> Tensor:
    """Return the derivative of each sample's influence, summed over folds, with respect to its raw features.

    Negative = more of this feature makes the sample more harmful.

    Args:
        raw: (r, d) raw features.
        labels: (r,) given classes.
        scored: (r, K) 1 where a fold scores the sample, 0 elsewhere.
        theta: (width, K, C) fitted parameters.
        ihvp: (width, K, C) inverse-Hessian-vector products.

    Returns:
        (r, d), in nats per unit of weight and unit of the feature.
    """
    inputs = raw.detach().clone().requires_grad_()
    features = add_intercept(feature_map(inputs))
    logits, u = (torch.einsum("rd,dkc->rkc", features, t) for t in (theta, ihvp))
    given = labels[:, None, None].expand(-1, theta.shape[1], 1)
    influence = ((torch.softmax(logits, dim=-1) * u).sum(-1, keepdim=True) - u.gather(-1, given)).squeeze(-1)
    (gradient,) = torch.autograd.grad((influence * scored).sum(), inputs)
    return gradient
