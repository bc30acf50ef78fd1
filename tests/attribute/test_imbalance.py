"""Strong imbalance: a rare class is neither flagged as a whole nor passed over."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tasks.attribute import AuditOptions, audit


def test_a_rare_class_is_neither_all_flagged_nor_never():
    rare = 40
    generator = np.random.default_rng(0)
    true = np.array([0] * 2_000 + [1] * rare)
    features = generator.normal(size=(len(true), 4)) + 2.5 * true[:, None]
    given = true.copy()
    hidden = np.arange(2_000, 2_000 + rare // 5)  # rare samples under the frequent label
    strangers = np.arange(rare // 5)  # frequent samples under the rare label
    given[hidden], given[strangers] = 0, 1
    result = audit(features, given, AuditOptions(device="cpu"))
    right = (given == 1) & (true == 1)
    assert result.flagged[right].mean() < 0.35
    assert result.flagged[strangers].mean() > 0.7
    assert result.flagged[hidden].mean() > 0.5
    assert result.flagged[(given == 0) & (true == 0)].mean() < 0.02


def test_frauds_that_were_missed_stand_as_high_as_in_the_order_of_the_simple_model():
    ours, simple = zip(*(_found_frauds(seed) for seed in range(4)), strict=True)
    assert np.mean(ours) >= np.mean(simple)


def _found_frauds(seed):
    """Return the average precision of the audit and of logistic regression: of 11 frauds among 3,000 rows three are missed."""
    generator = np.random.default_rng(seed)
    true = np.zeros(3_000, int)
    true[:11] = 1
    features = generator.normal(size=(3_000, 5))
    features[:11] += 5
    given = true.copy()
    given[:3], given[500:503] = 0, 1
    wrong = given != true
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    p = cross_val_predict(LogisticRegression(), features, given, cv=folds, method="predict_proba")
    found = audit(features, given, AuditOptions(device="cpu"))
    return average_precision_score(wrong, -found.score), average_precision_score(
        wrong, -p[np.arange(3_000), given]
    )
