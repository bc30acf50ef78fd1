"""One way to fit, whichever optimiser the options name."""

import torch
from torch import Tensor

from tasks.heads.adamw import fit_adamw
from tasks.heads.newton import Fit, fit_newton
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve_newton_step
from tasks.options import AuditOptions

# All folds start from the optimum of all samples together, and that one from the optimum of a share of them, or of as many as
# take this many numbers (32 MB): one fold's passes cost less than half of five's, and a share's less again. It is worth it with
# this many samples per parameter, where the optima are near each other; further than this tolerance they are not the same.
START_SHARE, START_NUMBERS, START_TOLERANCE = 1 / 4, 2**23, 1e-2
SAMPLES_PER_PARAMETER = 10


def fit_stack(stack: SoftmaxStack, start: Tensor | None, options: AuditOptions) -> Fit:
    """Fit all folds of one member by the optimiser of the options."""
    if options.optimizer == "adamw":
        return fit_adamw(stack, None, seed=options.seed)
    width, _, classes = stack.shape
    if stack.rows.n >= SAMPLES_PER_PARAMETER * width * classes:
        start = _find_shared_optimum(stack, start, options.seed)
    return fit_newton(stack, solve_newton_step, start)


def _find_shared_optimum(stack: SoftmaxStack, start: Tensor | None, seed: int) -> Tensor:
    """Return the optimum of all samples, whatever their fold, as the parameters of every fold: (width, K, C)."""
    count = int(min(START_SHARE * stack.rows.n, START_NUMBERS // stack.rows.width))
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(stack.rows.n, (count,), generator=generator).sort().values
    shared = stack.shared()
    theta = shared.zeros() if start is None else start.mean(dim=1, keepdim=True)
    for problem in (shared.subset(index), shared):
        theta = fit_newton(problem, solve_newton_step, theta, tolerance=START_TOLERANCE).theta
    stack.sampled = shared.sampled
    return theta.expand(-1, stack.design.folds, -1)
