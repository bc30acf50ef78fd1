"""The measurements of the speed benchmark: each part measures both sides of a ratio in one run.

A part takes how many samples there are at most and a device, and yields the rows of its table, cells by column.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from scipy.stats import spearmanr
from torch import Tensor

from tasks.attribute import Audit, AuditOptions, audit
from tasks.attribute.ihvp import SOLVE_TOLERANCE, solve_ihvp
from tasks.attribute.influence import compute_evaluation_gradient, score_blocks
from tasks.bench.command import Device
from tasks.bench.influence_peers import compute_aggregated_scores, fit_pydvl, make_head
from tasks.bench.speed.solvers import compare_solvers
from tasks.bench.stopwatch import NoisyData, Time, draw_noisy_data, time_call
from tasks.bench.tally import Row
from tasks.heads.adamw import fit_adamw
from tasks.heads.design import Design, make_design
from tasks.heads.device import pick_device
from tasks.heads.fit import fit_stack
from tasks.heads.newton import fit_newton
from tasks.heads.rows import MemoryRows
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve, solve_newton_step
from tasks.memory import read_peak_memory, reset_peak_memory

Measure = Callable[[int, Device], Iterator[Row]]
L2 = 1e-3
SIZE = "samples x features x classes"
KNOBS: dict[str, dict[str, object]] = {
    "5 folds, 2 rounds (default)": {},
    "`--folds 3`": {"folds": 3},
    "`--folds 2`": {"folds": 2},
    "`--rounds 1`": {"rounds": 1},
    "`--evaluation holdout`": {"evaluation": "holdout"},
    "`--evaluation holdout --rounds 1`": {"evaluation": "holdout", "rounds": 1},
    "`--score influence`": {"score": "influence"},
}


def time_audit(data: NoisyData, device: Device, **options: object) -> tuple[Audit, Time]:
    """Return an audit of the data and its time."""
    made = AuditOptions.model_validate({"device": device} | options)
    return time_call(partial(audit, data.features, data.given, made))


def cleanlab(most: int, device: Device) -> Iterator[Row]:
    """Audit against cleanlab CleanLearning(LogisticRegression()); goal: 2 times faster, AP not lower."""
    from cleanlab.classification import CleanLearning  # noqa: PLC0415 (belongs to the bench extra)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    for n in sorted({min(20_000, most), min(100_000, most)}):
        data = draw_noisy_data(n, 128, 10)
        ours, time = time_audit(data, device)
        learner = CleanLearning(LogisticRegression(), find_label_issues_kwargs={"n_jobs": 1})
        issues, theirs = time_call(partial(learner.find_label_issues, data.features, data.given))
        row = {SIZE: f"{n:,} x 128 x 10", "labelsweep": time, "CleanLearning": theirs}
        row |= {"times faster": theirs / time, "AP": data.precision(ours.score)}
        yield row | {"AP of the peer": data.precision(issues["label_quality"].to_numpy())}


def pydvl(most: int, device: Device) -> Iterator[Row]:
    """Scores against pyDVL influences().mean, trust-weighted as ours; goal: 50 times faster, equal to 1e-4."""
    n, row, stack, theta = _fit_head(most, device)
    features = torch.cat([block for _, block in stack.rows.blocks()])
    head = make_head(theta[:, 0].T)
    train, evaluation = (features[:n], stack.labels[:n]), (features[n:], stack.labels[n:])
    trust = torch.softmax(features[n:] @ theta[:, 0], 1).gather(1, stack.labels[n:, None]).square()

    def theirs() -> Tensor:
        matrix: Tensor = fit_pydvl(head, *train, L2).influences(*evaluation, *train)
        return (trust * matrix).sum(0) / trust.sum()

    def ours() -> Tensor:
        gradient = compute_evaluation_gradient(stack, theta)
        vector = solve(stack.hessian(theta), gradient, tolerance=1e-6, solver="cg").vector
        return _compute_influences(stack, theta, vector)[:n]

    (mine, time), (mean, other) = time_call(ours, 3), time_call(theirs)
    difference = float(((mine - mean).abs() / mean.abs().max()).max())
    row |= {"labelsweep": time, "pyDVL": other, "times faster": other / time}
    yield row | {"largest relative difference": f"{difference:.1e}"}


def kronfluence(most: int, device: Device) -> Iterator[Row]:
    """Scores against kronfluence with aggregated queries: the evaluation gradients are one query."""
    n, row, stack, theta = _fit_head(most, device)
    work = lambda: _compute_influences(stack, theta, solve_ihvp(stack, theta, "cg").vector)[:n]  # noqa: E731
    mine, time = time_call(work, 3)
    scores, other = time_call(lambda: compute_aggregated_scores(stack, theta, n))
    correlation = spearmanr(mine.cpu(), scores.cpu()).statistic
    row |= {"labelsweep": time, "kronfluence": other, "times faster": other / time}
    yield row | {"rank correlation": f"{correlation:.3f}"}


def passes(most: int, device: Device) -> Iterator[Row]:
    """Scoring pass against forward pass of the same folds; goal: under 10."""
    n = min(100_000, most)
    for d, many in ((128, 10), (768, 10), (128, 100)):
        data, stack = _make_folds(n if many < 100 else n // 5, device, d, many)
        theta = stack.zeros()

        def forward(s: SoftmaxStack = stack, t: Tensor = theta) -> None:
            for part in s.parts:
                for block in part.blocks():
                    torch.softmax(block.logits(t), dim=1)

        _, one = time_call(forward, 3)
        _, other = time_call(partial(_score, stack, theta, theta), 3)
        row = {SIZE: f"{len(data.given):,} x {d} x {many}", "forward pass": one, "scoring pass": other}
        yield row | {"forward passes": other / one}


def adamw(most: int, device: Device) -> Iterator[Row]:
    """Whole audit against one AdamW training of one head, 50 epochs; goal: under 1."""
    n = min(20_000, most)
    data = draw_noisy_data(n, 128, 10)
    alone = _make_stack(data, Design("holdout", torch.zeros(n, dtype=torch.int8), 1), torch.float32, device)
    _, theirs = time_call(partial(fit_adamw, alone))
    for kind in ("auto", "raw"):
        _, time = time_audit(data, device, feature_map=kind)
        row = {SIZE: f"{n:,} x 128 x 10, feature map {kind}", "labelsweep, the whole audit": time}
        yield row | {"AdamW, one head, 50 epochs": theirs, "audit / training": time / theirs}


def growth(most: int, device: Device) -> Iterator[Row]:
    """Growth of an audit with samples, classes, features, and of memory above the data with samples."""
    sizes = [(n, 16, 10) for n in (10_000, 100_000, 1_000_000) if n <= most]
    sizes += [(10_000, 16, many) for many in (2, 100, 1_000)]
    sizes += [(10_000, d, 10) for d in (64, 256, 1_024)]
    for n, d, many in sizes:
        data = draw_noisy_data(n, d, many)
        reset_peak_memory()
        before = read_peak_memory()
        _, time = time_audit(data, device, feature_map="raw", rounds=1, memory=64_000_000)
        row = {"samples": f"{n:,}", "features": f"{d:,}", "classes": f"{many:,}", "audit, one round": time}
        row["per sample"] = f"{1e6 * time.cpu / n:.0f} µs"
        yield row | {"memory above the data": f"{(read_peak_memory() - before) / 1e6:,.0f} MB"}


def classes(most: int, device: Device) -> Iterator[Row]:
    """Many classes: the whole audit beside one of ten classes; goal: 8 s for 100 classes, 10 s for 1,000."""
    for n, d, many in ((5_000, 384, 100), (10_000, 16, 1_000)):
        first = None
        for count in (10, min(many, min(n, most) // 10)):
            data = draw_noisy_data(min(n, most), d, count)
            found, time = time_audit(data, device)
            first = first or time
            row = {SIZE: f"{len(data.given):,} x {d} x {count:,}", "labelsweep": time}
            yield row | {"ratio to 10 classes": time / first, "AP": data.precision(found.score)}


def solvers(most: int, device: Device) -> Iterator[Row]:
    """Low-rank solvers of pyDVL, one fold; goal: a residual of 1e-3 for fewer products."""
    n = min(5_000, most)
    yield from compare_solvers(*_fit_first(draw_noisy_data(n + n // 5, 32, 10), n, device))


def phases(most: int, device: Device) -> Iterator[Row]:
    """Fit, solve and scoring of one stack of five folds."""
    for n in sorted({min(10_000, most), min(100_000, most)}):
        _, stack = _make_folds(n, device)
        fit, fitting = time_call(partial(fit_stack, stack, None, AuditOptions()))
        solution, solving = time_call(partial(solve_ihvp, stack, fit.theta, "cg"))
        _, scoring = time_call(partial(_score, stack, fit.theta, solution.vector))
        yield {SIZE: f"{n:,} x 64 x 10", "fit": fitting, "solve": solving, "scoring pass": scoring}


def knobs(most: int, device: Device) -> Iterator[Row]:
    """What a knob buys: at most 100,000 x 64 x 10, 8 % of the labels wrong."""
    data = draw_noisy_data(min(100_000, most), 64, 10)
    for name, changed in KNOBS.items():
        found, spent = time_audit(data, device, feature_map="raw", **changed)
        precision = data.precision(found.score)
        yield {"knob": name, "seconds (processor)": spent, "average precision": precision}


def sampling(most: int, device: Device) -> Iterator[Row]:
    """The solve of one round, alone (influence without log-odds), with sums over a tenth of the rows."""
    data, stack = _make_folds(min(100_000, most), device)
    theta = fit_stack(stack, None, AuditOptions()).theta
    n = len(data.given)
    index = torch.randperm(n, generator=torch.Generator().manual_seed(0))[: n // 10].sort().values
    some = stack.subset(index.to(theta.device))

    def solve_on(gradient: SoftmaxStack, hessian: SoftmaxStack) -> Tensor:
        rhs = compute_evaluation_gradient(gradient, theta)
        return solve(hessian.hessian(theta), rhs, tolerance=SOLVE_TOLERANCE, solver="cg").vector

    ways: dict[str, Callable[[], Tensor]] = {
        "nothing": lambda: solve_ihvp(stack, theta, "cg").vector,
        "Hessian": partial(solve_on, stack, some),
        "evaluation set": partial(solve_on, some, stack),
        "both": partial(solve_on, some, some),
    }
    for name, work in ways.items():
        vector, spent = time_call(work)
        score = torch.cat([block.influence for block in score_blocks(stack, theta, vector)])
        row = {"on a tenth of the rows": name, "seconds (processor)": spent}
        yield row | {"average precision of influence": data.precision(score.cpu().numpy())}


def workers(most: int, device: Device) -> Iterator[Row]:
    """What a second worker buys: one Hessian product, at most 400,000 x 64 x 10, 5 folds."""
    from distributed import LocalCluster  # noqa: PLC0415 (seconds to import)

    from tasks.heads.cluster import DaskCluster  # noqa: PLC0415

    _, local = _make_folds(min(400_000, most), device)
    theta = fit_stack(local, None, AuditOptions()).theta
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a worker takes as many as the process that asks it
    first = None
    for count in (1, 2):
        with (
            LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster,  # type: ignore[no-untyped-call]
            cluster.get_client() as client,
        ):
            place = DaskCluster(client)
            stack = SoftmaxStack(local.rows, local.labels, 10, local.design, L2, local.keep, place=place)
            product = partial(stack.hessian(theta).product, theta[None])
            product()  # sends the data
            _, spent = time_call(product, 5)
        first = first or spent.wall
        row = {"workers of one thread": count, "seconds": f"{spent.wall:.2f}"}
        yield row | {"times faster": f"{first / spent.wall:.1f}"}
    torch.set_num_threads(threads)


def _make_folds(n: int, device: Device, d: int = 64, classes: int = 10) -> tuple[NoisyData, SoftmaxStack]:
    """Return planted data and the problem of its five folds."""
    data = draw_noisy_data(n, d, classes)
    return data, _make_stack(data, make_design(data.given, "crossfit", 5, 0), torch.float32, device)


def _fit_head(most: int, device: Device) -> tuple[int, Row, SoftmaxStack, Tensor]:
    """Return training samples, a row with both sizes, and a fitted head with its evaluation set."""
    n, m = min(20_000, most), min(2_000, most // 10)
    row = {"training x evaluation samples": f"{n:,} x {m:,}"}
    return n, row, *_fit_first(draw_noisy_data(n + m, 64, 10), n, device)


def _fit_first(data: NoisyData, n: int, device: Device) -> tuple[SoftmaxStack, Tensor]:
    """Fit one head in float64 on the first n samples; the others are the evaluation set."""
    group = torch.zeros(len(data.given), dtype=torch.int8)
    group[n:] = 2
    stack = _make_stack(data, Design("holdout", group, 1), torch.float64, device)
    return stack, fit_newton(stack, solve_newton_step).theta


def _make_stack(data: NoisyData, design: Design, dtype: torch.dtype, device: Device) -> SoftmaxStack:
    where = pick_device(device)
    rows = MemoryRows(torch.from_numpy(data.features).to(where, dtype))
    keep = torch.ones(len(data.given), dtype=torch.bool, device=where)
    labels = torch.from_numpy(data.given).to(where)
    return SoftmaxStack(rows, labels, int(data.given.max()) + 1, design.to(where), L2, keep)


def _compute_influences(stack: SoftmaxStack, theta: Tensor, vector: Tensor) -> Tensor:
    """Return the influence of each sample's given label along a solved vector, (n,)."""
    raw = torch.cat([block.influence_raw for block in score_blocks(stack, theta, vector)])
    return raw.gather(1, stack.labels[:, None]).squeeze(1)


def _score(stack: SoftmaxStack, theta: Tensor, vector: Tensor) -> None:
    for _ in score_blocks(stack, theta, vector):
        pass
