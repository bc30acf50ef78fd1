"""The measurements of the speed benchmark: each part measures both sides of a ratio in one run."""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from tasks.attribute import AuditOptions, audit
from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import evaluation_gradient, score_blocks
from tasks.bench.command import Device
from tasks.bench.speed.solvers import compared
from tasks.bench.stopwatch import Planted, planted, timed
from tasks.bench.with_kronfluence import fitted_analyzer
from tasks.heads.adamw import fit_adamw
from tasks.heads.design import Design, make_design
from tasks.heads.device import pick_device
from tasks.heads.fit import fit_stack
from tasks.heads.newton import fit_newton
from tasks.heads.rows import MemoryRows
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import newton_step, solve
from tasks.memory import peak_memory, reset_peak_memory

Row = list[str]
L2 = 1e-3


def cleanlab(most: int, device: Device) -> Iterator[Row]:
    """Measure an audit against cleanlab's CleanLearning on the same features."""
    from cleanlab.classification import CleanLearning  # noqa: PLC0415 (belongs to the bench extra)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    yield [
        "samples x features x classes",
        "labelsweep",
        "CleanLearning",
        "times faster",
        "AP",
        "AP of the peer",
    ]
    for n in (20_000, 100_000):
        if n > most:
            continue
        data = planted(n, 128, 10)
        ours, time = timed(lambda d=data: audit(d.features, d.given, AuditOptions(device=device)))  # type: ignore[misc]
        learner = CleanLearning(LogisticRegression(), find_label_issues_kwargs={"n_jobs": 1})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            issues, theirs = timed(lambda d=data, m=learner: m.find_label_issues(d.features, d.given))  # type: ignore[misc]
        found = (
            _average_precision(data, ours.score),
            _average_precision(data, issues["label_quality"].to_numpy()),
        )
        yield [
            f"{n:,} x 128 x 10",
            str(time),
            str(theirs),
            theirs / time,
            *(f"{ap:.4f}" for ap in found),
        ]


