"""labelsweep's own rows of the table, and cleanlab on the probabilities of our base model.

The compositions are views of few audits: what differs is which column orders the queue. Giving cleanlab our
out-of-fold probabilities separates what the base model brings from what the score brings.
"""

from functools import lru_cache, partial
from typing import Any

import numpy as np

from tasks.attribute import Audit, AuditOptions, audit
from tasks.attribute.combine import find_lowest
from tasks.bench.datasets import Floats
from tasks.bench.quality.case import Case, Method, MethodVerdict
from tasks.bench.quality.peers import cleanlab_filter, cleanlab_rank

NETWORKS = "networks"
DEFAULT = "labelsweep (default: consensus)"


@lru_cache(maxsize=8)
def audit_case(case: Case, **options: object) -> Audit:
    """Return the audit of the case, made once for all rows of the table that read it."""
    made = AuditOptions.model_validate({"seed": case.seed, "device": "cpu", "model": "linear"} | options)
    return audit(case.features, case.labels, made)


def by_consensus(case: Case, **options: object) -> MethodVerdict:
    """Score and flags as the audit gives them: influence and log-odds together."""
    result = audit_case(case, **options)
    return MethodVerdict(result.score, result.flagged, result.suggested)


def by_influence(case: Case, **options: object) -> MethodVerdict:
    """The relative influence alone; flagged where it is negative."""
    result = audit_case(case, **options)
    return MethodVerdict(result.influence, result.influence < 0, result.suggested)


def by_log_odds(case: Case) -> MethodVerdict:
    """The log-odds of the given label alone, with as many flags as the consensus has."""
    result = audit_case(case)
    flagged = find_lowest(result.scores.log_odds, int(result.flagged.sum()))
    return MethodVerdict(result.scores.log_odds, flagged, result.suggested)


def by_gain(case: Case) -> MethodVerdict:
    """The gain of the relabel, largest first."""
    result = audit_case(case)
    return MethodVerdict(-result.relabel_gain, suggested=result.suggested)


def our_probabilities(case: Case, **options: object) -> Floats:
    """Return our out-of-fold probabilities, rows summing to 1 in double precision as cleanlab wants them."""
    probabilities = np.clip(audit_case(case, **options).probabilities.astype(np.float64), 0.0, None)
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True), dtype=np.float64)


def margin_on_ours(case: Case, **options: object) -> MethodVerdict:
    """Normalized margin, by cleanlab, of our out-of-fold probabilities."""
    return cleanlab_rank(case.labels, our_probabilities(case, **options), "normalized_margin")


def filter_on_ours(case: Case, **options: object) -> MethodVerdict:
    """The issues that cleanlab finds with our out-of-fold probabilities."""
    return cleanlab_filter(case.labels, our_probabilities(case, **options))


def list_ours() -> tuple[Method, ...]:
    """Return our compositions, the default first, then cleanlab on our base model."""
    once: dict[str, Any] = {"rounds": 1}
    raw: dict[str, Any] = {"feature_map": "raw"}
    ours, on_ours = ("labelsweep", "ours"), ("cleanlab", "our base model")
    return (
        Method(DEFAULT, by_consensus, *ours),
        Method("log-odds", by_log_odds, *ours),
        Method("influence", by_influence, *ours),
        Method("relabel gain", by_gain, *ours),
        Method("consensus, one round", partial(by_consensus, **once), *ours),
        Method("influence, one round", partial(by_influence, **once), *ours),
        Method("consensus, raw features", partial(by_consensus, **raw), *ours),
        Method("influence, raw features", partial(by_influence, **raw), *ours),
        Method("normalized margin, our base model", partial(margin_on_ours, **once), *on_ours),
        Method("normalized margin, our second round", margin_on_ours, *on_ours),
        Method("find_label_issues, our base model", partial(filter_on_ours, **once), *on_ours),
    )


def list_networks() -> tuple[Method, ...]:
    """Return the audit with a perceptron, and cleanlab on the probabilities of the same networks."""
    head: dict[str, Any] = {"model": "mlp"}
    every, once = head | {"params": "all"}, head | {"rounds": 1}
    ours, theirs = ("labelsweep", NETWORKS), ("cleanlab", NETWORKS)
    return (
        Method("MLP, consensus", partial(by_consensus, **head), *ours),
        Method("MLP, influence", partial(by_influence, **head), *ours),
        Method("MLP, consensus, every parameter", partial(by_consensus, **every), *ours),
        Method("MLP, influence, every parameter", partial(by_influence, **every), *ours),
        Method("find_label_issues, our MLP", partial(filter_on_ours, **once), *theirs),
        Method("normalized margin, our MLP", partial(margin_on_ours, **once), *theirs),
    )
