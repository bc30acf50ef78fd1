"""How labels go wrong in a data set, estimated from what a model believes of some of its samples."""

import numpy as np
import torch
from torch import Tensor

from tasks.attribute.noise import SHARPNESS, Noise, beliefs, noise_matrix
from tasks.attribute.votes import AnyNoise, estimate_raters
from tasks.heads.ensemble import Ensemble, fold_probabilities

# Samples that the matrix is estimated from: a rate of 1 % is then known within 0.07 percentage points.
MATRIX_ROWS = 20_000
# Bound on samples x classes, 32 MiB of float64, with at least 2,000 samples.
MATRIX_VALUES, LEAST_ROWS = 2**22, 2_000
CHUNK_ROWS = 2_048


def estimate_noise(ensemble: Ensemble, seed: int) -> AnyNoise:
    """Estimate how labels go wrong, or how raters answer, from what an ensemble believes of some samples.

    Args:
        ensemble: Fitted.
        seed: Which samples are drawn, where there are more than `MATRIX_ROWS`.
    """
    samples, design = ensemble.samples, ensemble.design
    n, given = len(samples.labels), samples.labels
    most = min(MATRIX_ROWS, max(MATRIX_VALUES // samples.n_classes, LEAST_ROWS))
    chosen = torch.arange(n)
    if n > most:
        chosen = torch.from_numpy(np.sort(design.draw(most, seed))).long()
    labels = given[chosen.to(given.device)]
    parts = [_mean_beliefs(ensemble, part) for part in torch.split(chosen, CHUNK_ROWS)]
    both, unseen = (torch.cat(part) for part in zip(*parts, strict=True))
    if samples.votes is not None:
        return estimate_raters(unseen, samples.votes[chosen.to(given.device)])
    return Noise(noise_matrix(both, labels), noise_matrix(SHARPNESS * unseen, labels))


def _mean_beliefs(ensemble: Ensemble, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ensemble's belief and the logarithm of its out-of-fold probabilities, (m, C) each."""
    rows = index.to(ensemble.samples.labels.device)
    found = [
        beliefs(ensemble.design, rows, fold_probabilities(head.stacks, head.fit.theta, index))
        for head in ensemble.heads
    ]
    if ensemble.opinions is not None:  # nobody was fitted on the sample: what is said of it counts twice
        found += [(opinion[rows].double(), 2 * opinion[rows].double()) for opinion in ensemble.opinions]
    unseen = torch.stack([own.exp() for own, _ in found]).mean(0).log()
    return torch.stack([both for _, both in found]).mean(0), unseen
