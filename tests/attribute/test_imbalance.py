"""Strong imbalance: a rare class is neither flagged as a whole nor passed over."""

import numpy as np

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
