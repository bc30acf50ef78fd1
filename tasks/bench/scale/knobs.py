"""What each knob of a large run buys, and what it costs in average precision; and what a second worker buys."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from tasks.attribute import AuditOptions, audit
from tasks.attribute.ihvp import SOLVE_TOLERANCE, solve_ihvp
from tasks.attribute.influence import evaluation_gradient, score_blocks
from tasks.bench.stopwatch import Planted, planted, timed
from tasks.bench.tables import markdown
from tasks.heads.design import make_design
from tasks.heads.fit import fit_stack
from tasks.heads.rows import MemoryRows
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve

ROWS, SHARE = 100_000, 0.1
L2 = 1e-3


@dataclass(frozen=True)
class _Fitted:
    data: Planted
    stack: SoftmaxStack
    theta: Tensor
    some: SoftmaxStack

    def precision(self, vector: Tensor) -> float:
        """Return the average precision of the influence along a solved vector."""
        score = torch.cat([block.influence for block in score_blocks(self.stack, self.theta, vector)])
        return float(average_precision_score(self.data.given != self.data.truth, -score.numpy()))


def knobs() -> str:
    """Measure options of the audit, and parts of it on a tenth of the rows."""
    data = planted(ROWS, 64, 10)
    wrong = data.given != data.truth
    rows = []
    plain: dict[str, object] = {"feature_map": "raw"}
    changes: dict[str, dict[str, object]] = {
        "5 folds, 2 rounds (default)": {},
        "`--folds 3`": {"folds": 3},
        "`--folds 2`": {"folds": 2},
        "`--rounds 1`": {"rounds": 1},
        "`--evaluation holdout`": {"evaluation": "holdout"},
        "`--evaluation holdout --rounds 1`": {"evaluation": "holdout", "rounds": 1},
        "`--score influence`": {"score": "influence"},
    }
    for name, changed in changes.items():
        options = AuditOptions.model_validate(plain | changed)
        result, spent = timed(lambda o=options: audit(data.features, data.given, o))  # type: ignore[misc]
        found = average_precision_score(wrong, -result.score)
        rows.append([name, str(spent), f"{found:.4f}"])
    title = f"What a knob buys: {ROWS:,} x 64 x 10, 8 % of the labels wrong"
    heads = ["knob", "seconds (processor)", "average precision"]
    return markdown(heads, rows, title=title) + "\n" + _parts(data)


def _parts(data: Planted) -> str:
    fitted = _fit(data)
    everything, whole = timed(lambda: solve_ihvp(fitted.stack, fitted.theta, "cg").vector)

    def on_fewer_rows(*, gradient: bool, hessian: bool) -> Tensor:
        rhs = evaluation_gradient(fitted.some if gradient else fitted.stack, fitted.theta)
        stack = fitted.some if hessian else fitted.stack
        return solve(stack.hessian(fitted.theta), rhs, tolerance=SOLVE_TOLERANCE, solver="cg").vector

    rows = [["nothing", str(whole), f"{fitted.precision(everything):.4f}"]]
    for name, gradient, hessian in (
        ("Hessian", False, True),
        ("evaluation set", True, False),
        ("both", True, True),
    ):
        vector, spent = timed(lambda g=gradient, h=hessian: on_fewer_rows(gradient=g, hessian=h))  # type: ignore[misc]
        rows.append([name, str(spent), f"{fitted.precision(vector):.4f}"])
    heads = ["on a tenth of the rows", "seconds (processor)", "average precision of influence"]
    return f"The solve of one round, alone (influence without log-odds):\n\n{markdown(heads, rows)}"


def _fit(data: Planted) -> _Fitted:
    labels = torch.from_numpy(data.given)
    rows = MemoryRows(torch.from_numpy(data.features))
    keep = torch.ones(len(labels), dtype=torch.bool)
    stack = SoftmaxStack(rows, labels, 10, make_design(data.given, "crossfit", 5, 0), L2, keep)
    theta = fit_stack(stack, None, AuditOptions()).theta
    generator = torch.Generator().manual_seed(0)
    index = torch.randperm(rows.n, generator=generator)[: int(SHARE * rows.n)].sort().values
    return _Fitted(data, stack, theta, stack.subset(index))


def workers() -> str:
    """Measure one Hessian product on one and on two Dask workers of one thread each."""
    from distributed import LocalCluster  # noqa: PLC0415 (belongs to the dask extra)

    from tasks.heads.cluster import Cluster  # noqa: PLC0415

    data = planted(4 * ROWS, 64, 10)
    local = _fit(data)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a worker takes as many as the process that asks it
    rows = []
    first = None
    for count in (1, 2):
        with (
            LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster,  # type: ignore[no-untyped-call]
            cluster.get_client() as client,
        ):
            stack = SoftmaxStack(
                local.stack.rows,
                local.stack.labels,
                10,
                local.stack.design,
                L2,
                local.stack.keep,
                place=Cluster(client),
            )
            hessian = stack.hessian(local.theta)
            seconds = _shortest(lambda h=hessian: h.product(local.theta[None]))  # type: ignore[misc]
        first = first or seconds
        rows.append([count, f"{seconds:.2f}", f"{first / seconds:.1f}"])
    torch.set_num_threads(threads)
    title = f"What a second worker buys: one Hessian product, {4 * ROWS:,} x 64 x 10, 5 folds"
    return markdown(["workers of one thread", "seconds", "times faster"], rows, title=title)


def _shortest(work: Callable[[], object], repeat: int = 5) -> float:
    """Return the shortest time of several runs, after one that sends the data."""
    work()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


PARTS: dict[str, Callable[[], str]] = {"knobs": knobs, "workers": workers}
