"""How H v = g may be solved: one file for each name that `--solver` takes, beside `auto`.

A solver is a function `solve(hessian, rhs, tolerance, max_iterations)` from the Hessian of K folds and a right-hand side of
(width, K, C) to a solution of that shape. The caller measures whether it reached the tolerance (`tasks.heads.solve.solve`).
The tests that pin solvers to dense float64 run for every file in this folder.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from torch import Tensor

from tasks.heads.softmax import SoftmaxHessian
from tasks.plugins import list_modules

SOLVERS = list_modules(Path(__file__).parent)

Solver = Callable[[SoftmaxHessian, Tensor, float, int], Tensor]


def find_solver(name: str) -> Solver:
    """Return the solver of a file in this folder."""
    solver: Solver = import_module(f"{__name__}.{name}").solve
    return solver
