"""The methods that a user could pick instead, run from their packages.

Those that need probabilities share the case's out-of-fold ones, as their users would compute them. Influence is computed on
the softmax head that scikit-learn fitted: by pyDVL with a dense Hessian, by kronfluence with Kronecker factors.

Area under the margin: how far the given label led the best other one, averaged over training. Pleiss et al. 2020,
"Identifying mislabeled data using the area under the margin ranking"; the margins are kept by its authors' package `aum`.
Their network is a deep one with a step schedule; on a few features it is a linear head or a small multilayer perceptron,
with the learning rate, momentum and weight decay of the paper and no schedule, which is the phase of training that the
paper averages over.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from tasks.bench.datasets import Bools, Floats, Ints
from tasks.bench.influence_peers import convert_regression, fit_analyzer, fit_pydvl
from tasks.bench.quality.case import FOLDS, Case, Method, MethodVerdict, make_regression

NEIGHBOURS = 10  # the k of cleanlab's own nearest-neighbour checks
EPOCHS, BATCH, HIDDEN = 50, 64, 64
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 1e-4
# Parameters x samples: ten seconds of pyDVL on one core at the bound, and growing with its square.
SLOW = 5_000_000


def training_loss(case: Case) -> MethodVerdict:
    """Score by the log-probability of the given label under the model fitted to every sample."""
    found = np.log(np.maximum(case.model.predict_proba(case.features), 1e-300))
    return MethodVerdict(found[np.arange(len(found)), case.labels], suggested=found.argmax(axis=1))


def cleanlab_rank(labels: Ints, probabilities: Floats, method: str = "normalized_margin") -> MethodVerdict:
    """Score by one of cleanlab's label quality scores; a ranking has no threshold."""
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415 (belongs to the bench extra)

    score = get_label_quality_scores(labels, probabilities, method=method)
    return MethodVerdict(np.asarray(score, dtype=np.float64), suggested=probabilities.argmax(axis=1))


def cleanlab_filter(labels: Ints, probabilities: Floats) -> MethodVerdict:
    """Flag by `find_label_issues` as it comes; the flagged come first, ordered by self-confidence."""
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 (belongs to the bench extra)

    flagged = np.asarray(find_label_issues(labels, probabilities, n_jobs=1), dtype=np.bool_)
    confidence = cleanlab_rank(labels, probabilities, "self_confidence").score
    return MethodVerdict(_put_flagged_first(confidence, flagged), flagged, probabilities.argmax(axis=1))


def clean_learning(case: Case) -> MethodVerdict:
    """Run `CleanLearning(LogisticRegression())` from features to issues, with its own cross-validation."""
    from cleanlab.classification import CleanLearning  # noqa: PLC0415 (belongs to the bench extra)

    options = {"cv_n_folds": FOLDS, "find_label_issues_kwargs": {"n_jobs": 1}}
    learner = CleanLearning(make_regression(), seed=case.seed, **options)
    issues = learner.find_label_issues(case.features, case.labels)
    flagged, quality = issues["is_label_issue"].to_numpy(bool), issues["label_quality"].to_numpy(float)
    suggested = issues["predicted_label"].to_numpy(np.int64)
    return MethodVerdict(_put_flagged_first(quality, flagged), flagged, suggested)


def argmax_differs(labels: Ints, probabilities: Floats) -> MethodVerdict:
    """Flag where the out-of-fold prediction is not the given label: the one-liner, with two score values."""
    predicted = probabilities.argmax(axis=1)
    return MethodVerdict((predicted == labels).astype(np.float64), predicted != labels, predicted)


def neighbour_disagreement(case: Case) -> MethodVerdict:
    """Score by the share of the nearest neighbours that carry the given label, nearer ones counting more."""
    # Without an argument, no sample is its own neighbour.
    distances, rows = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(case.features).kneighbors()
    weights = 1 / np.maximum(distances, 1e-12)
    votes = np.einsum("nk,nkc->nc", weights, np.eye(case.classes)[case.labels[rows]])
    votes /= votes.sum(axis=1, keepdims=True)
    predicted: Ints = votes.argmax(axis=1)
    return MethodVerdict(votes[np.arange(len(rows)), case.labels], predicted != case.labels, predicted)


def _put_flagged_first(score: Floats, flagged: Bools) -> Floats:
    """Return `score`, in 0 .. 1, moved so that every flagged sample comes before every other."""
    return np.asarray(score + np.where(flagged, 0.0, 2.0), dtype=np.float64)


