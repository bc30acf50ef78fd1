"""What a low-rank solver would cost and bring: pyDVL's two beside the solvers that are offered, on the same Hessian."""

from collections.abc import Callable, Iterator

import torch
from pydvl.influence.torch.functional import (
    LowRankProductRepresentation,
    operator_nystroem_approximation,
    operator_spectral_approximation,
)
from pydvl.influence.torch.operator import LowRankOperator
from scipy.stats import spearmanr
from torch import Tensor

from tasks.attribute.influence import compute_evaluation_gradient, score_blocks
from tasks.bench.tally import Row
from tasks.heads.operator import StackedHessian
from tasks.heads.softmax import SoftmaxHessian, SoftmaxStack
from tasks.heads.solve import solve

RANK_SHARES = (1 / 8, 1 / 2, 7 / 8)
WORST_SHARE = 0.05
_APPROXIMATIONS: dict[str, Callable[..., LowRankProductRepresentation]] = {
    "Nyström": operator_nystroem_approximation,
    "Lanczos": operator_spectral_approximation,
}


class _Counted(SoftmaxHessian):
    """A Hessian that counts its products."""

    products = 0

    def product(self, vectors: Tensor) -> Tensor:
        self.products += len(vectors)
        return super().product(vectors)


class _Curvature(StackedHessian):
    """The Hessian of one fold without its regularisation, which a low-rank solver adds in closed form."""

    def _apply_to_mat(self, mat: Tensor) -> Tensor:
        product: Tensor = super()._apply_to_mat(mat)
        return product - self.hessian.stack.l2 * mat


def compare_solvers(stack: SoftmaxStack, theta: Tensor) -> Iterator[Row]:
    """Yield for each solver its Hessian products, its residual, and how its queue compares with that of the dense solve.

    Args:
        theta: (width, 1, C) its fitted parameters.
    """
    hessian, gradient = stack.hessian(theta), compute_evaluation_gradient(stack, theta)

    def influence(vector: Tensor) -> Tensor:
        return torch.cat([block.influence for block in score_blocks(stack, theta, vector)])

    exact = solve(hessian, gradient, tolerance=1e-12, solver="direct").vector
    reference = influence(exact)

    def row(name: str, products: int, vector: Tensor) -> Row:
        residual = (hessian.product(vector[None])[0] - gradient).norm() / gradient.norm()
        found, worst = influence(vector), int(WORST_SHARE * len(reference))
        same = set(reference.argsort()[:worst].tolist()) & set(found.argsort()[:worst].tolist())
        correlation = spearmanr(reference, found).statistic
        costs = {"solver": name, "Hessian products": f"{products:,}", "residual": f"{residual:.1e}"}
        costs["rank correlation with direct"] = f"{correlation:.4f}"
        return costs | {"of the worst 5 %, in common": f"{len(same) / worst:.3f}"}

    yield row("direct", theta.numel(), exact)
    counted = _Counted(stack, theta)
    vector = solve(counted, gradient, tolerance=1e-3, solver="cg").vector
    yield row("cg, to 1e-3", counted.products - 1, vector)  # but the product that measures the residual
    for name, approximate in _APPROXIMATIONS.items():
        for share in RANK_SHARES:
            counted, rank = _Counted(stack, theta), round(share * theta.numel())
            operator = LowRankOperator(approximate(_Curvature(counted), rank), stack.l2)
            vector = operator.apply(gradient.reshape(1, -1)).reshape(theta.shape)
            yield row(f"{name}, rank {rank:,} of {theta.numel():,}", counted.products, vector)
