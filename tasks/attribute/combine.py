"""From the members' block scores to one row for each sample.

Members speak in different units (a kernel feature is not a pixel), so each member's relative influence is
divided by its mean magnitude over the data set before the mean is taken: -3 reads "harmful, three times the
average magnitude". The sign, and with it the threshold at 0, is untouched.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from tasks.arrays import Array
from tasks.attribute.influence import BlockScores


@dataclass(frozen=True)
class SampleScores:
    """One row for each sample; all arrays are (n,) unless said otherwise.

    Attributes:
        given: Class of the given label.
        predicted: Most probable class out of fold.
        suggested: Most probable class out of fold other than the given one where that is more probable; else
            the given one.
        influence: Relative influence of the given label; positive = helpful, lower = more likely mislabeled.
        influence_raw: Influence on the mean evaluation loss, in nats per unit of weight.
        relabel_gain: influence_raw under the suggested label minus under the given one.
        given_probability: Out of fold.
        suggested_probability: Out of fold.
        margin: given_probability minus the largest other probability.
        training_loss: Mean loss of the folds fitted on the sample, in nats.
        n_folds: Folds that scored the sample.
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
    training_loss: Array
    n_folds: Array
    probabilities: Array | None = None


def combine(
    members: Sequence[Iterable[BlockScores]],
    labels: Tensor,
    n_classes: int,
    *,
    keep_probabilities: bool = True,
) -> SampleScores:
    """Combine the members' scores, block by block.

    Args:
        members: For each member its blocks, in the same order and of the same size.
        labels: (n,) given classes.
        n_classes: C.
        keep_probabilities: Whether to keep the (n, C) out-of-fold probabilities.
    """
    n = len(labels)
    relative = np.empty((len(members), n))
    columns = {
        name: np.empty(n) for name in ("raw", "raw_suggested", "given_p", "suggested_p", "margin", "loss")
    }
    predicted, suggested, n_folds = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int16)
    probabilities = np.empty((n, n_classes), np.float32) if keep_probabilities else None
    for blocks in zip(*members, strict=True):
        rows = blocks[0].rows
        given = labels[rows, None]
        p = torch.stack([block.probabilities for block in blocks]).mean(0)
        raw = torch.stack([block.influence_raw for block in blocks]).mean(0)
        p_given = p.gather(1, given)
        others, other = p.scatter(1, given, -1.0).max(dim=1, keepdim=True)
        best = torch.where(others > p_given, other, given)
        for number, block in enumerate(blocks):
            relative[number, rows] = block.influence.gather(1, given).squeeze(1).cpu().numpy()
        for name, values in {
            "raw": raw.gather(1, given),
            "raw_suggested": raw.gather(1, best),
            "given_p": p_given,
            "suggested_p": p.gather(1, best),
            "margin": p_given - others,
            "loss": torch.stack([block.training_loss for block in blocks]).mean(0),
        }.items():
            columns[name][rows] = values.reshape(-1).cpu().numpy()
        predicted[rows] = p.argmax(1).cpu().numpy()
        suggested[rows] = best.squeeze(1).cpu().numpy()
        n_folds[rows] = blocks[0].n_folds.cpu().numpy()
        if probabilities is not None:
            probabilities[rows] = p.cpu().numpy()
    magnitude = np.abs(relative).mean(axis=1, keepdims=True)
    influence = (relative / np.where(magnitude > 0, magnitude, 1.0)).mean(axis=0)
    return SampleScores(
        given=labels.cpu().numpy(),
        predicted=predicted,
        suggested=suggested,
        influence=influence,
        influence_raw=columns["raw"],
        relabel_gain=columns["raw_suggested"] - columns["raw"],
        given_probability=columns["given_p"],
        suggested_probability=columns["suggested_p"],
        margin=columns["margin"],
        training_loss=columns["loss"],
        n_folds=n_folds,
        probabilities=probabilities,
    )


def consensus(influence: Array, margin: Array) -> Array:
    """Return the mean of two ranks, each in (0, 1]: lower = more likely mislabeled.

    Influence asks what a label does to the others, the out-of-fold margin what the others say of the label.
    Neither is the better one in every kind of noise; their mean is never far from the better of the two.

    Args:
        influence: (n,) relative influence.
        margin: (n,) out-of-fold probability of the given label minus the largest other one.

    >>> consensus(np.array([-1.0, 0.5, 0.2]), np.array([-0.9, 0.8, 0.9])).round(2).tolist()
    [0.33, 0.83, 0.83]
    """
    mean: Array = (rankdata(influence) + rankdata(margin)) / (2 * len(influence))
    return mean


def agreed(influence: Array, margin: Array) -> Array:
    """Return where both signals speak against the label: it is harmful, and out of fold another label is more probable."""
    return (influence < 0) & (margin < 0)


def judge(scores: SampleScores, kind: str) -> tuple[Array, Array]:
    """Return what orders the queue, and what is flagged.

    Args:
        scores: The columns of all samples.
        kind: `influence`: ordered by relative influence, flagged below 0. `consensus`: ordered by the mean
            rank of influence and margin, flagged where both speak against the label.

    Returns:
        (n,) score, lower = more likely mislabeled, and (n,) bool flagged.
    """
    if kind == "influence":
        return scores.influence, scores.influence < 0
    return consensus(scores.influence, scores.margin), agreed(scores.influence, scores.margin)
