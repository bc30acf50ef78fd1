"""The methods that a user could pick instead, run from their packages.

Those that need probabilities share the case's out-of-fold ones, as their users would compute them; influence
and training trajectories have modules of their own.
"""

import numpy as np

from tasks.bench.datasets import Bools, Floats, Ints
from tasks.bench.quality.case import FOLDS, Case, Method, Verdict
from tasks.bench.quality.peers_influence import (
    kronfluence_self_influence,
    pydvl_mean_influence,
    pydvl_self_influence,
)
from tasks.bench.quality.peers_training import area_under_margin_linear, area_under_margin_network

NEIGHBOURS = 10  # the k of cleanlab's own nearest-neighbour checks


def training_loss(case: Case) -> Verdict:
    """Score by the log-probability of the given label under the model fitted to every sample."""
    probabilities = case.head.probabilities(case.features)
    own = probabilities[np.arange(len(case.labels)), case.labels]
    return Verdict(np.log(np.clip(own, 1e-300, None)), suggested=probabilities.argmax(axis=1))


def cleanlab_rank(case: Case, probabilities: Floats, method: str) -> Verdict:
    """Score by one of cleanlab's label quality scores; a ranking has no threshold."""
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415 (belongs to the bench extra)

    score = get_label_quality_scores(case.labels, probabilities, method=method)
    return Verdict(np.asarray(score, dtype=np.float64), suggested=probabilities.argmax(axis=1))


def cleanlab_filter(case: Case, probabilities: Floats) -> Verdict:
    """Flag by `find_label_issues` as it comes; the flagged stand first, ordered by self-confidence."""
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 (belongs to the bench extra)
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415

    flagged = np.asarray(find_label_issues(case.labels, probabilities, n_jobs=1), dtype=np.bool_)
    confidence = get_label_quality_scores(case.labels, probabilities)
    return Verdict(_flagged_first(confidence, flagged), flagged, probabilities.argmax(axis=1))


def clean_learning(case: Case) -> Verdict:
    """Run `CleanLearning(LogisticRegression())` from features to issues, with its own cross-validation."""
    from cleanlab.classification import CleanLearning  # noqa: PLC0415 (belongs to the bench extra)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    learner = CleanLearning(
        LogisticRegression(max_iter=2_000),
        seed=case.seed,
        cv_n_folds=FOLDS,
        find_label_issues_kwargs={"n_jobs": 1},
    )
    issues = learner.find_label_issues(case.features, case.labels)
    flagged = issues["is_label_issue"].to_numpy(dtype=np.bool_)
    quality = issues["label_quality"].to_numpy(dtype=np.float64)
    return Verdict(
        _flagged_first(quality, flagged), flagged, issues["predicted_label"].to_numpy(dtype=np.int64)
    )


def argmax_differs(case: Case, probabilities: Floats) -> Verdict:
    """Flag where the out-of-fold prediction is not the given label: the one-liner, with two score values."""
    predicted = probabilities.argmax(axis=1)
    return Verdict((predicted == case.labels).astype(np.float64), predicted != case.labels, predicted)


def neighbour_disagreement(case: Case) -> Verdict:
    """Score by the share of the nearest neighbours that carry the given label, nearer ones counting more."""
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 (seconds to import)

    # Without an argument, no sample is its own neighbour.
    distances, rows = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(case.features).kneighbors()
    weights = 1 / np.maximum(distances, 1e-12)
    votes = np.einsum("nk,nkc->nc", weights, np.eye(case.classes)[case.labels[rows]])
    votes /= votes.sum(axis=1, keepdims=True)
    predicted: Ints = votes.argmax(axis=1)
    return Verdict(votes[np.arange(len(rows)), case.labels], predicted != case.labels, predicted)


def _flagged_first(score: Floats, flagged: Bools) -> Floats:
    """Return `score`, in 0 .. 1, moved so that every flagged sample stands before every other."""
    return np.asarray(score + np.where(flagged, 0.0, 2.0), dtype=np.float64)


def peers() -> tuple[Method, ...]:
    """Return every peer.

    >>> [peer.name for peer in peers()][:2]
    ['training loss', 'out-of-fold self-confidence']
    """
    return (
        Method("training loss", training_loss, "scikit-learn"),
        Method(
            "out-of-fold self-confidence",
            lambda case: cleanlab_rank(case, case.probabilities, "self_confidence"),
            "cleanlab",
        ),
        Method(
            "normalized margin",
            lambda case: cleanlab_rank(case, case.probabilities, "normalized_margin"),
            "cleanlab",
        ),
        Method(
            "confidence-weighted entropy",
            lambda case: cleanlab_rank(case, case.probabilities, "confidence_weighted_entropy"),
            "cleanlab",
        ),
        Method("find_label_issues", lambda case: cleanlab_filter(case, case.probabilities), "cleanlab"),
        Method("CleanLearning", clean_learning, "cleanlab"),
        Method("argmax != label", lambda case: argmax_differs(case, case.probabilities), "scikit-learn"),
        Method("kNN disagreement", neighbour_disagreement, "scikit-learn"),
        Method("area under the margin (linear)", area_under_margin_linear, "aum"),
        Method("area under the margin (MLP)", area_under_margin_network, "aum"),
        Method("self-influence", pydvl_self_influence, "pyDVL"),
        Method("mean influence", pydvl_mean_influence, "pyDVL", limit=SLOW),
        Method("kronfluence self-influence", kronfluence_self_influence, "kronfluence", limit=SLOW),
    )


# Parameters x samples: ten seconds of pyDVL on one core at the bound, and growing with its square.
SLOW = 5_000_000
