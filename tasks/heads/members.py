"""Choose feature maps and regularisation by out-of-fold log-loss on the given labels; the truth is never asked.

For each feature map the regularisation is walked from strong to weak, each fit warm-started by the one
before, until the out-of-fold log-loss rises. Every map within reach of the best becomes a member of the
ensemble: the average of several good models finds label errors better than the single best one does (see the
quality benchmark).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.heads.design import Design
from tasks.heads.edges import compute_edge_histograms
from tasks.heads.feature_map import (
    ROTATED_WIDTH,
    FeatureMap,
    make_kernel_map,
    make_part_map,
    make_pca_map,
    make_raw_map,
)
from tasks.heads.features import Features, compute_moments
from tasks.heads.newton import fit_newton
from tasks.heads.part import MANY_CLASSES
from tasks.heads.rows import MemoryRows, add_intercept
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve_newton_step
from tasks.options import AuditOptions

# Strength of the Gaussian prior on the weights, l2 x n: decades around 1, the evidence-free choice for
# standardised features. The best value lay inside this range in every setting of the develop half of the
# quality benchmark.
PRIOR_PRECISIONS = (1_000.0, 100.0, 10.0, 1.0, 0.1)

# Kernel widths: the median heuristic, and a narrower one for borders that curve more.
KERNEL_MULTIPLES = (1.0, 3.0)
LANDMARKS = 300
# Samples of each class among the landmarks, where there are so many. With one or two of eleven frauds among them, kernel features
# cannot tell a fraud from the rest.
CLASS_LANDMARKS = 10

# Comparing log-losses to a hundredth needs no converged fit; the members are fitted to convergence afterwards.
CHOICE_TOLERANCE = 1e-2

# A weaker regularisation that gains less than this share of the log-loss is not followed further: fits get
# slower as it weakens.
WORTHWHILE = 0.01

# Rows that the choice is made on: its standard error of the log-loss is then below 0.02.
CHOICE_ROWS = 4_000

# A map joins the ensemble while its log-loss is within this share of the way from the best to a uniform
# guess. On the develop half of the quality benchmark the average precision of the log-odds rose with it: .830
# for the best map alone, .837 at 0.05, .844 at 0.2, and .845 with every map in.
REACH = 0.2

# A class of fewer samples is rare: it hardly moves the log-loss, and a uniform guess is far worse than any map. The way is then
# that from the best map to the shares of the classes. On 16 draws of 11 frauds among 3,000 rows, three of them missed, this and
# the landmarks took the average precision from .84 to .95 (logistic regression: .94). On eight sets of code modules, whose
# smaller class has 60 samples or more, the shorter way lost .01.
RARE_SAMPLES = 50

# Beyond this many multiply-adds per pass every member costs seconds, kernel features most: raw ones do where they are within
# this share of the best, and a further member has to be as close.
ENSEMBLE_BUDGET, NARROW_REACH = 1e8, 0.05

# There, kernel maps are not even fitted unless least squares on them explain this share more of the labels than on raw features.
# Gaussian classes (linear borders, 128 features) gain .02 and lose nothing without kernels; two moons, nested shells, clusters
# and digits gain .2 to .5.
SCREENING_SHARE = 0.05
SCREENING_RIDGES, SCREENING_ROWS = (1e-3, 1e-2, 1e-1), 2_000

# Beyond this many multiply-adds per pass, kernel features cost minutes and raw features must do.
KERNEL_BUDGET = 1e9

# Images, and tables with texts, have more candidates than tables; an audit fits as many of them, so that they take no longer. On
# digits and MNIST the best three found more than all did (average precision .994 against .992, mean of five settings).
SEVERAL_MEMBERS = 3
# Principal components of pixels: they hold nine tenths of the variance of MNIST.
COMPONENTS = 64


@dataclass(frozen=True)
class Member:
    """One member of the ensemble.

    Attributes:
        l2: Regularisation of the mean loss over the whole data set.
        log_loss: Out-of-fold log-loss on the given labels, in nats, on the rows the choice was made on.
        start: (width + 1, K, C) parameters to start the fit from.
    """

    feature_map: FeatureMap
    l2: float
    log_loss: float
    start: Tensor


def choose_members(
    features: Features,
    y: Tensor,
    design: Design,
    n_classes: int,
    options: AuditOptions,
    on_candidate: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 (no report)
    image: tuple[int, ...] = (),
    *,
    shared: int = 0,
    embedded: int = 0,
    second: str = "embedding",
) -> list[Member]:
    """Choose the ensemble on at most `CHOICE_ROWS` random rows.

    Args:
        y: (n,) classes.
        n_classes: C.
        options: `feature_map` says which maps are candidates, `seed` which rows are drawn.
        on_candidate: Called after each candidate with how many have been tried, and how many there are.
        image: Shape of an image where the features are its pixels: its edges and its principal components are candidates too.
        shared: How many of the last features, embeddings apart, have one unit, as the directions of texts do: they share one
            scale. Beside other features they are candidates by themselves, and so are these.
        embedded: How many of the last features are beside the others: each of the two is a candidate by itself, and where
            columns are beside an image, both together are one.
        second: What these are, `embedding` or `columns`.

    Returns:
        The members, best first; at least one.
    """
    chosen = torch.from_numpy(design.draw(CHOICE_ROWS, options.seed)).to(y.device)
    part = design.some(chosen)
    sample, labels = features.take(chosen), y[chosen]
    standards = _make_standards(features, options, image, shared, embedded, second)
    several = len(standards) > 1
    products = features.n * LANDMARKS * design.folds * n_classes
    # Of pixels and edges, the narrower kernel was never the best of its kind.
    widths = KERNEL_MULTIPLES[:1] if several else KERNEL_MULTIPLES
    seated = sample[choose_landmarks(labels, n_classes)]
    candidates = [
        candidate.rotate(sample)
        for standard in standards
        for candidate in _make_candidates(standard, seated, options.feature_map, products, widths)
    ]
    if image and options.feature_map == "auto" and COMPONENTS < features.width - embedded <= ROTATED_WIDTH:
        candidates.append(make_pca_map(standards[0], sample, COMPONENTS))
    is_large = products > ENSEMBLE_BUDGET
    if is_large and len(candidates) > 1:
        candidates = _screen(candidates, sample, labels, part, n_classes)
    members = []
    for candidate in candidates:
        members.append(_choose_l2(candidate, sample, labels, part, n_classes, features.n))
        on_candidate(len(members), len(candidates))
    found = _keep_within_reach(members, _compute_uninformed_loss(y, n_classes), is_large=is_large)
    return found[:SEVERAL_MEMBERS] if several else found


def _make_standards(
    features: Features, options: AuditOptions, image: tuple[int, ...], shared: int, embedded: int, second: str
) -> list[FeatureMap]:
    """Return the standardising maps: of all features, of numbers and texts each by themselves, edges, what is beside."""
    plain = features.width - embedded
    mean, deviation = compute_moments(features)
    columns = (0, plain) if embedded else ()
    standards = [replace(make_raw_map(mean[:plain], deviation[:plain], shared=shared), columns=columns)]
    if 0 < shared < plain:
        standards.append(make_part_map(standards[0], "numbers", slice(-shared)))
        standards.append(make_part_map(standards[0], "texts", slice(-shared, None)))
    if image and options.feature_map != "raw":
        edges = compute_moments(features, lambda raw: compute_edge_histograms(raw[:, :plain], image))
        standards.append(replace(make_raw_map(*edges, image), columns=columns))
    if embedded:
        embedding = make_raw_map(mean[plain:], deviation[plain:])
        standards.append(replace(embedding, name=second, columns=(plain, features.width)))
        if second != "embedding":
            standards.append(replace(make_raw_map(mean, deviation), name="together"))
    return standards


def _keep_within_reach(members: Sequence[Member], uninformed: float, *, is_large: bool) -> list[Member]:
    """Return the members near enough to the best one, best first; `uninformed` is the log-loss without any features."""
    ordered = sorted(members, key=lambda member: member.log_loss)
    best = ordered[0].log_loss
    reach = best + (NARROW_REACH if is_large else REACH) * max(uninformed - best, 0.0)
    within = [member for member in ordered if member.log_loss <= reach]
    cheap = [member for member in within if member.feature_map.landmarks is None]
    return cheap if is_large and cheap else within


def _compute_uninformed_loss(y: Tensor, n_classes: int) -> float:
    """Return the log-loss of a uniform guess, or where a class is rare that of the shares of the classes, in nats."""
    counts = torch.bincount(y, minlength=n_classes)
    if counts.min() >= RARE_SAMPLES:
        return math.log(n_classes)
    return float(torch.special.entr(counts.double() / len(y)).sum())


def choose_landmarks(labels: Tensor, n_classes: int) -> Tensor:
    """Return which rows of a random sample are landmarks: the first ones, and enough of each class.

    >>> choose_landmarks(torch.tensor([0] * 400 + [1] * 5), 2)[-6:].tolist()
    [294, 400, 401, 402, 403, 404]
    """
    enough = min(CLASS_LANDMARKS, LANDMARKS // (2 * n_classes))
    first = labels[:LANDMARKS]
    held = torch.bincount(first, minlength=n_classes)
    rare = [
        torch.nonzero(labels[LANDMARKS:] == label).flatten()[: enough - int(held[label])] + LANDMARKS
        for label in torch.nonzero(held < enough).flatten()
    ]
    added = torch.cat(rare) if rare else labels.new_zeros(0)
    return torch.cat([torch.arange(len(first) - len(added), device=labels.device), added])


def _screen(
    candidates: list[FeatureMap], sample: Tensor, labels: Tensor, design: Design, n_classes: int
) -> list[FeatureMap]:
    """Return the first candidate, and those that explain the labels better by least squares."""
    sample, labels = sample[:SCREENING_ROWS], labels[:SCREENING_ROWS]
    design = design.some(slice(SCREENING_ROWS))
    explained = [_explain_share(candidate(sample), labels, design, n_classes) for candidate in candidates]
    return [
        candidate
        for candidate, share in zip(candidates, explained, strict=True)
        if candidate is candidates[0] or share > explained[0] + SCREENING_SHARE
    ]


def _explain_share(encoded: Tensor, labels: Tensor, design: Design, n_classes: int) -> float:
    """Return the share of the labels' variance that ridge regression on one-hot labels explains out of fold, R squared."""
    rows = add_intercept(encoded).double()
    target = torch.nn.functional.one_hot(labels.long(), n_classes).double()
    target -= target.mean(0)
    everything = slice(0, len(rows))
    fitted = design.fitted(everything).expand(-1, design.folds)
    own = design.out_of_fold(everything)
    left = torch.zeros(len(SCREENING_RIDGES), dtype=torch.float64, device=rows.device)
    total = torch.zeros((), dtype=torch.float64, device=rows.device)
    for fold in range(design.folds):
        inside, outside = fitted[:, fold], ~fitted[:, fold] & (own == fold)
        gram, moment = rows[inside].T @ rows[inside], rows[inside].T @ target[inside]
        total += target[outside].square().sum()
        for number, ridge in enumerate(SCREENING_RIDGES):
            damped = gram + ridge * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
            weight = torch.cholesky_solve(moment, torch.linalg.cholesky(damped))
            left[number] += (target[outside] - rows[outside] @ weight).square().sum()
    return 1 - float(left.min() / total.clamp_min(torch.finfo(total.dtype).tiny))


