"""How good is a queue, once the truth is known.

Scores are lower = more likely mislabeled everywhere. Ties are broken by nobody: every measure of a ranking is
the expectation over random orders of the tied samples, so that a method with two score values is treated like
one with many.

Shapes: `wrong`, `flagged` and `among` are (n,) bool, `labels`, `given` and `suggested` (n,) classes, `score` is (n,).
"""

from dataclasses import asdict, dataclass

import numpy as np

from tasks.bench.datasets import Bools, Floats, Ints
from tasks.errors import InputError

RECOVER = (
    0.95  # DataPerf's debugging challenge: how much of the data must be looked at for 95 % of the accuracy
)
RIDGE = 1.0  # scikit-learn's default for kernel ridge regression


@dataclass(frozen=True)
class Quality:
    """Every measure of one queue; nan where it does not apply.

    Attributes:
        ap: Average precision of the score.
        auroc: Area under the ROC curve of the score.
        precision_at_errors: Precision at as many samples as there are errors.
        f1: F1 of the method's own flags.
        flagged: Share of all samples that is flagged.
        suggested_right: Share of all wrong labels whose suggested label is the true one.
        suggested_right_flagged: The same among the wrong labels that are flagged (among all where nothing is
            flagged by rule).
        review_share: Share of the data to review, in queue order, to recover 95 % of the gain in clean-test
            accuracy.
    """

    ap: float
    auroc: float
    precision_at_errors: float
    f1: float
    flagged: float
    suggested_right: float
    suggested_right_flagged: float
    review_share: float

    def as_dict(self) -> dict[str, float]:
        """Return the measures by name."""
        return asdict(self)


def measure(
    labels: Ints,
    given: Ints,
    score: Floats,
    *,
    flagged: Bools | None = None,
    suggested: Ints | None = None,
    smoother: Floats | None = None,
    test_labels: Ints | None = None,
) -> Quality:
    """Return every measure of one queue.

    Args:
        labels: True labels, shape (n,).
        given: Given labels, shape (n,); at least one wrong and one right.
        score: Lower = more likely mislabeled, shape (n,).
        flagged: The method's own decision, shape (n,), if it makes one.
        suggested: Label the method would give instead, shape (n,), if it names one.
        smoother: Of `kernel_smoother`, shape (m, n), if the review share is wanted.
        test_labels: Labels of the clean test set, shape (m,), with `smoother`.
    """
    wrong = labels != given
    nan = float("nan")
    among = wrong & flagged if flagged is not None else wrong
    return Quality(
        ap=average_precision(wrong, score),
        auroc=auroc(wrong, score),
        precision_at_errors=precision_at(wrong, score, int(wrong.sum())),
        f1=f1(wrong, flagged) if flagged is not None else nan,
        flagged=float(flagged.mean()) if flagged is not None else nan,
        suggested_right=suggested_right(labels, suggested, wrong) if suggested is not None else nan,
        suggested_right_flagged=suggested_right(labels, suggested, among) if suggested is not None else nan,
        review_share=review_share(labels, given, score, smoother, test_labels)
        if smoother is not None and test_labels is not None
        else nan,
    )


def average_precision(wrong: Bools, score: Floats) -> float:
    """Return the average precision of finding the wrong labels (tied samples enter together).

    >>> average_precision(np.array([True, False, True]), np.array([0.1, 0.2, 0.3]))
    0.8333333333333333
    """
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 (seconds to import)

    return float(average_precision_score(wrong, -_checked(wrong, score)))


