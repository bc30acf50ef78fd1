r"""Which labels are probably wrong, given how labels go wrong in this data set.

Labels go wrong in patterns: one class is taken for its neighbour, another is left alone. With q_i(c) what the
model believes of the true class, and the noise matrix N[c, y] = P(given y | true c),

    r_i(c)     = q_i(c) N[c, y_i] / sum_b q_i(b) N[b, y_i]        posterior of the true class
    log-odds_i = log r_i(y_i) - max over c other than y_i of log r_i(c)
    N[c, y]   ~= sum over i with y_i = y of r_i(c)                rows normalised, and again until it stands

which is expectation maximisation (Dawid & Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using
the EM Algorithm", 1979) with the model as the prior. No truth is asked.

Or they go wrong on doubtful samples, whatever the class, as heuristics and single raters do. Which it is, the data say. Let h be
the heads' mean out-of-fold probabilities, P those of h and of each model of another kind, and cal(p) = p^t, normalised, where t
has the lowest log-loss on the given labels. Then

    w    = cal(h / 2 + mean(P) / 2)                        protects the heads, which are best on planted errors
    m    = cal(mean(P))                                    is best on real ones
    gain = max over T of mean_i log sum_c q_i(c) N[c, y_i] - mean_i log w_i(y_i),   q ~ w^T, T in 2, 3, 4

Above 0, a sharper belief with a noise matrix explains the labels better than the belief alone. With z, the gain in standard
errors, errors depend on the class to a share a = 1 / (1 + exp(-z - 1)), and

    score   = influence + a (log-odds of the heads + log-odds of w at T = 2) + (1 - a) 2 log(m(y) / (1 - m(y)))
    flagged = a (as many as the expected F1 asks for at T = 3) + (1 - a) n d (1 - d),

d the mean of 1 - m(y), the second term at most twice the samples whose argmax of m is not y.

All of that holds where the models know something. With z the mean of log m_i(y_i) - log(share of class y_i) in standard errors,
they know more than the shares of the classes with certainty 1 / (1 + exp(-4 (z - 1.5))), which scales what is flagged.

What was tried and did not help is in `docs/results/real.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit
from torch import Tensor

from tasks.arrays import Array
from tasks.heads.design import Design

# Pseudo-samples of each class that draw its row of the matrix towards errors that are alike for all classes.
# On the develop half of the quality benchmark 10 and 30 differed by less than 0.002 in average precision.
SHRINKAGE = 10.0

# A model fitted to noisy labels is softer than the truth, and a soft belief explains every wrong label as an
# ambiguous right one. Of the powers 1, 1.5, 2, 3 and 4 of the out-of-fold probabilities, the third gave the
# best count of errors (F1) on the develop half of the quality benchmark, the second the best order.
SHARPNESS, ORDERING, SHARPEST = 3.0, 2.0, 4.0
POWERS = (SHARPNESS, ORDERING, SHARPEST)
# Half of the belief is the heads', however many opinions are beside them: less loses on planted errors.
OWN_SHARE = 0.5
# What the log-odds count beside the influence where errors depend on the sample: 2 to 4 are equally good.
DOUBT_WEIGHT = 2.0
# Between which powers calibration looks, and the least probability that it takes for one.
SOFTEST, HARDEST, LEAST = 0.3, 4.0, 1e-6
# Most flags for each label that m predicts otherwise, where errors depend on the sample. On 49 sets with errors n d (1 - d) is
# 0.7 to 2 of them: this holds only where the models agree with nearly every label.
FLAGS_FOR_EACH = 2.0
# Standard errors of the gain over the shares of the classes from which the models are taken to know something, and how fast.
# On 79 tables of pure noise, 50 to 5,000 rows of 2 to 10 classes, z was above 1.3 once (1.7). On 40 sets with up to 35 % planted
# or real errors it was at least 3.3; on 14 sets of 120 to 450 rows with 25 to 45 % wrong and average precisions above .9 mostly
# 1.3 to 2.8: there a bound of 2 flagged 16 % of the samples, this one 23 %, no bound 38 %.
INFORMED, STEEPNESS = 1.5, 4.0
# The ways to tell how probably a label is wrong, the first three by the noise matrix.
WAYS = (*(f"sharpness {power:g}" for power in POWERS), "differs", "doubted")

# Sorted probabilities are summed in pieces of this many, 8 MiB of float64.
SORTED_ROWS = 2**20

MAX_ITERATIONS = 60
SETTLED = 1e-4


class LabelDoubts(NamedTuple):
    """What all models together say of some samples.

    Attributes:
        evidence: (b,) log-odds of the given label, which enter the score beside the influence.
        wrong: (ways, b) probability that it is wrong, in the order of `WAYS`; with raters in one way alone.
    """

    evidence: Tensor
    wrong: Tensor


@dataclass(frozen=True)
class Noise:
    """How labels go wrong.

    Attributes:
        rank: (C, C) logarithm of the noise matrix for the heads' belief: row = true class, column = given class.
        counts: The same for each sharpness of what all models believe.
        powers: Of the calibration of w and m.
        gain: Mean gain of the matrix in nats; above 0 errors depend on the class, else on the sample.
        certainty: The gain in standard errors.
        knowledge: Gain of the models over the shares of the classes, in standard errors.
        skill: kappa: how much less the given labels are doubted than guessing would doubt them; 0 no less, 1 not at all.
    """

    rank: Tensor
    counts: Mapping[float, Tensor]
    powers: tuple[float, float]
    gain: float
    certainty: float
    knowledge: float
    skill: float
    weight: ClassVar[float] = 1.0  # of what the models say beside the label

    @property
    def matrix(self) -> Tensor:
        """(C, C) probability of each given label under each true one."""
        return self.counts[SHARPNESS].exp()

    @property
    def kind(self) -> str:
        """What errors depend on: the class or the sample."""
        return "class" if self.gain > 0 else "sample"

    @property
    def class_share(self) -> float:
        """How far errors depend on the class, 0 to 1."""
        return compute_class_share(self.certainty)

    @property
    def knows(self) -> float:
        """How certainly the models know more than the shares of the classes, 0 to 1."""
        return float(expit(STEEPNESS * (self.knowledge - INFORMED)))

    @property
    def heads_weight(self) -> float:
        """Weight of the heads' own log-odds in the score."""
        return self.class_share

    def posterior(self, belief: Tensor, labels: Tensor) -> Tensor:
        """Return the logarithm of the posterior of the true class under the heads' belief, (b, C)."""
        return compute_posterior(belief, labels, self.rank)

    def judge_labels(self, said: Tensor, labels: Tensor, given: Tensor) -> LabelDoubts:
        """Return what all models say of some samples.

        Args:
            said: (1 + m, b, C) out-of-fold probabilities: the heads' mean, then each opinion.
            labels: (b,) given classes, and again as `given`.
            given: Where there are votes, `labels` are these.
        """
        w, m = (
            calibrate(pool, power).log()
            for pool, power in zip(pool_probabilities(said), self.powers, strict=True)
        )
        log_r = {power: compute_posterior(power * w, labels, matrix) for power, matrix in self.counts.items()}
        doubt = 1 - _pick(m, given).exp()
        wrong = [1 - _pick(log_r[power], given).exp() for power in POWERS]
        wrong += [(m.argmax(1) != given).to(doubt), doubt]
        rival = log_r[ORDERING].scatter(1, given[:, None], -torch.inf).amax(1)
        by_class = _pick(log_r[ORDERING], given) - rival
        by_sample = DOUBT_WEIGHT * (_pick(m, given) - doubt.clamp_min(1e-9).log())
        evidence = self.class_share * by_class + (1 - self.class_share) * by_sample
        return LabelDoubts(evidence, torch.stack(wrong))

    def count_flags(self, wrong: Array) -> int:
        """Return how many samples to flag, given (ways, n) probabilities of being wrong."""
        differs, doubt = (float(wrong[WAYS.index(way)].mean(dtype=np.float64)) for way in WAYS[-2:])
        by_sample = min(doubt * (1 - doubt), FLAGS_FOR_EACH * differs) * wrong.shape[1]
        return int(self.class_share * count_worthwhile(wrong[0]) + (1 - self.class_share) * by_sample)