def area_under_margin(case: Case, hidden: int | None = None) -> MethodVerdict:
    """Score by the area under the margin of a linear head, or of a perceptron with one hidden layer."""
    from aum import AUMCalculator  # noqa: PLC0415 (belongs to the bench extra)

    with torch.random.fork_rng():
        torch.manual_seed(case.seed)
        width = case.features.shape[1]
        layers: list[nn.Module] = [nn.Linear(width, hidden), nn.ReLU()] if hidden else []
        model = nn.Sequential(*layers, nn.Linear(hidden or width, case.classes))
        optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY)
        features = torch.as_tensor(case.features, dtype=torch.float32)
        labels = torch.as_tensor(case.labels)
        margins = AUMCalculator(save_dir="", compressed=True)
        for _ in range(EPOCHS):
            for rows in torch.split(torch.randperm(len(labels)), BATCH):
                logits = model(features[rows])
                optimizer.zero_grad()
                torch.autograd.backward(nn.functional.cross_entropy(logits, labels[rows]))
                optimizer.step()
                if len(rows) > 1:  # the package squeezes a batch of one into a scalar and fails
                    margins.update(logits.detach(), labels[rows], rows.tolist())
    score = [margins.sums[row] / margins.counts[row] for row in range(len(case.labels))]
    return MethodVerdict(np.array(score))


def pydvl_mean_influence(case: Case) -> MethodVerdict:
    """Score by pyDVL's influence averaged over the evaluation samples, equally weighted, each fold in turn.

    Positive is helpful; its threshold is 0, the sign between helpful and harmful.
    """
    score = np.zeros(len(case.labels))
    for fit, held in case.folds:
        matrix = _fit_pydvl(case, case.fit_model(fit), fit).influences(
            *_tensors(case, held), *_tensors(case, fit)
        )
        score[fit] += torch.mean(matrix, dim=0).numpy()  # over (held, fit)
    score /= len(case.folds) - 1
    return MethodVerdict(score, flagged=score < 0)


def pydvl_self_influence(case: Case) -> MethodVerdict:
    """Score by pyDVL's influence of a sample on itself: the larger, the more the fit owes to it alone."""
    rows = np.arange(len(case.labels))
    influence = _fit_pydvl(case, case.model, rows)
    own: list[Floats] = []
    for part in np.array_split(rows, max(1, len(rows) // 256)):  # of all pairs of a block the diagonal
        tensors = _tensors(case, part)
        own.append(influence.influences(*tensors, *tensors).diagonal().numpy())
    return MethodVerdict(-np.concatenate(own))


def kronfluence_self_influence(case: Case) -> MethodVerdict:
    """Score by kronfluence's self-influence with its default factors (EK-FAC)."""
    features, labels = _tensors(case, np.arange(len(case.labels)))
    head, data = convert_regression(case.model).float(), TensorDataset(features.float(), labels)
    with torch.random.fork_rng():
        torch.manual_seed(case.seed)
        with fit_analyzer(head, data, 256) as analyzer:
            analyzer.compute_self_scores("scores", "factors", data, per_device_train_batch_size=256)
            scores = analyzer.load_self_scores("scores")["all_modules"]
    return MethodVerdict(-scores.double().numpy())


def _fit_pydvl(case: Case, model: LogisticRegression, rows: Ints) -> Any:  # noqa: ANN401 (an object of a package without types)
    return fit_pydvl(convert_regression(model), *_tensors(case, rows), 1 / len(rows))


def _tensors(case: Case, rows: Ints) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(case.features[rows]), torch.as_tensor(case.labels[rows])


def list_peers() -> list[Method]:
    """Return every peer.

    >>> [peer.name for peer in list_peers()][:2]
    ['training loss', 'out-of-fold self-confidence']
    """

    def rank(method: str) -> Callable[[Case], MethodVerdict]:
        return lambda case: cleanlab_rank(case.labels, case.probabilities, method)

    return [
        Method("training loss", training_loss, "scikit-learn"),
        Method("out-of-fold self-confidence", rank("self_confidence"), "cleanlab"),
        Method("normalized margin", rank("normalized_margin"), "cleanlab"),
        Method("confidence-weighted entropy", rank("confidence_weighted_entropy"), "cleanlab"),
        Method(
            "find_label_issues", lambda case: cleanlab_filter(case.labels, case.probabilities), "cleanlab"
        ),
        Method("CleanLearning", clean_learning, "cleanlab"),
        Method(
            "argmax != label", lambda case: argmax_differs(case.labels, case.probabilities), "scikit-learn"
        ),
        Method("kNN disagreement", neighbour_disagreement, "scikit-learn"),
        Method("area under the margin (linear)", area_under_margin, "aum"),
        Method("area under the margin (MLP)", partial(area_under_margin, hidden=HIDDEN), "aum"),
        Method("self-influence", pydvl_self_influence, "pyDVL"),
        Method("mean influence", pydvl_mean_influence, "pyDVL", limit=SLOW),
        Method("kronfluence self-influence", kronfluence_self_influence, "kronfluence", limit=SLOW),
    ]
