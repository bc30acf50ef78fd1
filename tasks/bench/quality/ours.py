"""labelsweep's own rows of the table, and cleanlab on the probabilities of our base model.

The compositions are views of few audits: what differs is which column orders the queue. Giving cleanlab our
out-of-fold probabilities separates what the base model brings from what the score brings.
"""

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.bench.datasets import Floats
from tasks.bench.quality.case import Case, Method, Verdict
from tasks.bench.quality.peers import cleanlab_filter, cleanlab_rank

if TYPE_CHECKING:
    from tasks.attribute import Audit

Features = Literal["auto", "raw"]
# Which parameters of a perceptron the influences are on; None: no network.
Network = Literal["head", "all"] | None
NETWORKS = "networks"
DEFAULT = "labelsweep (default: consensus)"


def audited(case: Case, features: Features = "auto", rounds: int = 2, network: Network = None) -> "Audit":
    """Return the audit of the case, made once for all rows of the table that read it."""
    from tasks.attribute import AuditOptions, audit  # noqa: PLC0415 (imports torch)

    key = f"audit {features} {rounds} {network}"
    if key not in case.shared:
        options = AuditOptions(
            model="mlp" if network else "linear",
            params=network or "head",
            feature_map=features,
            rounds=rounds,
            seed=case.seed,
            device="cpu",
        )
        case.shared[key] = audit(case.features, case.labels, options)
    result: Audit = case.shared[key]
    return result


def by_consensus(
    case: Case, features: Features = "auto", rounds: int = 2, network: Network = None
) -> Verdict:
    """Score and flags as the audit gives them: influence and log-odds together."""
    result = audited(case, features, rounds, network)
    return Verdict(result.score, result.flagged, result.suggested)


def by_influence(
    case: Case, features: Features = "auto", rounds: int = 2, network: Network = None
) -> Verdict:
    """The relative influence alone; flagged where it is negative."""
    result = audited(case, features, rounds, network)
    return Verdict(result.influence, result.influence < 0, result.suggested)


def by_log_odds(case: Case) -> Verdict:
    """The log-odds of the given label alone, with as many flags as the consensus has."""
    from tasks.attribute.combine import lowest  # noqa: PLC0415 (imports torch)

    result = audited(case)
    flagged = lowest(result.scores.log_odds, int(result.flagged.sum()))
    return Verdict(result.scores.log_odds, flagged, result.suggested)


def by_gain(case: Case) -> Verdict:
    """The gain of the relabel, largest first."""
    result = audited(case)
    return Verdict(-result.relabel_gain, suggested=result.suggested)


def our_probabilities(case: Case, rounds: int, network: Network = None) -> Floats:
    """Return our out-of-fold probabilities, rows summing to 1 in double precision as cleanlab wants them."""
    probabilities = np.clip(
        audited(case, rounds=rounds, network=network).probabilities.astype(np.float64), 0.0, None
    )
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True), dtype=np.float64)


def cleanlab_on_ours(case: Case, rounds: int) -> Verdict:
    """Normalized margin, by cleanlab, of our out-of-fold probabilities."""
    return cleanlab_rank(case, our_probabilities(case, rounds), "normalized_margin")


def ours() -> tuple[Method, ...]:
    """Return our compositions, the default first, then cleanlab on our base model."""
    package = "labelsweep"
    return (
        Method(DEFAULT, by_consensus, package, "ours"),
        Method("log-odds", by_log_odds, package, "ours"),
        Method("influence", by_influence, package, "ours"),
        Method("relabel gain", by_gain, package, "ours"),
        Method("consensus, one round", partial(by_consensus, rounds=1), package, "ours"),
        Method("influence, one round", partial(by_influence, rounds=1), package, "ours"),
        Method("consensus, raw features", partial(by_consensus, features="raw"), package, "ours"),
        Method("influence, raw features", partial(by_influence, features="raw"), package, "ours"),
        Method(
            "normalized margin, our base model",
            partial(cleanlab_on_ours, rounds=1),
            "cleanlab",
            "our base model",
        ),
        Method(
            "normalized margin, our second round",
            partial(cleanlab_on_ours, rounds=2),
            "cleanlab",
            "our base model",
        ),
        Method(
            "find_label_issues, our base model",
            lambda case: cleanlab_filter(case, our_probabilities(case, rounds=1)),
            "cleanlab",
            "our base model",
        ),
    )


def networks() -> tuple[Method, ...]:
    """Return the audit with a perceptron, and cleanlab on the probabilities of the same networks."""
    package = "labelsweep"
    return (
        Method("MLP, consensus", partial(by_consensus, network="head"), package, NETWORKS),
        Method("MLP, influence", partial(by_influence, network="head"), package, NETWORKS),
        Method("MLP, consensus, every parameter", partial(by_consensus, network="all"), package, NETWORKS),
        Method("MLP, influence, every parameter", partial(by_influence, network="all"), package, NETWORKS),
        Method(
            "find_label_issues, our MLP",
            lambda case: cleanlab_filter(case, our_probabilities(case, rounds=1, network="head")),
            "cleanlab",
            NETWORKS,
        ),
        Method(
            "normalized margin, our MLP",
            lambda case: cleanlab_rank(
                case, our_probabilities(case, rounds=1, network="head"), "normalized_margin"
            ),
            "cleanlab",
            NETWORKS,
        ),
    )