def compute_class_share(certainty: float) -> float:
    """Return how far errors depend on the class, 0 to 1, given the certainty of the matrix's gain.

    A choice of one or the other lost a third of the errors near 0.
    """
    return float(expit(certainty + 1))


def _pick(values: Tensor, given: Tensor) -> Tensor:
    return values.gather(1, given[:, None]).squeeze(1)


def pool_probabilities(said: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two pools of (1 + m, b, C) probabilities, heads first: one in which they count at least half, and the mean."""
    said = said.clamp_min(LEAST)
    said = said / said.sum(-1, keepdim=True)
    mean = said.mean(0)
    return OWN_SHARE * said[0] + (1 - OWN_SHARE) * mean, mean


def calibrate(p: Tensor, power: float) -> Tensor:
    """Return (b, C) probabilities to a power, normalised; none below `LEAST`."""
    p = torch.softmax(power * p.log(), dim=1).clamp_min(LEAST)
    return p / p.sum(1, keepdim=True)


def estimate_calibration(p: Tensor, labels: Tensor) -> float:
    """Return the power of (n, C) probabilities whose log-loss on the given labels (n,) is lowest.

    >>> estimate_calibration(torch.tensor([[0.6, 0.4]] * 10, dtype=torch.float64), torch.tensor([0] * 9 + [1])) > 3.9
    True
    """
    log_p = p.log()

    def loss(power: float) -> float:
        return -float(_pick(torch.log_softmax(power * log_p, dim=1), labels).mean())

    return float(minimize_scalar(loss, bounds=(SOFTEST, HARDEST), method="bounded").x)


def fit_noise(both: Tensor, said: Tensor, labels: Tensor) -> Noise:
    """Estimate how labels go wrong.

    Args:
        both: (n, C) logarithm of the heads' belief, up to a constant in each row.
        said: (1 + m, n, C) out-of-fold probabilities: the heads' mean, then each opinion.
        labels: (n,) given classes.
    """
    n, pooled = len(labels), pool_probabilities(said)
    powers = [estimate_calibration(pool, labels) for pool in pooled]
    w, m = (calibrate(pool, power).log() for pool, power in zip(pooled, powers, strict=True))
    counts = {power: estimate_noise_matrix(power * w, labels) for power in POWERS}
    gains = []
    for power, matrix in counts.items():
        joint = torch.log_softmax(power * w, dim=1) + matrix.T[labels]
        gains.append(joint.logsumexp(1) - _pick(w, labels))
    gain = max(gains, key=lambda one: float(one.mean()))
    prior = torch.bincount(labels, minlength=said.shape[-1]).double() / n
    learned = _pick(m, labels) - prior.log()[labels]
    doubt = float(1 - _pick(m, labels).exp().mean())
    return Noise(
        rank=estimate_noise_matrix(both, labels),
        counts=counts,
        powers=(powers[0], powers[1]),
        gain=float(gain.mean()),
        certainty=_count_standard_errors(gain),
        knowledge=_count_standard_errors(learned),
        skill=max(0.0, 1 - doubt / max(1 - float(prior.square().sum()), 1e-9)),
    )


def _count_standard_errors(values: Tensor) -> float:
    """Return the mean of some values in its standard errors."""
    return float(values.mean()) / max(float(values.std()) / float(np.sqrt(len(values))), 1e-12)


def estimate_beliefs(design: Design, rows: slice | Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the folds believe of some samples: out of fold, and the sum of that with the mean of the folds fitted on them.

    Out of fold the label cannot speak for itself, but the fit has a fifth less to learn from; in the fit it is
    the other way round. The product of the two finds more than either. Where no fold was fitted on a sample,
    the out-of-fold belief counts twice.

    Args:
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


def estimate_noise_matrix(belief: Tensor, labels: Tensor) -> Tensor:
    """Return the logarithm of the noise matrix, (C, C), by expectation maximisation.

    Args:
        belief: (n, C) logarithm of what the model believes, up to a constant in each row.
        labels: (n,) given classes.

    >>> belief = 9 * torch.eye(2, dtype=torch.float64).repeat_interleave(500, 0)
    >>> labels = torch.arange(1000) // 500
    >>> labels[:100] = 1  # a fifth of class 0
    >>> estimate_noise_matrix(belief, labels).exp().round(decimals=2).tolist()
    [[0.8, 0.2], [0.0, 1.0]]
    """
    # Where there is a GPU, it adds up by index in any order: the sums here are taken on the CPU, the same bits each time.
    where, belief, labels = belief.device, belief.cpu(), labels.cpu()
    n, classes = belief.shape
    eye = torch.eye(classes, dtype=belief.dtype, device=belief.device)
    matrix = make_uniform_matrix(0.05, eye)  # any share of errors will do to start from
    # Products in place of sums of logarithms: of a thousand classes, exponentials are most of the time.
    q = torch.softmax(belief, dim=1)
    r = torch.empty_like(q)
    for _ in range(MAX_ITERATIONS):
        counts = torch.zeros_like(matrix)  # (given, true)
        torch.index_select(matrix.T.contiguous(), 0, labels, out=r)
        r.mul_(q).div_(r.sum(1, keepdim=True))
        counts.index_add_(0, labels, r)
        # At least half an error: a matrix without any would never doubt a label.
        errors = (1 - float(counts.diagonal().sum()) / n, 0.5 / n)
        before, matrix = matrix, counts.T + SHRINKAGE * make_uniform_matrix(max(errors), eye)
        matrix = matrix / matrix.sum(1, keepdim=True)
        if float((matrix - before).abs().max()) < SETTLED:
            break
    return matrix.log().to(where)


def make_uniform_matrix(share: float, eye: Tensor) -> Tensor:
    """Return the noise matrix of errors that are alike for all classes."""
    return (1 - share) * eye + share / max(len(eye) - 1, 1) * (1 - eye)


def compute_posterior(belief: Tensor, labels: Tensor, log_matrix: Tensor) -> Tensor:
    """Return the logarithm of the posterior of the true class, (b, C).

    Args:
        belief: (b, C) logarithm of what the model believes, up to a constant in each row.
        labels: (b,) given classes.
        log_matrix: (C, C) logarithm of the noise matrix.
    """
    return torch.log_softmax(belief + log_matrix.T[labels], dim=1)


def count_worthwhile(wrong: Array) -> int:
    """Return how many samples to flag for the best expected F1.

    Flagging the k most doubtful is expected to reach 2 sum of their probabilities / (k + sum of all); flagging none is right
    with the probability that there is no error at all (Lipton, Elkan & Narayanaswamy, "Optimal Thresholding of
    Classifiers to Maximize F1 Measure", 2014).

    Args:
        wrong: (n,) probability that each given label is wrong.

    >>> count_worthwhile(np.array([0.9, 0.8, 0.1, 0.0])), count_worthwhile(np.array([0.01, 0.0]))
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
