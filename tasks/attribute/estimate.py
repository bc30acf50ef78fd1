"""How labels go wrong in a data set, estimated from what a model believes of some of its samples."""

import numpy as np
import torch
from torch import Tensor

from tasks.attribute.noise import estimate_beliefs, fit_noise
from tasks.attribute.votes import AnyNoise, estimate_raters
from tasks.heads.ensemble import CHUNK_ROWS, Ensemble, compute_fold_probabilities

# Samples that the matrix is estimated from: a rate of 1 % is then known within 0.07 percentage points.
MATRIX_ROWS = 20_000
# Bound on samples x classes, 32 MiB of float64, with at least 2,000 samples.
MATRIX_VALUES, LEAST_ROWS = 2**22, 2_000


def estimate_noise(ensemble: Ensemble, seed: int) -> AnyNoise:
    """Estimate how labels go wrong, or how raters answer, from what an ensemble believes of some samples.

    Args:
        seed: Which samples are drawn, where there are more than `MATRIX_ROWS`.
    """
    samples, design = ensemble.samples, ensemble.design
    n, given = len(samples.labels), samples.labels
    most = min(MATRIX_ROWS, max(MATRIX_VALUES // samples.n_classes, LEAST_ROWS))
    chosen = torch.arange(n)
    if n > most:
        chosen = torch.from_numpy(np.sort(design.draw(most, seed))).long()
    labels = given[chosen.to(given.device)]
    parts = [_hear_opinions(ensemble, part) for part in torch.split(chosen, CHUNK_ROWS)]
    both = torch.cat([belief for belief, _ in parts])
    said = torch.cat([part for _, part in parts], dim=1)
    if samples.votes is not None:
        return estimate_raters(said.mean(0).log(), samples.votes[chosen.to(given.device)])
    return fit_noise(both, said, labels)


def _hear_opinions(ensemble: Ensemble, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return the heads' mean belief, (b, C), and out-of-fold probabilities: the heads' mean, then each opinion, (1 + m, b, C)."""
    rows = index.to(ensemble.samples.labels.device)
    found = [
        estimate_beliefs(
            ensemble.design, rows, compute_fold_probabilities(head.stacks, head.fit.theta, index)
        )
        for head in ensemble.heads
    ]
    said = torch.stack([own.exp() for own, _ in found]).mean(0)[None]
    if ensemble.beside is not None:
        said = torch.cat([said, ensemble.beside[:, rows].double().exp()])
    return torch.stack([both for _, both in found]).mean(0), said
