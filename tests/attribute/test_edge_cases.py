"""Hard inputs get a right answer or a clear refusal, and what decides nothing changes nothing."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from problems import assert_same_in_scale, blobs, crossfit, dense_hessian, fitted, stack_of
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from test_exactness import given_influence

from tasks.arrays import Array
from tasks.attribute import AuditOptions, audit, ihvp
from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import compute_evaluation_gradient
from tasks.errors import InputError
from tasks.heads import operator, precondition
from tasks.heads.precondition import make_preconditioner
from tasks.heads.solve import solve, solve_many

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


@pytest.fixture(params=["none", "diagonal", "sampled"])
def preconditioner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make conjugate gradients use one kind of preconditioner whatever would pay."""
    monkeypatch.setattr(precondition, "SAMPLED_PARAMETERS", 10**9 if request.param == "sampled" else 0)
    monkeypatch.setattr(precondition, "WORTH_PRODUCTS", 10**9)
    if request.param == "none":
        monkeypatch.setattr(
            operator, "make_preconditioner", lambda h: (None, torch.ones_like(make_preconditioner(h)[1]))
        )
    return str(request.param)


def test_conjugate_gradients_match_a_dense_reference_in_scale_with_every_preconditioner(
    preconditioner: str,
) -> None:
    features, labels, _ = blobs()
    stack = stack_of(features, labels, crossfit(labels))
    theta = fitted(stack)
    hessian, gradient = stack.hessian(theta), compute_evaluation_gradient(stack, theta)
    assert (make_preconditioner(hessian)[0] is not None) == (preconditioner == "sampled")
    solution = solve(hessian, gradient, tolerance=1e-9, solver="cg")
    alone = stack_of(features, labels, stack.design.single(0))
    several = solve_many(
        alone.hessian(theta[:, :1]), torch.stack([gradient[:, :1], theta[:, :1]]), tolerance=1e-9
    )
    assert solution.converged
    for fold in range(stack.design.folds):
        reference = torch.linalg.solve(dense_hessian(stack, theta, fold), gradient[:, fold].reshape(-1))
        assert_same_in_scale(solution.vector[:, fold], reference)
        if fold == 0:
            assert torch.allclose(several[0].reshape(-1), reference, rtol=1e-5, atol=1e-8)


def test_crossfit_scores_predict_retraining_every_fold_without_the_sample() -> None:
    n, l2 = 45, 0.1
    features, labels, _ = blobs(n=n, d=2, classes=3)
    design = crossfit(labels)
    stack = stack_of(features, labels, design, l2)
    theta = fitted(stack)
    predicted = given_influence(stack, theta, solve_ihvp(stack, theta, "direct").vector).numpy()
    evaluated = design.evaluated(slice(0, n)).double()

    def losses(parameters: torch.Tensor) -> torch.Tensor:
        """Return the loss of every sample under every fold, (n, K)."""
        log_p = torch.log_softmax(stack.logits(stack.rows.take(torch.arange(n)), parameters), dim=2)
        return -log_p[torch.arange(n), :, torch.from_numpy(labels)]

    base = losses(theta)
    trust = evaluated * torch.exp(-2 * base)
    actual = []
    for sample in range(n):
        without = stack_of(features, labels, design, l2)
        without.keep[sample] = False
        size = float(stack.totals[0])
        without.l2 = l2 * size / (size - 1)  # the prior of the whole set, as the up-weighting by 1/n assumes
        rise = (trust * (losses(fitted(without, 1e-8)) - base)).sum(0) / trust.sum(0) * size
        actual.append(float(rise[design.scored(slice(0, n))[sample]].mean()))
    assert np.corrcoef(predicted, actual)[0, 1] > 0.99
    assert np.polyfit(predicted, actual, 1)[0] == pytest.approx(1.0, abs=0.1)


SINGULAR = {
    "a column twice": lambda x: np.c_[x, x[:, :1]],
    "columns that sum to one": lambda x: np.c_[x, x[:, 0] > 0, x[:, 0] <= 0],
    "constant columns": lambda x: np.c_[x, np.zeros((len(x), 2)), np.full(len(x), 7.0)],
    "one column of huge numbers": lambda x: np.c_[x, 1e9 * x[:, :1] + 1e12],
}


