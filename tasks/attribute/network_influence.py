r"""Influences on every parameter of a network: Gauss-Newton products, conjugate gradients, one forward-mode pass.

With J_i the derivative of the logits of sample i by all parameters and w_i its training weight:

    G v = sum_i w_i J_i^T (diag p_i - p_i p_i^T) J_i v + lambda v      Gauss-Newton product
    g   = sum_j t_j J_j^T (p_j - e_y) / sum_j t_j                      trust-weighted evaluation gradient
    u_i = J_i G^-1 g,   I_i(c) = (p_i - e_c)^T u_i                     as in `tasks.attribute.influence`

A network stops before its optimum, where its Hessian has negative eigenvalues and no inverse to speak of. The Gauss-Newton
matrix has none. What it gives is the response of the network to a sample's weight while it is held near where it is: the
proximal Bregman response (Bae, Ng, Lo, Ghassemi & Grosse, "If Influence Functions are the Answer, Then What is the
Question?", 2022). Its damping lambda is relative to the curvature, and never chosen by the labels that are audited.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from tasks.attribute.influence import BlockScores, score_blocks
from tasks.heads.flat_network import FlatNetwork
from tasks.heads.operator import FlatOperator, RelativeCgOperator
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import Solution

# Damping of the body's parameters as a share of the trace of their Gauss-Newton matrix, so that it does not depend on how many
# parameters there are. Of 0.001, 0.003, 0.01, 0.03, 0.1 and 0.3, on the digits in the develop half of the quality benchmark
# (perceptron, one round), the average precision of the influence is the same from 0.01 on, and falls below.
DAMPING = 0.03

# Random directions that the trace is estimated with; the estimate is within a few percent.
TRACE_PROBES = 8

# Training samples of a fold that the curvature is summed over, drawn at random where there are more.
CURVATURE_ROWS = 20_000

MOST_ITERATIONS = 1_000

# Samples that go through the network at a time.
BLOCK_ROWS = 2_048


class GaussNewton:
    """The Gauss-Newton matrix of a network's training loss.

    Args:
        whole: The network.
        index: (m,) training samples, all with the same weight 1 / m.
        damping: (P,) what is added to the diagonal.
    """

    def __init__(self, whole: FlatNetwork, index: Tensor, damping: Tensor) -> None:
        self.whole, self.index, self.damping = whole, index, damping

    def product(self, vector: Tensor) -> Tensor:
        """Multiply by the matrix with its damping, (P,) to (P,)."""
        result = self.damping * vector
        for part in torch.split(self.index, BLOCK_ROWS):
            inputs = self.whole.inputs_of(part)
            logits, u = self.whole.derivative(inputs, vector)
            p = torch.softmax(logits, dim=1)
            curved = p * (u - (p * u).sum(1, keepdim=True)) / len(self.index)
            result += self.whole.pull_back(inputs, lambda _, r=curved: r)  # type: ignore[misc]
        return result


def trace_body(matrix: GaussNewton) -> float:
    """Return Hutchinson's estimate of the trace over the body's parameters, without the damping."""
    whole, total = matrix.whole, 0.0
    generator = torch.Generator().manual_seed(0)
    for _ in range(TRACE_PROBES):
        signs = torch.randint(2, (whole.of_body,), generator=generator).to(whole.parameters) * 2 - 1
        probe = torch.cat([signs, torch.zeros_like(whole.parameters[whole.of_body :])])
        total += float(probe @ (matrix.product(probe) - matrix.damping * probe))
    return total / TRACE_PROBES


def make_gauss_newton(whole: FlatNetwork, stack: SoftmaxStack, damping: float = DAMPING) -> GaussNewton:
    """Return the damped Gauss-Newton matrix of one fold's training loss.

    Args:
        stack: The problem of the fold's head: whom it is fitted on, and the head's regularisation, which is its damping.
        damping: Of the body, as a share of the trace.
    """
    fitted = stack.design.fitted(slice(0, stack.rows.n))[:, 0] & stack.keep
    index = torch.from_numpy(stack.design.ordered(fitted.cpu().numpy())).to(fitted.device).long()
    if len(index) > CURVATURE_ROWS:
        drawn = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))[:CURVATURE_ROWS]
        index = index[drawn.sort().values.to(index.device)]
    matrix = GaussNewton(whole, index, torch.full_like(whole.parameters, stack.l2))
    matrix.damping[: whole.of_body] = damping * trace_body(matrix)
    return matrix


def compute_network_gradient(whole: FlatNetwork, stack: SoftmaxStack) -> Tensor:
    """Return the trust-weighted mean gradient of the fold's evaluation set by every parameter, (P,)."""
    index = torch.nonzero(stack.design.evaluated(slice(0, stack.rows.n))[:, 0] & stack.keep).squeeze(1)
    gradient, total = torch.zeros_like(whole.parameters), 0.0
    for part in torch.split(index, BLOCK_ROWS):
        inputs, given = whole.inputs_of(part), stack.labels[part][:, None]
        p = torch.softmax(whole.logits(whole.parameters, inputs), dim=1)
        trust = p.gather(1, given).square() if stack.design.trust_weighted else torch.ones_like(p[:, :1])
        residual = trust * p.scatter_add(1, given, p.new_full((), -1.0).expand(given.shape))
        gradient += whole.pull_back(inputs, lambda _, r=residual: r)  # type: ignore[misc]
        total += float(trust.sum())
    return gradient / max(total, torch.finfo(gradient.dtype).tiny)


