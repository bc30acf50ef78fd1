"""Which labels are flipped on purpose, and to what: never in the user's data, only in the shadow audit."""

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.heads.groups import list_members

# Recall is a share of the controls: 2,000 of them give it a standard error of at most 0.011, and more would only
# make the shadow audit noisier than the data are.
MOST_CONTROLS = 2_000

# Half of the controls go to a class that the sample is easily taken for, half to any other: people make both kinds of error,
# and which kind this data set has is what nobody knows.
CONFUSABLE_SHARE = 0.5


def choose_controls(candidates: Array, n: int, share: float, seed: int) -> Array:
    """Draw the samples whose labels are flipped, (m,) in random order.

    Args:
        candidates: Samples whose labels are believed, in an order that does not depend on where they are: not flagged, and
            not verified (verified labels are evaluated on).
        share: Share of them that is wanted.

    >>> choose_controls(np.array([0, 2, 3]), n=4, share=0.5, seed=0).tolist()
    [3, 0]
    """
    wanted = min(round(share * n), MOST_CONTROLS, len(candidates))
    drawn: Array = np.random.default_rng(seed).permutation(candidates)[:wanted].astype(np.int64)
    return drawn


def choose_units(
    candidates: Array, labels: Array, groups: Array | None, share: float, seed: int
) -> tuple[Array, Array | None]:
    """Draw the samples whose labels are flipped, together with the others of their group that have the same label.

    Args:
        candidates: Samples whose labels are believed, in an order that does not depend on where they are.
        labels: (n,) given classes.
        groups: (n,) group of each sample; None where each is alone.
        share: Share of all samples that is wanted.

    Returns:
        The samples (m,), and (m,) numbers of which equal ones are flipped together to the same class; None where each sample is
        drawn for itself, as it is too where every group is larger than the share.

    >>> labels, groups = np.zeros(6, int), np.array([0, 0, 1, 1, 2, 2])
    >>> chosen, unit = choose_units(np.arange(5), labels, groups, share=0.4, seed=0)
    >>> sorted(chosen.tolist()) in ([0, 1], [2, 3]), unit.tolist()
    (True, [0, 0])
    """
    alone = choose_controls(candidates, len(labels), share, seed)
    if groups is None or not len(candidates):
        return alone, None
    pairs = list_members(groups.astype(np.int64) * (int(labels.max()) + 1) + labels)
    believed = np.bincount(pairs.code[candidates], minlength=len(pairs.size)) == pairs.size
    wanted = min(round(share * len(labels)), MOST_CONTROLS)
    whole = candidates[believed[pairs.code[candidates]] & (pairs.size[pairs.code[candidates]] <= wanted)]
    if not len(whole):
        return alone, None
    units = list_members(pairs.code[whole])
    rows = whole[np.argsort(units.code, kind="stable")]
    stop = units.size.cumsum()
    drawn = np.random.default_rng(seed).permutation(len(units.size))
    drawn = drawn[units.size[drawn].cumsum() <= wanted]
    chosen = [rows[stop[unit] - units.size[unit] : stop[unit]] for unit in drawn]
    if not chosen:
        return alone, None
    return np.concatenate(chosen).astype(np.int64), np.repeat(np.arange(len(drawn)), units.size[drawn])


def flip(given: Array, probabilities: Array, seed: int) -> Array:
    """Return another class for each control, (m,).

    Args:
        given: (m,) given classes.
        probabilities: (m, C) out-of-fold probabilities.

    >>> flip(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), seed=0).tolist()
    [1, 0]
    """
    others = np.ones_like(probabilities, dtype=np.float64)
    others[np.arange(len(given)), given] = 0.0
    confusable = probabilities * others
    # A model that is certain of the given label leaves no opinion on the others: then any of them.
    total = confusable.sum(axis=1, keepdims=True)
    anything = others / others.sum(axis=1, keepdims=True)
    confusable = np.where(total > 0, confusable / np.where(total > 0, total, 1.0), anything)
    weights = CONFUSABLE_SHARE * confusable + (1 - CONFUSABLE_SHARE) * anything
    ladder = weights.cumsum(axis=1)
    drawn = np.random.default_rng(seed).random((len(given), 1)) * ladder[:, -1:]
    flipped: Array = (drawn >= ladder).sum(axis=1)
    return flipped


def draw_dissent(votes: Tensor, given: Tensor, flipped: Tensor) -> Tensor:
    """Return another class for each control, (m,): what a rater says who contradicts the given label, else as flipped.

    People who are wrong are wrong about what others see as well, so an error that a vote speaks for is the likelier one.

    Args:
        votes: (m, raters) answers, -1 where there is none.
        given: (m,) given classes.
        flipped: (m,) another class for each.

    >>> draw_dissent(torch.tensor([[0, 0, 2], [1, 1, 1]]), torch.tensor([0, 1]), torch.tensor([1, 0])).tolist()
    [2, 0]
    """
    against = (votes >= 0) & (votes != given[:, None])
    first = against.int().argmax(dim=1, keepdim=True)
    return torch.where(against.any(dim=1), votes.gather(1, first).squeeze(1).to(flipped), flipped)


def swap_votes(votes: Tensor, given: Tensor, planted: Tensor) -> Tensor:
    """Return the votes (m, raters) as they would be were the planted label (m,) the majority's: given and planted exchanged.

    >>> swap_votes(torch.tensor([[0, 0, 2, -1]]), torch.tensor([0]), torch.tensor([2])).tolist()
    [[2, 2, 0, -1]]
    """
    given, planted = given[:, None].to(votes), planted[:, None].to(votes)
    return torch.where(votes == given, planted, torch.where(votes == planted, given, votes))


def flip_labels(
    labels: Tensor,
    votes: Tensor | None,
    probabilities: Array,
    chosen: Array,
    seed: int,
    unit: Array | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return labels, (n,), and votes, (n, raters), with the chosen ones flipped.

    Args:
        labels: (n,) given classes.
        votes: (n, raters) answers that they are the majority of, -1 where there is none; None without raters.
        probabilities: (m, C) out-of-fold probabilities of the chosen.
        chosen: (m,) samples.
        unit: (m,) numbers of which equal ones get the same class, from 0 and in order; None where each is for itself.
    """
    index = torch.from_numpy(chosen).to(labels.device)
    given, shadow = labels[index], labels.clone()
    flipped = torch.from_numpy(_flip_together(given.cpu().numpy(), probabilities, seed, unit)).to(given)
    if votes is not None:
        flipped, votes = draw_dissent(votes[index], given, flipped), votes.clone()
        if unit is not None:
            flipped = flipped[torch.from_numpy(np.searchsorted(unit, unit)).to(flipped.device)]
        votes[index] = swap_votes(votes[index], given, flipped)
    shadow[index] = flipped
    return shadow, votes


def _flip_together(given: Array, probabilities: Array, seed: int, unit: Array | None) -> Array:
    """Return another class for each control, (m,), one class for each unit: by the mean of its probabilities."""
    if unit is None:
        return flip(given, probabilities, seed)
    first, size = np.unique(unit, return_index=True, return_counts=True)[1:]
    mean = np.add.reduceat(probabilities, first, axis=0) / size[:, None]
    together: Array = flip(given[first], mean, seed)[unit]
    return together
