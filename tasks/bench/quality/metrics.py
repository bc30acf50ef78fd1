"""How good is a queue, once the truth is known.

Scores are lower = more likely mislabeled everywhere. Ties are not broken: every measure of a ranking is
the expectation over random orders of the tied samples, so that a method with two score values is treated like
one with many.

Shapes: `wrong`, `flagged` and `among` are (n,) bool, `labels`, `given` and `suggested` (n,) classes, `score` is (n,).
"""

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel

from tasks.bench.datasets import Bools, Floats, Ints
from tasks.bench.quality.case import MethodVerdict

# DataPerf's debugging challenge: how much of the data must be looked at for 95 % of the accuracy.
RECOVER = 0.95
RIDGE = 1.0  # scikit-learn's default for kernel ridge regression


def measure(
    labels: Ints,
    given: Ints,
    verdict: MethodVerdict,
    smoother: Floats | None = None,
    test_labels: Ints | None = None,
) -> dict[str, float | None]:
    """Return every measure of one verdict; None where it does not apply.

    Args:
        labels: True labels, shape (n,).
        given: Given labels, shape (n,); at least one wrong and one right.
        verdict: Score, flags and suggested labels of a method.
        smoother: Of `kernel_smoother`, shape (m, n), if the review share is wanted.
        test_labels: Labels of the clean test set, shape (m,), with `smoother`.

    Returns:
        `ap`, `auroc` and `precision_at_errors` (at as many samples as there are errors) judge the score; `f1` the flags;
        `suggested_right` is the share of all wrong labels whose suggested label is the true one, `suggested_right_flagged`
        the same among the flagged ones (among all where nothing is flagged by rule); `review_share` as in `review_share`.
    """
    wrong, score, flagged = labels != given, verdict.score, verdict.flagged
    among = wrong if flagged is None else wrong & flagged
    found: dict[str, float | None] = {
        "ap": average_precision(wrong, score),
        "auroc": float(roc_auc_score(wrong, -score)),
        "precision_at_errors": precision_at(wrong, score, int(wrong.sum())),
        "f1": None if flagged is None else float(f1_score(wrong, flagged)),
    }
    for name, some in {"suggested_right": wrong, "suggested_right_flagged": among}.items():
        right = None if verdict.suggested is None else verdict.suggested[some] == labels[some]
        found[name] = None if right is None or not len(right) else float(right.mean())
    share = None
    if smoother is not None and test_labels is not None:
        share = review_share(labels, given, score, smoother, test_labels)
    return found | {"review_share": share}


def average_precision(wrong: Bools, score: Floats) -> float:
    """Return the average precision of finding the wrong labels (tied samples enter together).

    >>> average_precision(np.array([True, False, True]), np.array([0.1, 0.2, 0.3]))
    0.8333333333333333
    """
    return float(average_precision_score(wrong, -score))


def precision_at(wrong: Bools, score: Floats, depth: int) -> float:
    """Return the share of wrong labels among the first `depth` samples of the queue.

    >>> precision_at(np.array([True, False, False]), np.array([0.0, 0.0, 1.0]), 1)
    0.5
    """
    last = np.sort(score)[depth - 1]
    before, tied = score < last, score == last
    return float((wrong[before].sum() + wrong[tied].mean() * (depth - before.sum())) / depth)


def best_f1(wrong: Bools, score: Floats) -> float:
    """Return the best F1 that any number of samples from the front of the queue has.

    >>> best_f1(np.array([True, False, True, False]), np.array([0.1, 0.2, 0.3, 0.4]))
    0.8
    """
    found = np.cumsum(wrong[np.argsort(score, kind="stable")])
    return float((2 * found / (np.arange(1, len(wrong) + 1) + wrong.sum())).max())


def kernel_smoother(features: Floats, test_features: Floats) -> Floats:
    """Return S, shape (m, n): a kernel ridge classifier fitted to one-hot labels Y predicts S @ Y.

    The classifier that the repaired labels are for: an RBF kernel of width 1 / d and ridge 1, scikit-learn's
    defaults, on standardised features. It is not one of the audited models, its capacity is high enough to
    suffer from wrong labels, and being linear in the labels it is refitted exactly at every depth of the
    queue for the price of one vector addition.

    Args:
        features: Standardised features of the audited samples, shape (n, d).
        test_features: Features of the test samples on the same scale, shape (m, d).
    """
    kernel = rbf_kernel(features)
    kernel[np.diag_indices_from(kernel)] += RIDGE
    smoother: Floats = np.linalg.solve(kernel, rbf_kernel(features, test_features)).T
    return smoother


def review_share(
    labels: Ints, given: Ints, score: Floats, smoother: Floats, test_labels: Ints
) -> float | None:
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
        A share in 0 .. 1; None where correcting everything gains less than two test samples, which is chance.
    """
    one_hot = np.eye(int(max(labels.max(), test_labels.max())) + 1)
    votes = smoother @ one_hot[given]  # (m, C)
    start = int((votes.argmax(axis=1) == test_labels).sum())
    clean = int(((smoother @ one_hot[labels]).argmax(axis=1) == test_labels).sum())
    if clean - start < 2:
        return None
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
