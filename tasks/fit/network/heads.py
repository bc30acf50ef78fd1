"""The exact heads on the networks' features: K problems of one fold each, taken together as one.

Features differ from fold to fold, so the folds cannot share their rows as those of raw features do. Each is a
`SoftmaxStack` of one fold; what is fitted and solved is put side by side again, in the shapes that everything
downstream knows.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tasks.heads.fit import fit_stack
from tasks.heads.newton import Fit
from tasks.heads.softmax import SoftmaxStack
from tasks.options import AuditOptions


def fit_heads(stacks: Sequence[SoftmaxStack], starts: Sequence[Tensor], options: AuditOptions) -> Fit:
    """Fit the head of every fold to convergence.

    Args:
        stacks: One problem for each of K folds, all of the same width.
        starts: For each fold (width, 1, C) parameters to start from.
        options: Which optimiser.
    """
    return side_by_side([fit_stack(s, start, options) for s, start in zip(stacks, starts, strict=True)])


def side_by_side(fits: Sequence[Fit]) -> Fit:
    """Return K fits of one fold as one fit of K folds; a curve that ended early keeps its last value."""
    length = max(len(fit.curve) for fit in fits)
    padded = [fit.curve + [fit.curve[-1]] * (length - len(fit.curve)) for fit in fits]
    curve = [
        ([loss for losses, _ in points for loss in losses], [norm for _, norms in points for norm in norms])
        for points in zip(*padded, strict=True)
    ]
    return Fit(
        theta=torch.cat([fit.theta for fit in fits], dim=1),
        gradient_norm=torch.cat([fit.gradient_norm for fit in fits]),
        iterations=max(fit.iterations for fit in fits),
        converged=all(fit.converged for fit in fits),
        curve=curve,
    )