def _make_candidates(
    standard: FeatureMap, sample: Tensor, maps: str, products: int, widths: Sequence[float]
) -> list[FeatureMap]:
    """Return the feature maps to compare; `products` counts the multiply-adds of one pass over kernel features."""
    if maps == "raw" or (maps == "auto" and products > KERNEL_BUDGET):
        return [standard]
    kernels = [make_kernel_map(standard, sample, LANDMARKS, multiple) for multiple in widths]
    found = [kernel for kernel in kernels if kernel is not None]
    return found or [standard] if maps == "kernel" else [standard, *found]


def _choose_l2(
    feature_map: FeatureMap, sample: Tensor, labels: Tensor, design: Design, n_classes: int, n_total: int
) -> Member:
    """Walk the regularisation from strong to weak while the out-of-fold log-loss falls."""
    rows = MemoryRows(feature_map(sample))
    keep = torch.ones(rows.n, dtype=torch.bool, device=sample.device)
    folds = design.folds
    if n_classes >= MANY_CLASSES and design.evaluation == "crossfit":
        # One fold in place of all: with many classes the fits cost seconds, and the maps are compared on the same samples.
        design = design.single(0)
    best: Member | None = None
    theta = None
    for precision in PRIOR_PRECISIONS:
        stack = SoftmaxStack(rows, labels, n_classes, design, precision / rows.n, keep)
        fit = fit_newton(stack, solve_newton_step, theta, tolerance=CHOICE_TOLERANCE)
        theta = fit.theta
        loss = compute_out_of_fold_loss(stack, theta)
        gain = math.inf if best is None else best.log_loss - loss
        if gain > 0:
            best = Member(feature_map, precision / n_total, loss, theta.expand(-1, folds, -1))
        if best is not None and gain < WORTHWHILE * best.log_loss:
            break
    if best is None:  # the grid is not empty
        raise RuntimeError("no regularisation to choose from")
    return best


def compute_out_of_fold_loss(stack: SoftmaxStack, theta: Tensor) -> float:
    """Return the mean out-of-fold log-loss of the given labels, in nats."""
    total, count = 0.0, 0
    for part in stack.parts:
        for block in part.blocks():
            log_p = torch.log_softmax(block.logits(theta), dim=1)
            own = part.design.out_of_fold(block.rows)
            index = torch.arange(len(own), device=own.device)
            unseen = ~part.design.fitted(block.rows)[index, own]
            total -= float(log_p[own, block.labels, index][unseen].sum())
            count += int(unseen.sum())
    return total / max(count, 1)