def auroc(wrong: Bools, score: Floats) -> float:
    """Return the chance that a wrong label stands before a right one (a tie counts half)."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 (seconds to import)

    return float(roc_auc_score(wrong, -_checked(wrong, score)))


def precision_at(wrong: Bools, score: Floats, depth: int) -> float:
    """Return the share of wrong labels among the first `depth` samples of the queue.

    >>> precision_at(np.array([True, False, False]), np.array([0.0, 0.0, 1.0]), 1)
    0.5
    """
    last = np.sort(_checked(wrong, score))[depth - 1]
    before, tied = score < last, score == last
    certain = int(wrong[before].sum())
    return float((certain + wrong[tied].mean() * (depth - before.sum())) / depth)


def f1(wrong: Bools, flagged: Bools) -> float:
    """Return the F1 of a flagged set; 0 where nothing right is flagged.

    >>> f1(np.array([True, True, False, False]), np.array([True, False, True, False]))
    0.5
    """
    return float(2 * (wrong & flagged).sum() / (wrong.sum() + flagged.sum()))


def best_f1(wrong: Bools, score: Floats) -> float:
    """Return the best F1 that any number of samples from the front of the queue has.

    >>> best_f1(np.array([True, False, True, False]), np.array([0.1, 0.2, 0.3, 0.4]))
    0.8
    """
    found = np.cumsum(wrong[np.argsort(score, kind="stable")])
    return float((2 * found / (np.arange(1, len(wrong) + 1) + wrong.sum())).max())


def suggested_right(labels: Ints, suggested: Ints, among: Bools) -> float:
    """Return the share of samples in `among` whose suggested label is the true one; nan if there are none."""
    return float((suggested[among] == labels[among]).mean()) if among.any() else float("nan")


def kernel_smoother(features: Floats, test_features: Floats) -> Floats:
    """Return S, shape (m, n): a kernel ridge classifier fitted to one-hot labels Y predicts S @ Y.

    The classifier that the repaired labels are for: an RBF kernel of width 1 / d and ridge 1, scikit-learn's
    defaults, on standardised features. It is none of the audited models, its capacity is high enough to
    suffer from wrong labels, and being linear in the labels it is refitted exactly at every depth of the
    queue for the price of one vector addition.

    Args:
        features: Standardised features of the audited samples, shape (n, d).
        test_features: Features of the test samples on the same scale, shape (m, d).
    """
    from sklearn.metrics.pairwise import rbf_kernel  # noqa: PLC0415 (seconds to import)

    kernel = rbf_kernel(features)
    kernel[np.diag_indices_from(kernel)] += RIDGE
    smoother: Floats = np.linalg.solve(kernel, rbf_kernel(features, test_features)).T
    return smoother


def review_share(labels: Ints, given: Ints, score: Floats, smoother: Floats, test_labels: Ints) -> float:
    """Return the share of the data to review for 95 % of the accuracy that all corrections would gain.

    DataPerf's measure (Mazumder et al. 2023, training set cleaning): reviewers go through the queue from its
    head and correct what is wrong; the classifier is refitted after each correction. Tied samples are spread
    evenly over their places.

    Args:
        labels: True labels, shape (n,).
        given: Given labels, shape (n,).
        score: Lower = reviewed earlier, shape (n,).
        smoother: Of `kernel_smoother`, shape (m, n).
        test_labels: Clean labels of the test set, shape (m,).

    Returns:
        A share in 0 .. 1; nan where correcting everything gains less than two test samples, which is chance.
    """
    classes = int(max(labels.max(), test_labels.max())) + 1
    votes = smoother @ np.eye(classes)[given]  # (m, C)
    start = int((votes.argmax(axis=1) == test_labels).sum())
    clean = int(((smoother @ np.eye(classes)[labels]).argmax(axis=1) == test_labels).sum())
    if clean - start < 2:
        return float("nan")
    target = start + RECOVER * (clean - start)
    for sample, place in zip(*_places(labels != given, score), strict=True):
        votes[:, given[sample]] -= smoother[:, sample]
        votes[:, labels[sample]] += smoother[:, sample]
        if (votes.argmax(axis=1) == test_labels).sum() >= target:
            return float(place / len(labels))
    return 1.0


def _places(wrong: Bools, score: Floats) -> tuple[Ints, Floats]:
    """Return the wrong samples in queue order and the place of each, from 1; a tie is spread evenly."""
    everyone = np.sort(score)
    members = np.flatnonzero(wrong)
    members = members[np.argsort(score[members], kind="stable")]
    own = score[members]
    first, last = np.searchsorted(everyone, own, "left"), np.searchsorted(everyone, own, "right")
    first_wrong, last_wrong = np.searchsorted(own, own, "left"), np.searchsorted(own, own, "right")
    step = (last - first + 1) / (last_wrong - first_wrong + 1)
    return members, first + step * (np.arange(len(own)) - first_wrong + 1)


def _checked(wrong: Bools, score: Floats) -> Floats:
    if not np.isfinite(score).all():
        raise InputError(
            f"{int((~np.isfinite(score)).sum())} scores are not finite", where="score", fix="mend the method"
        )
    if wrong.all() or not wrong.any():
        raise InputError("nothing to find, or nothing else", where="labels", fix="plant some errors, not all")
    return score
