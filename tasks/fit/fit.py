"""One way to fit, whichever optimiser the options name."""

import torch
from torch import Tensor

from tasks.fit.adamw import fit_adamw
from tasks.fit.newton import Fit, fit_newton
from tasks.fit.softmax import SoftmaxStack
from tasks.fit.solve import newton_step
from tasks.options import AuditOptions

# Rows whose optimum a large fit starts from: it lies within a hundredth of the whole one's, which saves half of the
# passes over all samples. Worth it where there are several times as many.
START_ROWS, WORTHWHILE_MULTIPLE = 65_536, 4


def fit_stack(stack: SoftmaxStack, start: Tensor | None, options: AuditOptions) -> Fit:
    """Fit all folds of one member by the optimiser of the options."""
    if options.optimizer == "adamw":
        return fit_adamw(stack, None, seed=options.seed)
    if stack.rows.n >= WORTHWHILE_MULTIPLE * START_ROWS:
        generator = torch.Generator().manual_seed(options.seed)
        index = torch.randint(stack.rows.n, (START_ROWS,), generator=generator).sort().values
        start = fit_newton(stack.subset(index), newton_step, start).theta
    return fit_newton(stack, newton_step, start)