def solve_network(matrix: GaussNewton, rhs: Tensor, tolerance: float) -> Solution:
    """Solve G v = g, (P,), by conjugate gradients; the residual is the one measured."""
    if not rhs.any():
        return Solution(torch.zeros_like(rhs), rhs.new_zeros(1), converged=True)
    # Far above every eigenvalue, so that the iteration starts within rounding of zero.
    scale = float((matrix.product(rhs).norm() / rhs.norm()).clamp_min(1.0)) / torch.finfo(rhs.dtype).eps
    operator = FlatOperator(
        lambda mat: torch.stack([matrix.product(row) for row in mat]), matrix.whole.parameters, scale
    )
    solver = RelativeCgOperator(operator, tolerance, MOST_ITERATIONS)
    vector: Tensor = solver.apply(rhs[None])[0]
    residual = (matrix.product(vector) - rhs).norm() / rhs.norm()
    return Solution(vector, residual[None], bool(residual <= 10 * tolerance))


def score_network(
    whole: FlatNetwork, stack: SoftmaxStack, theta: Tensor, vector: Tensor
) -> Iterator[BlockScores]:
    """Score every sample under every label by one fold, block by block; probabilities are those of its head.

    Args:
        theta: (width, 1, C) the head.
        vector: (P,) G^-1 g.
    """
    for block in score_blocks(stack, theta, torch.zeros_like(theta)):
        index = torch.arange(block.rows.start, block.rows.stop, device=stack.labels.device)
        inputs = whole.inputs_of(index)
        logits, u = (some.double() for some in whole.derivative(inputs, vector))
        p = torch.softmax(logits, dim=1)
        raw = (p * u).sum(1, keepdim=True) - u
        given = stack.labels[index, None]
        residual = p.scatter_add(1, given, p.new_full((), -1.0).expand(given.shape))
        length = whole.lengths(inputs, residual[:, None].to(vector)).double()
        relative = raw.gather(1, given) / length.clamp_min(torch.finfo(vector.dtype).tiny)
        yield replace(block, influence_raw=raw, influence=relative.squeeze(1))


def compute_network_saliency(whole: FlatNetwork, labels: Tensor, chosen: Tensor, vector: Tensor) -> Tensor:
    """Return the derivative of some samples' influence by their raw features, (q, d), as `pairwise.compute_saliency` does.

    Args:
        labels: (n,) given classes.
        chosen: (q,) samples.
        vector: (P,) G^-1 g.
    """
    raw, given = whole.features.take(chosen).to(vector).requires_grad_(), labels[chosen][:, None]
    logits, u = whole.derivative(whole.inputs(raw).to(vector), vector)
    influence = (torch.softmax(logits, dim=1) * u).sum() - u.gather(1, given).sum()
    (gradient,) = torch.autograd.grad(influence, raw)
    return gradient