def pydvl(most: int, device: Device) -> Iterator[Row]:
    """Measure all scores against the mean of pyDVL's pairwise influences, trust-weighted as ours is."""
    from pydvl.influence.torch import DirectInfluence  # noqa: PLC0415

    yield [
        "training x evaluation samples",
        "labelsweep",
        "pyDVL",
        "times faster",
        "largest relative difference",
    ]
    n, m = min(20_000, most), min(2_000, most // 10)
    data = planted(n + m, 64, 10)
    stack, theta = _fitted(data, n, device)
    features = torch.cat([block for _, block in stack.rows.blocks()])
    model = torch.nn.Linear(stack.rows.width, 10, bias=False, dtype=torch.float64, device=features.device)
    model.weight.data = theta[:, 0].T.contiguous()

    trust = torch.softmax(features[n:] @ theta[:, 0], 1).gather(1, stack.labels[n:, None]).square()

    def theirs() -> Tensor:
        influence = DirectInfluence(model.eval(), torch.nn.functional.cross_entropy, regularization=L2)
        train = TensorDataset(features[:n], stack.labels[:n])
        influence = influence.fit(DataLoader(train, batch_size=n))
        matrix: Tensor = influence.influences(features[n:], stack.labels[n:], features[:n], stack.labels[:n])
        return (trust * matrix).sum(0) / trust.sum()

    def ours() -> Tensor:
        gradient = evaluation_gradient(stack, theta)
        vector = solve(stack.hessian(theta), gradient, tolerance=1e-6, solver="cg").vector
        raw = torch.cat([block.influence_raw for block in score_blocks(stack, theta, vector)])
        return raw.gather(1, stack.labels[:, None]).squeeze(1)[:n]

    (mine, time), (mean, other) = timed(ours, 3), timed(theirs)
    difference = float(((mine - mean).abs() / mean.abs().max()).max())
    yield [f"{n:,} x {m:,}", str(time), str(other), other / time, f"{difference:.1e}"]


def kronfluence(most: int, device: Device) -> Iterator[Row]:
    """Measure all scores against kronfluence with the evaluation gradients aggregated into one query."""
    yield ["training x evaluation samples", "labelsweep", "kronfluence", "times faster", "rank correlation"]
    n, m = min(20_000, most), min(2_000, most // 10)
    data = planted(n + m, 64, 10)
    stack, theta = _fitted(data, n, device)

    def ours() -> Tensor:
        vector = solve_ihvp(stack, theta, "cg").vector
        raw = torch.cat([block.influence_raw for block in score_blocks(stack, theta, vector)])
        return raw.gather(1, stack.labels[:, None]).squeeze(1)[:n]

    (mine, time), (scores, other) = timed(ours, 3), timed(lambda: _kronfluence_scores(stack, theta, n))

    yield [
        f"{n:,} x {m:,}",
        str(time),
        str(other),
        other / time,
        f"{spearmanr(mine.cpu(), scores.cpu()).statistic:.3f}",
    ]


def passes(most: int, device: Device) -> Iterator[Row]:
    """Measure the scoring pass against a forward pass of the same folds."""
    yield ["samples x features x classes", "forward pass", "scoring pass", "forward passes"]
    n = min(100_000, most)
    for d, classes in ((128, 10), (768, 10), (128, 100)):
        data = planted(n if classes < 100 else n // 5, d, classes)
        stack = _stack(data, make_design(data.given, "crossfit", 5, 0), torch.float32, device)
        theta = stack.zeros()

        def forward(s: SoftmaxStack = stack, t: Tensor = theta) -> None:
            for part in s.parts:
                for block in part.blocks():
                    torch.softmax(block.logits(t), dim=1)

        def score(s: SoftmaxStack = stack, t: Tensor = theta) -> None:
            for _ in score_blocks(s, t, t):
                pass

        (_, one), (_, other) = timed(forward, 3), timed(score, 3)
        yield [f"{len(data.given):,} x {d} x {classes}", str(one), str(other), other / one]


def adamw(most: int, device: Device) -> Iterator[Row]:
    """Measure a whole audit against one training of the same head by AdamW for 50 epochs."""
    yield [
        "samples x features x classes",
        "labelsweep, the whole audit",
        "AdamW, one head, 50 epochs",
        "audit / training",
    ]
    n = min(20_000, most)
    data = planted(n, 128, 10)
    alone = _stack(data, Design("holdout", torch.zeros(n, dtype=torch.int8), 1), torch.float32, device)
    _, theirs = timed(lambda: fit_adamw(alone))
    for kind in ("auto", "raw"):
        options = AuditOptions(feature_map=kind, device=device)
        _, time = timed(lambda o=options: audit(data.features, data.given, o))  # type: ignore[misc]
        yield [f"{n:,} x 128 x 10, feature map {kind}", str(time), str(theirs), time / theirs]


def growth(most: int, device: Device) -> Iterator[Row]:
    """Measure an audit on raw features as samples, classes and features grow, with the peak of memory above the data."""
    yield ["samples", "features", "classes", "audit, one round", "per sample", "memory above the data"]
    sizes = [(n, 16, 10) for n in (10_000, 100_000, 1_000_000) if n <= most]
    sizes += [(10_000, 16, classes) for classes in (2, 100, 1_000)]
    sizes += [(10_000, d, 10) for d in (64, 256, 1_024)]
    options = AuditOptions(feature_map="raw", rounds=1, folds=5, memory=64_000_000, device=device)
    for n, d, classes in sizes:
        data = planted(n, d, classes)
        reset_peak_memory()
        before = peak_memory()
        _, time = timed(lambda d=data: audit(d.features, d.given, options))  # type: ignore[misc]
        above = (peak_memory() - before) / 1e6
        yield [
            f"{n:,}",
            f"{d:,}",
            f"{classes:,}",
            str(time),
            f"{1e6 * time.cpu / n:.0f} µs",
            f"{above:,.0f} MB",
        ]


def phases(most: int, device: Device) -> Iterator[Row]:
    """Measure where the time of a fold stack goes: fit, solve, score."""
    yield ["samples x features x classes", "fit", "solve", "scoring pass"]
    for n in (10_000, 100_000):
        if n > most:
            continue
        data = planted(n, 64, 10)
        stack = _stack(data, make_design(data.given, "crossfit", 5, 0), torch.float32, device)
        fit, fitting = timed(lambda s=stack: fit_stack(s, None, AuditOptions()))  # type: ignore[misc]
        solution, solving = timed(lambda s=stack, t=fit.theta: solve_ihvp(s, t, "cg"))  # type: ignore[misc]
        _, scoring = timed(lambda s=stack, t=fit.theta, v=solution.vector: list(score_blocks(s, t, v)))  # type: ignore[misc]
        yield [f"{n:,} x 64 x 10", str(fitting), str(solving), str(scoring)]


def solvers(most: int, device: Device) -> Iterator[Row]:
    """Measure what pyDVL's low-rank solvers cost and bring, beside those that are offered."""
    yield [
        "solver",
        "Hessian products",
        "residual",
        "rank correlation with direct",
        "of the worst 5 %, in common",
    ]
    n = min(5_000, most)
    data = planted(n + n // 5, 32, 10)
    yield from compared(*_fitted(data, n, device))


def _kronfluence_scores(stack: SoftmaxStack, theta: Tensor, n: int) -> Tensor:
    """Return kronfluence's influence of the first n samples on the sum of the others' losses, (n,)."""
    from kronfluence.arguments import ScoreArguments  # noqa: PLC0415 (belongs to the bench extra)

    # The package moves batches to where its model is.
    features = torch.cat([block for _, block in stack.rows.blocks()]).float().cpu()
    labels = stack.labels.cpu()
    train, query = TensorDataset(features[:n], labels[:n]), TensorDataset(features[n:], labels[n:])
    head = torch.nn.Linear(theta.shape[0], theta.shape[2], bias=False)
    head.weight.data = theta[:, 0].T.contiguous().float()
    with fitted_analyzer(head, train, 1_024) as analyzer:
        analyzer.compute_pairwise_scores(
            "scores",
            "factors",
            query_dataset=query,
            train_dataset=train,
            per_device_query_batch_size=256,
            per_device_train_batch_size=1_024,
            score_args=ScoreArguments(aggregate_query_gradients=True),
        )
        scores: Tensor = analyzer.load_pairwise_scores("scores")["all_modules"]
    return scores.reshape(-1).double()


PARTS: dict[str, tuple[str, Callable[[int, Device], Iterator[Row]]]] = {
    "cleanlab": (
        "Audit against cleanlab CleanLearning(LogisticRegression()); goal: 2 times faster, AP not lower",
        cleanlab,
    ),
    "pydvl": ("Scores against pyDVL influences().mean; goal: 50 times faster, equal to 1e-4", pydvl),
    "kronfluence": ("Scores against kronfluence with aggregated queries", kronfluence),
    "passes": ("Scoring pass against forward pass; goal: under 10", passes),
    "adamw": ("Whole audit against one AdamW training of 50 epochs; goal: under 1", adamw),
    "growth": ("Growth with samples, classes, features, and memory with samples", growth),
    "solvers": ("Low-rank solvers of pyDVL, one fold; goal: a residual of 1e-3 for fewer products", solvers),
    "phases": ("Fit, solve and scoring of one stack of five folds", phases),
}


def _fitted(data: Planted, n: int, device: Device) -> tuple[SoftmaxStack, Tensor]:
    """Fit one head in float64 on the first n samples; the others are the evaluation set."""
    group = torch.zeros(len(data.given), dtype=torch.int8)
    group[n:] = 2
    stack = _stack(data, Design("holdout", group, 1), torch.float64, device)
    return stack, fit_newton(stack, newton_step).theta


def _stack(data: Planted, design: Design, dtype: torch.dtype, device: Device) -> SoftmaxStack:
    where = pick_device(device)
    rows = MemoryRows(torch.from_numpy(data.features).to(where, dtype))
    keep = torch.ones(len(data.given), dtype=torch.bool, device=where)
    labels = torch.from_numpy(data.given).to(where)
    return SoftmaxStack(rows, labels, int(data.given.max()) + 1, design.to(where), L2, keep)


def _average_precision(data: Planted, score: np.ndarray) -> float:  # type: ignore[type-arg]
    return float(average_precision_score(data.given != data.truth, -score))