@pytest.mark.parametrize("kind", SINGULAR)
def test_a_singular_hessian_gives_the_same_influences_whichever_solver(kind: str) -> None:
    features, labels, _ = blobs(n=90)
    options = {"feature_map": "raw", "rounds": 1, "folds": 3}
    direct, cg = (
        audit(SINGULAR[kind](features), labels, AuditOptions(solver=s, **options)) for s in ("direct", "cg")
    )  # type: ignore[arg-type]
    assert direct.converged
    assert cg.converged
    # The residual asked for is 1e-3: ranks do not change below it.
    assert np.allclose(direct.influence, cg.influence, rtol=2e-2, atol=2e-3)
    assert spearmanr(direct.score, cg.score).statistic > 0.9999


def test_a_solve_that_did_not_converge_is_not_called_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, _ = blobs(n=90, d=8)
    options = AuditOptions(rounds=1, solver="cg", feature_map="raw", folds=2)
    assert audit(features, labels, options).converged
    monkeypatch.setattr(precondition, "SAMPLED_PARAMETERS", 0)
    monkeypatch.setattr(ihvp, "solve", partial(solve, max_iterations=1))
    short = audit(features, labels, options)
    assert not short.converged
    assert float(short.solutions[0][0].residual.max()) > 1e-2


def rare(count: int) -> tuple[Array, Array]:
    """Return two common classes of 40 samples and a third of a few, well apart."""
    labels = np.repeat([0, 1, 2], [40, 40, count])
    return np.random.default_rng(0).normal(size=(len(labels), 3)) + 6 * np.eye(3)[labels], labels


def test_two_samples_in_a_class_are_refused_where_folds_would_miss_it_and_kept_where_not() -> None:
    features, labels = rare(2)
    with pytest.raises(InputError, match="class 2 has 2 samples, fewer than 5 folds; use fewer folds"):
        audit(features, labels)
    result = audit(features, labels, AuditOptions(folds=2))
    assert result.converged
    assert np.isfinite(result.score).all()
    labels[0] = 1
    assert audit(features, labels, AuditOptions(folds=2)).score.argmin() == 0


def test_verified_samples_are_named_by_one_bool_each() -> None:
    features, labels, _ = blobs(n=90)
    for trusted in (np.ones(90, np.int64), np.ones(80, bool)):
        with pytest.raises(InputError, match="for 90 labels; pass one bool for each label"):
            audit(features, labels, trusted=trusted)


@pytest.mark.parametrize("evaluation", ["holdout", "trusted"])
def test_a_class_that_no_fit_sees_still_gives_finite_scores(evaluation: str) -> None:
    features, labels = rare(1)
    # Seed 1 of the split puts the only sample of class 2 outside the training part; verified samples are never in it.
    trusted = (np.arange(81) % 4 == 0) if evaluation == "trusted" else None
    result = audit(features, labels, AuditOptions(evaluation=evaluation, seed=1), trusted=trusted)  # type: ignore[arg-type]
    assert result.converged
    assert np.isfinite(result.score).all()
    assert np.isfinite(result.influence).all()


def test_a_number_that_no_sample_has_is_no_class() -> None:
    features, labels = rare(10)
    result = audit(features, np.array([0, 3, 5])[labels])
    assert result.converged
    assert set(result.suggested.tolist()) <= {0, 3, 5}
    assert np.isfinite(result.score).all()


def test_a_thousand_classes_of_two_samples_are_audited() -> None:
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(1_000), 2)
    features = generator.normal(size=(1_000, 16))[truth] * 3 + generator.normal(size=(2_000, 16))
    given = truth.copy()
    given[[10, 501, 1_200]], given[[700, 900, 1_900]] = truth[[700, 900, 1_900]], truth[[10, 501, 1_200]]
    result = audit(features, given, AuditOptions(rounds=1, folds=2))
    assert result.converged
    # Half of a class is wrong here and there is one sample to learn it from: chance is 0.003.
    assert average_precision_score(given != truth, -result.score) > 0.3


