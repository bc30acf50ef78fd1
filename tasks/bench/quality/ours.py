"""labelsweep's own rows of the table, and cleanlab on the probabilities of our base model.

The compositions are views of few audits: what differs is which column orders the queue. Giving cleanlab our
out-of-fold probabilities separates what the base model brings from what the score brings.
"""

from collections.abc import Callable
from functools import lru_cache

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


def read_consensus(_: Case, found: Audit) -> MethodVerdict:
    """Score and flags as the audit gives them: influence and log-odds together."""
    return MethodVerdict(found.score, found.flagged, found.suggested)


def read_influence(_: Case, found: Audit) -> MethodVerdict:
    """The relative influence alone; flagged where it is negative."""
    return MethodVerdict(found.influence, found.influence < 0, found.suggested)


def read_log_odds(_: Case, found: Audit) -> MethodVerdict:
    """The log-odds of the given label alone, with as many flags as the consensus has."""
    flagged = find_lowest(found.scores.log_odds, int(found.flagged.sum()))
    return MethodVerdict(found.scores.log_odds, flagged, found.suggested)


def read_gain(_: Case, found: Audit) -> MethodVerdict:
    """The gain of the relabel, largest first."""
    return MethodVerdict(-found.relabel_gain, suggested=found.suggested)


def rank_ours(case: Case, found: Audit) -> MethodVerdict:
    """Normalized margin, by cleanlab, of our out-of-fold probabilities."""
    return cleanlab_rank(case.labels, _normalise(found.probabilities))


def filter_ours(case: Case, found: Audit) -> MethodVerdict:
    """The issues that cleanlab finds with our out-of-fold probabilities."""
    return cleanlab_filter(case.labels, _normalise(found.probabilities))


def _normalise(probabilities: Floats) -> Floats:
    """Let rows sum to 1 in double precision, as cleanlab wants them."""
    positive = np.clip(probabilities.astype(np.float64), 0.0, None)
    return np.asarray(positive / positive.sum(axis=1, keepdims=True))


def list_ours() -> list[Method]:
    """Return our compositions, the default first, then cleanlab on our base model, then the same with networks."""
    found: list[Method] = []

    def add(name: str, read: Callable[[Case, Audit], MethodVerdict], **options: object) -> None:
        package = "cleanlab" if read in (rank_ours, filter_ours) else "labelsweep"
        block = "ours" if package == "labelsweep" else "our base model"
        block = NETWORKS if "model" in options else block
        found.append(Method(name, lambda case: read(case, audit_case(case, **options)), package, block))

    add(DEFAULT, read_consensus)
    add("log-odds", read_log_odds)
    add("influence", read_influence)
    add("relabel gain", read_gain)
    add("consensus, one round", read_consensus, rounds=1)
    add("influence, one round", read_influence, rounds=1)
    add("consensus, raw features", read_consensus, feature_map="raw")
    add("influence, raw features", read_influence, feature_map="raw")
    add("normalized margin, our base model", rank_ours, rounds=1)
    add("normalized margin, our second round", rank_ours)
    add("find_label_issues, our base model", filter_ours, rounds=1)
    add("MLP, consensus", read_consensus, model="mlp")
    add("MLP, influence", read_influence, model="mlp")
    add("MLP, consensus, every parameter", read_consensus, model="mlp", params="all")
    add("MLP, influence, every parameter", read_influence, model="mlp", params="all")
    add("find_label_issues, our MLP", filter_ours, model="mlp", rounds=1)
    add("normalized margin, our MLP", rank_ours, model="mlp", rounds=1)
    return found
