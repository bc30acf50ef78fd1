"""One way to fit, whichever optimiser the options name."""

from torch import Tensor

from tasks.fit.adamw import fit_adamw
from tasks.fit.newton import Fit, fit_newton
from tasks.fit.softmax import SoftmaxStack
from tasks.fit.solve import newton_step
from tasks.options import AuditOptions


def fit_stack(stack: SoftmaxStack, start: Tensor | None, options: AuditOptions) -> Fit:
    """Fit all folds of one member by the optimiser of the options."""
    if options.optimizer == "adamw":
        return fit_adamw(stack, None, seed=options.seed)
    return fit_newton(stack, newton_step, start)
