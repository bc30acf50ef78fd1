r"""Which labels are probably wrong, given how labels go wrong in this data set.

Labels go wrong in patterns: one class is taken for its neighbour, another is left alone. With q_i(c) what the
model believes of the true class, and the noise matrix T[c, y] = P(given y | true c),

    r_i(c)     = q_i(c) T[c, y_i] / sum_b q_i(b) T[b, y_i]        posterior of the true class
    log-odds_i = log r_i(y_i) - max over c other than y_i of log r_i(c)
    T[c, y]   ~= sum over i with y_i = y of r_i(c)                rows normalised, and again until it stands

which is expectation maximisation (Dawid & Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using
the EM Algorithm", 1979) with the model as the prior. No truth is asked.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.heads.design import Design

# Pseudo-samples of each class that draw its row of the matrix towards errors that are alike for all classes.
# On the develop half of the quality benchmark 10 and 30 differed by less than 0.002 in average precision.
SHRINKAGE = 10.0

# A model fitted to noisy labels is softer than the truth, and a soft belief explains every wrong label as an
# ambiguous right one. Of the powers 1, 1.5, 2, 3 and 4 of the out-of-fold probabilities, the third gave the
# best count of errors (F1) on the develop half of the quality benchmark.
SHARPNESS = 3.0

# Sorted probabilities are summed in pieces of this many, 8 MiB of float64.
SORTED_ROWS = 2**20

MAX_ITERATIONS = 60
SETTLED = 1e-4


@dataclass(frozen=True)
class Noise:
    """Estimated noise matrices as logarithms, (C, C): row = true class, column = given class.

    Attributes:
        rank: For the belief that orders the samples.
        count: For the sharpened out-of-fold probabilities that say how many are wrong.
    """

    rank: Tensor
    count: Tensor
    weight: ClassVar[float] = 1.0  # of what the models say beside the label

    @property
    def matrix(self) -> Tensor:
        """(C, C) probability of each given label under each true one."""
        return self.count.exp()

    def posterior(self, belief: Tensor, labels: Tensor) -> Tensor:
        """Return the logarithm of the posterior of the true class under the belief that orders the samples, (b, C)."""
        return posterior(belief, labels, self.rank)

    def wrong(self, unseen: Tensor, labels: Tensor, given: Tensor) -> Tensor:
        """Return the probability that each given label is wrong, (b,); `unseen` are out-of-fold probabilities (b, C)."""
        log_r = posterior(SHARPNESS * unseen.log(), labels, self.count)
        return 1 - log_r.gather(1, given[:, None]).squeeze(1).exp()


def beliefs(design: Design, rows: slice | Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the folds believe of some samples: out of fold, and the sum of that with the mean of the folds fitted on them.

    Out of fold the label cannot speak for itself, but the fit has a fifth less to learn from; in the fit it is
    the other way round. The product of the two finds more than either. Where no fold was fitted on a sample,
    the out-of-fold belief counts twice.

    Args:
        design: Folds.
        rows: Which samples, b of them.
        log_p: (K, C, b) log-probabilities under each fold.

    Returns:
        Log-probabilities out of fold, (b, C), and the sum, (b, C), unnormalised.
    """
    own = design.out_of_fold(rows).expand(1, log_p.shape[1], -1)
    unseen = log_p.gather(0, own).squeeze(0)
    fitted = design.fitted(rows).T.contiguous().to(log_p.dtype)[:, None]
    count = fitted.sum(0)
    seen = (log_p * fitted).sum(0) / count.clamp_min(1)
    return unseen.T, (unseen + torch.where(count > 0, seen, unseen)).T


def noise_matrix(belief: Tensor, labels: Tensor) -> Tensor:
    """Return the logarithm of the noise matrix, (C, C), by expectation maximisation.

    Args:
        belief: (n, C) logarithm of what the model believes, up to a constant in each row.
        labels: (n,) given classes.

    >>> belief = 9 * torch.eye(2, dtype=torch.float64).repeat_interleave(500, 0)
    >>> labels = torch.arange(1000) // 500
    >>> labels[:100] = 1  # a fifth of class 0
    >>> noise_matrix(belief, labels).exp().round(decimals=2).tolist()
    [[0.8, 0.2], [0.0, 1.0]]
    """
    # Where there is a GPU, it adds up by index in any order: the sums here are taken on the CPU, the same bits each time.
    where, belief, labels = belief.device, belief.cpu(), labels.cpu()
    n, classes = belief.shape
    eye = torch.eye(classes, dtype=belief.dtype, device=belief.device)
    matrix = uniform_errors(0.05, eye)  # any share of errors will do to start from
    for _ in range(MAX_ITERATIONS):
        counts = torch.zeros_like(matrix)  # (given, true)
        counts.index_add_(0, labels, posterior(belief, labels, matrix.log()).exp())
        # At least half an error: a matrix without any would never doubt a label.
        errors = (1 - float(counts.diagonal().sum()) / n, 0.5 / n)
        before, matrix = matrix, counts.T + SHRINKAGE * uniform_errors(max(errors), eye)
        matrix = matrix / matrix.sum(1, keepdim=True)
        if float((matrix - before).abs().max()) < SETTLED:
            break
    return matrix.log().to(where)


def uniform_errors(share: float, eye: Tensor) -> Tensor:
    """Return the noise matrix of errors that are alike for all classes."""
    return (1 - share) * eye + share / max(len(eye) - 1, 1) * (1 - eye)


def posterior(belief: Tensor, labels: Tensor, log_matrix: Tensor) -> Tensor:
    """Return the logarithm of the posterior of the true class, (b, C).

    Args:
        belief: (b, C) logarithm of what the model believes, up to a constant in each row.
        labels: (b,) given classes.
        log_matrix: (C, C) logarithm of the noise matrix.
    """
    return torch.log_softmax(belief + log_matrix.T[labels], dim=1)


def worthwhile(wrong: Array) -> int:
    """Return how many samples to flag for the best expected F1.

    Flagging the k most doubtful is expected to reach 2 sum of their probabilities / (k + sum of all); flagging none is right
    with the probability that there is no error at all (Lipton, Elkan & Narayanaswamy, "Optimal Thresholding of
    Classifiers to Maximize F1 Measure", 2014).

    Args:
        wrong: (n,) probability that each given label is wrong.

    >>> worthwhile(np.array([0.9, 0.8, 0.1, 0.0])), worthwhile(np.array([0.01, 0.0]))
    (2, 0)
    """
    most_doubtful = np.sort(wrong)[::-1]
    total, reached, none = float(wrong.sum(dtype=np.float64)), 0.0, 0.0
    best, best_expected = 0, 0.0
    for start in range(0, len(wrong), SORTED_ROWS):
        some = most_doubtful[start : start + SORTED_ROWS].astype(np.float64)
        sums = reached + np.cumsum(some)
        expected = 2 * sums / (np.arange(start + 1, start + 1 + len(some)) + total)
        at = int(expected.argmax())
        if expected[at] > best_expected:
            best, best_expected = start + at + 1, float(expected[at])
        reached = float(sums[-1])
        none += float(np.log1p(-np.minimum(some, 1 - 1e-12)).sum())
    return best if best_expected > np.exp(none) else 0
