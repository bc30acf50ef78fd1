"""How labels go wrong in a data set, estimated from what a model believes of some of its samples."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tasks.attribute.noise import SHARPNESS, Noise, beliefs, noise_matrix
from tasks.attribute.votes import AnyNoise, estimate_raters
from tasks.heads.design import Design
from tasks.heads.softmax import SoftmaxStack

# Samples that the matrix is estimated from: a rate of 1 % is then known within 0.07 percentage points.
MATRIX_ROWS = 20_000
# Bound on samples x classes, 32 MiB of float64, with at least 2,000 samples.
MATRIX_VALUES, LEAST_ROWS = 2**22, 2_000
CHUNK_ROWS = 2_048


def estimate_noise(
    stacks: Sequence[SoftmaxStack], thetas: Sequence[Tensor], seed: int, votes: Tensor | None = None
) -> AnyNoise:
    """Estimate how labels go wrong from at most `MATRIX_ROWS` random samples.

    Args:
        stacks: The members of the ensemble, over the same samples.
        thetas: Their fitted parameters, (width, K, C) each.
        seed: Which samples are drawn, where there are more.
        votes: (n, raters) answers, -1 where there is none; None where each sample has one label.
    """
    labels, classes = stacks[0].labels, stacks[0].n_classes
    design = stacks[0].design
    return noise_from(
        lambda index: _mean_beliefs(stacks, thetas, index), labels, classes, design, seed, votes
    )


def noise_from(
    beliefs_of: Callable[[Tensor], tuple[Tensor, Tensor]],
    given: Tensor,
    classes: int,
    design: Design,
    seed: int,
    votes: Tensor | None = None,
) -> AnyNoise:
    """Estimate how labels go wrong from what a model believes of at most `MATRIX_ROWS` random samples.

    Args:
        beliefs_of: From samples to the belief and the logarithm of the out-of-fold probabilities, (m, C) each.
        given: (n,) given classes.
        classes: C.
        design: Of all samples.
        seed: Which samples are drawn, where there are more.
        votes: (n, raters) answers, -1 where there is none; None where each sample has one label.
    """
    n = len(given)
    most = min(MATRIX_ROWS, max(MATRIX_VALUES // classes, LEAST_ROWS))
    chosen = torch.arange(n)
    if n > most:
        chosen = torch.from_numpy(np.sort(design.draw(most, seed))).long()
    labels = given[chosen.to(given.device)]
    parts = [beliefs_of(part) for part in torch.split(chosen, CHUNK_ROWS)]
    both, unseen = (torch.cat(part) for part in zip(*parts, strict=True))
    if votes is not None:
        return estimate_raters(unseen, votes[chosen.to(votes.device)])
    return Noise(noise_matrix(both, labels), noise_matrix(SHARPNESS * unseen, labels))


def _mean_beliefs(
    stacks: Sequence[SoftmaxStack], thetas: Sequence[Tensor], index: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the ensemble's belief and the logarithm of its out-of-fold probabilities, (m, C) each."""
    both, unseen = [], []
    for stack, theta in zip(stacks, thetas, strict=True):
        logits = stack.logits(stack.rows.take(index), theta).double().permute(1, 2, 0)
        own, product = beliefs(stack.design, index.to(stack.labels.device), torch.log_softmax(logits, dim=1))
        both.append(product)
        unseen.append(own.exp())
    return torch.stack(both).mean(0), torch.stack(unseen).mean(0).log()