@needs_cuda
@pytest.mark.parametrize(("model", "params"), [("linear", "head"), ("mlp", "head"), ("mlp", "all")])
def test_a_gpu_gives_the_queue_of_the_cpu(model: str, params: str) -> None:
    features, labels, _ = blobs(n=400, d=6)
    options = {"model": model, "params": params, "rounds": 1}
    cpu, cuda = (audit(features, labels, AuditOptions(device=d, **options)) for d in ("cpu", "cuda"))  # type: ignore[arg-type]
    assert cuda.converged
    # A network's training ends elsewhere after other rounding: the linear model is the exact one.
    assert spearmanr(cpu.score, cuda.score).statistic > (0.999 if model == "linear" else 0.9)
    assert (cpu.flagged != cuda.flagged).mean() < (0.01 if model == "linear" else 0.05)


@needs_cuda
@pytest.mark.parametrize("model", ["linear", "mlp", "cnn"])
def test_a_gpu_gives_the_same_bits_again(model: str) -> None:
    features, labels = load_digits(return_X_y=True)
    images, labels = features[:300].reshape(-1, 8, 8), labels[:300]
    options = AuditOptions(device="cuda", model=model, folds=3, rounds=1)
    first, second = (audit(images, labels, options) for _ in range(2))
    assert np.array_equal(first.score, second.score)
    assert np.array_equal(first.influence, second.influence)


def test_the_library_needs_no_orchestrator() -> None:
    code = (
        "import sys; from tasks.attribute import audit; from tasks.controls.shadow import estimate_quality; "
        "print([name for name in sys.modules if name.split('.')[0] in ('prefect', 'great_expectations', 'flows')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_hard_data_are_not_fitted_again_to_what_the_model_believed_already() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(6, size=600)
    features = generator.normal(size=(600, 3)) + 0.4 * generator.normal(size=(6, 3))[labels]
    once, twice = (audit(features, labels, AuditOptions(rounds=rounds)) for rounds in (1, 2))
    assert once.scores.flagged.mean() > 0.45  # no model tells these classes apart: most labels look wrong
    assert np.allclose(once.probabilities, twice.probabilities, atol=1e-3)
    assert spearmanr(once.score, twice.score).statistic > 0.999
    easy, given, _ = blobs(n=300)
    assert not np.allclose(*(audit(easy, given, AuditOptions(rounds=r)).score for r in (1, 2)), atol=1e-2)


def test_arrays_of_any_number_type_and_layout_are_audited_and_others_refused() -> None:
    features, labels, _ = blobs()
    options = AuditOptions(models="heads", feature_map="raw", rounds=1, folds=3)
    votes = np.repeat(labels[:, None], 3, axis=1)
    plain = audit(features, labels, options).score
    for x, y in (
        (features.tolist(), labels.tolist()),
        (features.astype(">f8"), labels.astype(np.uint64)),
        (features.astype(object), labels.astype(">i4")),
    ):
        assert audit(x, y, options).score == pytest.approx(plain)
    turned = audit(features[::-1], labels[::-1], options, votes=votes[::-1]).score
    assert turned[::-1] == pytest.approx(audit(features, labels, options, votes=votes).score, abs=1e-3)
    seconds = np.rint(1_700_000_000 + 100 * features).astype(np.int32)
    many = [audit(np.tile(seconds.astype(kind), (1, 150)), labels, options).score for kind in ("i4", "i8")]
    assert many[0] == pytest.approx(many[1])  # in single precision, which holds no second of today
    with np.errstate(over="ignore"):
        wrong = [1e40 * features, features[:, :0], features.astype(complex), np.full_like(features, np.nan)]
    for x in wrong:
        with pytest.raises(InputError, match="features"):
            audit(x, labels, options)
    for y in (labels[:, None], labels[:0], labels - 1, labels.astype(float)):
        with pytest.raises(InputError, match="labels"):
            audit(features[: len(y)], y, options)
    for more in ({"shared": -1}, {"embedded": 4}, {"feature_shape": (2, 2)}):
        with pytest.raises(InputError, match="features"):
            audit(features, labels, options, **more)
    with pytest.raises(InputError, match="votes of shape"):
        audit(features, labels, options, votes=votes[:, :0])
    for texts in (["a"], [None] * len(labels)):
        with pytest.raises(InputError, match="texts"):
            audit(features, labels, options, texts=texts)
    blank = audit(features, labels, texts=[" "] * len(labels))
    assert blank.score == pytest.approx(audit(features, labels).score)
