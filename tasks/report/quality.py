"""How good the queue is, where the truth is known, beside the baselines on the same samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tasks.show.scores import Bools, Floats, ScoreColumns, align_column

BASELINES = ("training_loss", "self_confidence", "normalized_margin")
# What `measures` says of a ranking.
RANKED = ("average_precision", "auroc", "precision_at_n")


@dataclass(frozen=True)
class Ranking:
    """What is to be found, and every score that looks for it; lower = more likely mislabeled.

    Attributes:
        wrong: (n,) where the given label differs from the true one, over the samples whose truth is known.
        scores: Name to (n,) scores: `score` first, then the baselines.
    """

    wrong: Bools
    scores: Mapping[str, Floats]


def read_ranking(scores: ScoreColumns, baselines: Path | None) -> Ranking | None:
    """Return what a precision-recall curve is drawn from, None where no truth is known.

    Args:
        baselines: `baselines.parquet`, where the run has one.
    """
    if scores.truth is None:
        return None
    known = scores.truth >= 0
    columns = {"score": scores.score[known]}
    if baselines is not None:
        ids = scores.ids
        names = [name for name in BASELINES if name in pq.read_schema(baselines).names]
        columns |= {name: align_column(ids, baselines, name).to_numpy()[known] for name in names}
    finite = {name: values for name, values in columns.items() if np.isfinite(values).all()}
    return Ranking(scores.wrong[known], finite) if "score" in finite and known.any() else None


def read_measures(ranked: Ranking, name: str) -> dict[str, float] | None:
    """Return the measures of one ranking, None where there is nothing to find or nothing else.

    >>> found = Ranking(np.array([True, False, True]), {"score": np.array([0.1, 0.2, 0.3])})
    >>> {key: round(value, 3) for key, value in read_measures(found, "score").items()}
    {'average_precision': 0.833, 'auroc': 0.5, 'precision_at_n': 0.5}
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # noqa: PLC0415 (a second to import)

    wrong, score, errors = ranked.wrong, ranked.scores[name], int(ranked.wrong.sum())
    if errors in (0, len(wrong)):
        return None
    worst = np.argsort(score, kind="stable")[:errors]
    return {
        "average_precision": float(average_precision_score(wrong, -score)),
        "auroc": float(roc_auc_score(wrong, -score)),
        "precision_at_n": float(wrong[worst].mean()),
    }


def read_quality(scores: ScoreColumns, baselines: Path | None) -> dict[str, object] | None:
    """Return the quality of the queue as `summary.json` holds it, None without the truth.

    A measure that is undefined is None, and `undefined` says why.

    Args:
        baselines: `baselines.parquet`, where the run has one.
    """
    if scores.truth is None:
        return None
    known = scores.truth >= 0
    wrong, flagged = scores.wrong & known, scores.flagged & known
    found = wrong & flagged
    right = scores.suggested[found] == scores.truth[found]
    ranked = read_ranking(scores, baselines)
    values = {
        "n_errors": int(wrong.sum()),
        **((read_measures(ranked, "score") if ranked else None) or dict.fromkeys(RANKED)),
        "precision": _divide(int(found.sum()), int(flagged.sum())),
        "recall": _divide(int(found.sum()), int(wrong.sum())),
        "f1": _divide(2 * int(found.sum()), int(flagged.sum()) + int(wrong.sum())),
        "suggested_right": _divide(int(right.sum()), len(right)),
    }
    why = _explain_undefined(int(known.sum()), int(wrong.sum()), int(flagged.sum()))
    others = [name for name in ranked.scores if name != "score"] if ranked else []
    return {
        **values,
        "undefined": {name: why[name] for name, value in values.items() if value is None},
        "baselines": {name: read_measures(ranked, name) for name in others if ranked},
    }


def _explain_undefined(known: int, wrong: int, flagged: int) -> dict[str, str]:
    """Return for each measure why it has no value, by how many true labels are known, given ones wrong, samples flagged.

    >>> _explain_undefined(10, 0, 3)["suggested_right"], _explain_undefined(10, 2, 3)["suggested_right"]
    ('no given label is wrong', 'no wrong label is flagged')
    """
    ranked = "no given label is wrong" if not wrong else "every given label is wrong"
    if 0 < wrong < known:
        ranked = "a score is not finite"
    any_flagged = "no wrong label is flagged" if flagged else "nothing is flagged"
    reasons = {
        **dict.fromkeys(RANKED, ranked),
        "precision": "nothing is flagged",
        "recall": "no given label is wrong",
        "f1": "nothing is wrong and nothing is flagged",
        "suggested_right": any_flagged if wrong else "no given label is wrong",
    }
    return reasons if known else dict.fromkeys(reasons, "no sample has a true label")


def _divide(part: int, whole: int) -> float | None:
    return part / whole if whole else None
