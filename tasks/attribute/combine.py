"""From the members' block scores to one row for each sample.

Members speak in different units (a kernel feature is not a pixel), so each member's relative influence is
divided by its mean magnitude over the data set before the mean is taken: -3 reads "harmful, three times the
average magnitude". The sign, and with it the threshold at 0, is untouched.

The consensus adds to it the log-odds of the given label (see `tasks.attribute.noise`), in nats: influence asks what a label does
to the others, the log-odds what the others say of the label, the heads and models of other kinds. Where each sample has the votes
of several raters these are in the log-odds, and what the models say, influence included, has the weight that the votes bear out
(see `tasks.attribute.votes`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.attribute.influence import BlockScores
from tasks.attribute.noise import WAYS
from tasks.attribute.scores import score_named
from tasks.attribute.votes import AnyNoise

# Beyond this many samples columns are kept in single precision: half of 80 MB a column for ten million of them, and seven
# digits are more than a score has.
DOUBLE_ROWS = 1_000_000
# A class of fewer samples is small. Of a thousand classes of 4 to 20 samples with 40 errors, 107 samples were flagged without the
# bound, and nine classes as a whole. The two-class sets with real errors, where a bound on all classes cost F1, have 60 or more.
SMALL_CLASS = 20


@dataclass(frozen=True)
class SampleScores:
    """One row for each sample; all arrays are (n,) unless said otherwise.

    Attributes:
        suggested: Most probable class other than the given one, given the noise matrix, where the sample is
            flagged or another class is more probable, out of fold or, with votes, by the log-odds; else the given one.
        influence: Relative influence of the given label; positive = helpful, lower = more likely mislabeled.
        influence_raw: Influence on the mean evaluation loss, in nats per unit of weight.
        relabel_gain: influence_raw under the suggested label minus under the given one.
        given_probability: Out of fold.
        margin: given_probability minus the largest other probability.
        log_odds: Of the given label against the best other one, given the noise matrix, in nats, by the heads.
        consensus: Influence, with votes in the weight of the models, and log-odds (see `tasks.attribute.noise`).
        wrong: (ways, n) float32 probability that the given label is wrong, in the order of `tasks.attribute.noise.WAYS`.
        flagged: The lowest by consensus, as many as are expected to be wrong.
        training_loss: Mean loss of the folds fitted on the sample, in nats.
        knows: How certainly the models know more than the shares of the classes, 0 to 1.
        probabilities: (n, C) out of fold, None where they were not kept.
    """

    given: Array
    predicted: Array
    suggested: Array
    influence: Array
    influence_raw: Array
    relabel_gain: Array
    given_probability: Array
    suggested_probability: Array
    margin: Array
    log_odds: Array
    consensus: Array
    wrong: Array
    flagged: Array
    training_loss: Array
    n_folds: Array
    knows: float
    probabilities: Array | None = None


def combine(
    members: Sequence[Iterable[BlockScores]],
    labels: Tensor,
    noise: AnyNoise,
    *,
    votes: Tensor | None = None,
    opinions: Tensor | None = None,
    keep_probabilities: bool = True,
) -> SampleScores:
    """Combine the members' scores, block by block.

    Args:
        members: For each member its blocks, in the same order and of the same size.
        labels: (n,) given classes.
        votes: (n, raters) answers that the labels are the majority of, -1 where there is none.
        opinions: (m, n, C) logarithms of out-of-fold probabilities of models without influence.
        keep_probabilities: Whether to keep the (n, C) out-of-fold probabilities.
    """
    n, n_classes = len(labels), len(noise.matrix)
    relative = np.empty((len(members), n), real := np.float64 if n <= DOUBLE_ROWS else np.float32)
    columns: dict[str, Array] = {name: np.empty(n, kind or real) for name, kind in _COLUMNS.items()}
    wrong = np.empty((1 if votes is not None else len(WAYS), n), np.float32)
    probabilities = np.empty((n, n_classes), np.float32) if keep_probabilities else None
    for blocks in zip(*members, strict=True):
        rows = blocks[0].rows
        for number, block in enumerate(blocks):
            relative[number, rows] = block.influence.cpu().numpy()
        said = labels[rows] if votes is None else votes[rows]
        heard = _hear_opinions(blocks, None if opinions is None else opinions[:, rows])
        log_r = noise.posterior(torch.stack([block.belief for block in blocks]).mean(0), said)
        p, (evidence, doubts) = heard.mean(0), noise.judge_labels(heard, said, labels[rows])
        wrong[:, rows] = doubts.cpu().numpy()
        found = _compute_columns(blocks, labels[rows], p, log_r) | {"evidence": evidence}
        for name, values in found.items():
            columns[name][rows] = values.reshape(-1).cpu().numpy()
        if probabilities is not None:
            probabilities[rows] = p.cpu().numpy()
    influence = _average_units(relative, given := labels.cpu().numpy())
    consensus = noise.weight * influence + noise.heads_weight * columns["odds"] + columns["evidence"]
    flagged = find_lowest(consensus, noise.count_flags(wrong))
    doubted = flagged | (columns["margin" if votes is None else "odds"] < 0)
    return SampleScores(
        given=given,
        predicted=columns["predicted"],
        suggested=np.where(doubted, columns["rival"], given.astype(np.int32)),
        influence=influence,
        influence_raw=columns["raw"],
        relabel_gain=np.where(doubted, columns["raw_rival"] - columns["raw"], real(0)),
        given_probability=columns["given_p"],
        suggested_probability=np.where(doubted, columns["rival_p"], columns["given_p"]),
        margin=columns["margin"],
        log_odds=columns["odds"],
        consensus=consensus,
        wrong=wrong,
        flagged=flagged,
        training_loss=columns["loss"],
        n_folds=columns["n_folds"],
        knows=noise.knows,
        probabilities=probabilities,
    )


def _hear_opinions(blocks: Sequence[BlockScores], opinions: Tensor | None) -> Tensor:
    """Return out-of-fold probabilities of a block: the mean of the heads, then each opinion, (1 + m, b, C)."""
    heads = torch.stack([block.probabilities for block in blocks]).mean(0)[None]
    return heads if opinions is None else torch.cat([heads, opinions.double().exp()])


# Type of each column that is found block by block, None for that of the scores.
_COLUMNS: dict[str, type[np.generic] | None] = {
    **dict.fromkeys(("raw", "raw_rival", "given_p", "rival_p", "margin", "odds", "evidence", "loss")),
    "predicted": np.int32,
    "rival": np.int32,
    "n_folds": np.int16,
}


def _compute_columns(
    blocks: Sequence[BlockScores], labels: Tensor, p: Tensor, log_r: Tensor
) -> dict[str, Tensor]:
    """Return the columns of a block, b values each.

    Args:
        labels: (b,) given classes.
        p: (b, C) out-of-fold probabilities.
        log_r: (b, C) logarithm of the posterior of the true class.
    """
    given = labels[:, None]
    raw = torch.stack([block.influence_raw for block in blocks]).mean(0)
    log_r_rival, best = log_r.scatter(1, given, -torch.inf).max(dim=1, keepdim=True)
    p_given = p.gather(1, given)
    return {
        "raw": raw.gather(1, given),
        "raw_rival": raw.gather(1, best),
        "given_p": p_given,
        "rival_p": p.gather(1, best),
        "margin": p_given - p.scatter(1, given, -1.0).amax(dim=1, keepdim=True),
        "odds": log_r.gather(1, given) - log_r_rival,
        "loss": torch.stack([block.training_loss for block in blocks]).mean(0),
        "predicted": p.argmax(1),
        "rival": best,
        "n_folds": blocks[0].n_folds,
    }


def _average_units(relative: Array, labels: Array) -> Array:
    """Return the mean over the members, each in units of a mean magnitude: (members, n) to (n,).

    The magnitude is that of the given class that has the largest. A rare class pulls a hundred times harder than the large
    one beside it; in units of the mean over all samples its influence would drown the log-odds.
    """
    counts = np.bincount(labels)
    total = np.zeros(relative.shape[1], relative.dtype)
    for member in relative:
        sums = np.bincount(labels, np.abs(member))
        magnitude = (sums / np.maximum(counts, 1)).max()
        total += member / relative.dtype.type(magnitude if magnitude > 0 else 1.0)
    total /= len(relative)
    return total


def find_lowest(score: Array, count: int) -> Array:
    """Return which samples are the `count` lowest by score, (n,) bool; of equal ones the earlier.

    >>> find_lowest(np.array([0.3, -1.0, 0.3, 0.5]), 2).tolist()
    [True, True, False, False]
    """
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.argsort(score, kind="stable")[:count]] = True
    return chosen


def keep_small_classes(flagged: Array, score: Array, labels: Array) -> Array:
    """Return the flags (n,) of which no small class has more than half of its samples, the worst of them.

    A small class that is beside a large one looks wrong as a whole: were all of it flagged, nobody could say what the class is.

    >>> flagged, labels = np.array([True, True, True, True, False]), np.array([0, 0, 0, 1, 1])
    >>> keep_small_classes(flagged, np.array([0.1, -3.0, 0.2, -1.0, 5.0]), labels).tolist()
    [False, True, False, True, False]
    """
    sizes = np.bincount(labels)
    most = np.where(sizes < SMALL_CLASS, np.maximum(1, sizes // 2), sizes)
    index = np.flatnonzero(flagged)
    index = index[np.lexsort((score[index], labels[index]))]
    counts = np.bincount(labels[index], minlength=len(most))
    within = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.zeros_like(flagged)
    kept[index[within < most[labels[index]]]] = True
    return kept


def judge_samples(scores: SampleScores, kind: str, verified: Array | None = None) -> tuple[Array, Array]:
    """Return what orders the samples, and what is flagged: the next round is fitted without it.

    Args:
        kind: Name of a file in `tasks/attribute/scores`.
        verified: (n,) bool, samples that are never flagged; None where there are none.

    Returns:
        (n,) score, lower = more likely mislabeled, and (n,) bool flagged.
    """
    score, flagged = score_named(kind)(scores)
    # Models that know nothing flag nothing: half of all labels differ from what they guess.
    flagged = flagged & find_lowest(score, round(scores.knows * int(flagged.sum())))
    flagged = keep_small_classes(flagged, score, scores.given)
    return score, flagged if verified is None else flagged & ~verified
