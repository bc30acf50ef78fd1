"""Which labels are flipped on purpose, and to what: never in the user's data, only in the shadow audit."""

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array

# Recall is a share of the controls: 2,000 of them give it a standard error of at most 0.011, and more would only
# make the shadow audit noisier than the data are.
MOST_CONTROLS = 2_000

# Half of the controls go to a class that the sample is easily taken for, half to any other: people make both kinds of error,
# and which kind this data set has is what nobody knows.
CONFUSABLE_SHARE = 0.5


def choose_controls(candidates: Array, n: int, share: float, seed: int) -> Array:
    """Draw the samples whose labels are flipped, (m,) in random order.

    Args:
        candidates: Samples whose labels are believed, in an order that does not depend on where they stand: not flagged, and
            not verified (verified labels are evaluated on).
        n: Number of all samples.
        share: Share of them that is wanted.
        seed: Seed of the draw.

    >>> choose_controls(np.array([0, 2, 3]), n=4, share=0.5, seed=0).tolist()
    [3, 0]
    """
    wanted = min(round(share * n), MOST_CONTROLS, len(candidates))
    drawn: Array = np.random.default_rng(seed).permutation(candidates)[:wanted].astype(np.int64)
    return drawn


def flip(given: Array, probabilities: Array, seed: int) -> Array:
    """Return another class for each control, (m,).

    Args:
        given: (m,) given classes.
        probabilities: (m, C) out-of-fold probabilities.
        seed: Seed of the draw.

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


def dissent(votes: Tensor, given: Tensor, flipped: Tensor) -> Tensor:
    """Return another class for each control, (m,): what a rater says who contradicts the given label, else as flipped.

    People who are wrong are wrong about what others see as well, so an error that a vote speaks for is the likelier one.

    Args:
        votes: (m, raters) answers, -1 where there is none.
        given: (m,) given classes.
        flipped: (m,) another class for each.

    >>> dissent(torch.tensor([[0, 0, 2], [1, 1, 1]]), torch.tensor([0, 1]), torch.tensor([1, 0])).tolist()
    [2, 0]
    """
    against = (votes >= 0) & (votes != given[:, None])
    first = against.int().argmax(dim=1, keepdim=True)
    return torch.where(against.any(dim=1), votes.gather(1, first).squeeze(1).to(flipped), flipped)


def swapped(votes: Tensor, given: Tensor, planted: Tensor) -> Tensor:
    """Return the votes (m, raters) as they would be were the planted label (m,) the majority's: given and planted exchanged.

    >>> swapped(torch.tensor([[0, 0, 2, -1]]), torch.tensor([0]), torch.tensor([2])).tolist()
    [[2, 2, 0, -1]]
    """
    given, planted = given[:, None].to(votes), planted[:, None].to(votes)
    return torch.where(votes == given, planted, torch.where(votes == planted, given, votes))


def shadow_of(
    labels: Tensor, votes: Tensor | None, probabilities: Array, chosen: Array, seed: int
) -> tuple[Tensor, Tensor | None]:
    """Return labels, (n,), and votes, (n, raters), with the chosen ones flipped.

    Args:
        labels: (n,) given classes.
        votes: (n, raters) answers that they are the majority of, -1 where there is none; None without raters.
        probabilities: (m, C) out-of-fold probabilities of the chosen.
        chosen: (m,) samples.
        seed: Seed of the draw.
    """
    index = torch.from_numpy(chosen).to(labels.device)
    given, shadow = labels[index], labels.clone()
    flipped = torch.from_numpy(flip(given.cpu().numpy(), probabilities, seed)).to(given)
    if votes is not None:
        flipped, votes = dissent(votes[index], given, flipped), votes.clone()
        votes[index] = swapped(votes[index], given, flipped)
    shadow[index] = flipped
    return shadow, votes
