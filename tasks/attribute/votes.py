r"""Which labels are probably wrong, given what each of several raters said.

With q_i(c) the models' out-of-fold probabilities, v_ir the answer of rater r to sample i, if there is one, samples of kinds k
(clear ones, and ones that anybody may take for something else), and T_kr[c, v] = P(rater r answers v | kind k, true class c):

    r_i(c)     ~ q_i(c)^tau sum_k pi_k prod_r T_kr[c, v_ir]           posterior of the true class
    T_kr[c, v] ~= sum over i with v_ir = v of r_i(k, c)               rows normalised
    pi_k       ~= sum_i r_i(k)
    tau        = argmax sum_i sum_c r_i(c) log softmax(tau log q_i)(c)

by expectation maximisation (Dawid & Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm",
1979), with the models as one more rater whose weight tau is estimated along with the others'; "CROWDLAB" (Goh, Tkachenko &
Mueller, 2022) weighs models and raters by how often they agree. A rater's rows are drawn towards those of all raters, so
that one who answered seldom is taken for an average one.

One kind orders the samples, two count the errors: with one, answers to one sample would be independent given its class, and
where two of three agree for the same bad reason, that makes a certainty of a coincidence. Models that were fitted on a sample
have seen its majority, so the weight is found by the folds that have not.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.attribute.noise import (
    SHARPNESS,
    SHRINKAGE,
    LabelDoubts,
    Noise,
    count_worthwhile,
    make_uniform_matrix,
)

# Share of wrong answers that each kind of samples starts with: any shares that differ will do.
STARTS = {1: (0.05,), 2: (0.03, 0.4)}

# Two kinds settle slowly: with ten times as many iterations the share of wrong labels on the texts of
# `labelsweep bench inputs` grows from .114 to .121, and the flags are as good.
MAX_ITERATIONS = 100
# Where samples x raters x classes x kinds are many, as with a thousand classes, iterations are fewer, so that they take seconds.
VALUES, FEWEST_ITERATIONS = 2**28, 20
SETTLED = 1e-4

# Logarithm of what a probability of nothing counts as.
LEAST = -700.0

# Values of all tables, 128 MiB of float64; where raters x classes^2 are more, all raters share one table.
TABLE_VALUES = 2**24


@dataclass(frozen=True)
class Answers:
    """How raters answer.

    Attributes:
        tables: (kinds, raters or 1, C, C) logarithm of the probability of an answer (column) under a true class (row).
        kinds: (kinds,) logarithm of the share of samples of each kind.
        weight: tau, what the models' log-probabilities count.
    """

    tables: Tensor
    kinds: Tensor
    weight: float

    def joint(self, belief: Tensor, votes: Tensor) -> Tensor:
        """Return the logarithm of the joint probability of kind, true class and answers, (b, kinds, C), up to a row's constant.

        Args:
            belief: (b, C) logarithm of what the models believe.
            votes: (b, raters) answers, -1 where there is none.
        """
        prior = torch.log_softmax(self.weight * belief, dim=1)
        found = prior[:, None] + self.kinds[None, :, None]
        for rater, said in enumerate(votes.unbind(1)):
            rows = torch.nonzero(said >= 0).squeeze(1)
            table = self.tables[:, rater % self.tables.shape[1]]
            found.index_add_(0, rows, table[:, :, said[rows].long()].permute(2, 0, 1))
        return found

    def posterior(self, belief: Tensor, votes: Tensor) -> Tensor:
        """Return the logarithm of the posterior of the true class, (b, C)."""
        return torch.log_softmax(self.joint(belief, votes).logsumexp(1), dim=1)


def estimate_answers(belief: Tensor, votes: Tensor, kinds: int) -> Answers:
    """Estimate how raters answer, and what the models are worth beside them.

    Args:
        belief: (n, C) logarithm of the models' out-of-fold probabilities.
        votes: (n, raters) answers, -1 where there is none.
        kinds: 1 or 2 kinds of samples.

    >>> belief = torch.zeros(900, 2, dtype=torch.float64)
    >>> votes = (torch.arange(900) // 450)[:, None].repeat(1, 3)
    >>> for rater in range(3):
    ...     votes[rater::10, rater] = 1 - votes[rater::10, rater]  # each of them answers one in ten otherwise
    >>> estimate_answers(belief, votes, kinds=1).tables[0, 2].exp().round(decimals=1).tolist()
    [[0.9, 0.1], [0.1, 0.9]]
    """
    # Where there is a GPU, it adds up by index in any order: the sums here are taken on the CPU, the same bits each time.
    where, belief, votes = belief.device, belief.cpu(), votes.cpu()
    classes, raters = belief.shape[1], votes.shape[1]
    own = raters if kinds * raters * classes**2 <= TABLE_VALUES else 1
    eye = torch.eye(classes, dtype=belief.dtype, device=belief.device)
    tables = torch.stack([make_uniform_matrix(share, eye).expand(own, -1, -1) for share in STARTS[kinds]])
    answers = Answers(tables.log(), belief.new_full((kinds,), 1 / kinds).log(), 1.0)
    affordable = max(FEWEST_ITERATIONS, VALUES // (votes.numel() * classes * kinds + 1))
    for _ in range(min(MAX_ITERATIONS, affordable)):
        r = torch.softmax(answers.joint(belief, votes).flatten(1), dim=1).view(len(belief), kinds, classes)
        before, answers = answers, _update_answers(r, belief, votes, answers, eye)
        moved = float((answers.tables.exp() - before.tables.exp()).abs().max())
        if max(moved, abs(answers.weight - before.weight)) < SETTLED:
            break
    return Answers(answers.tables.to(where), answers.kinds.to(where), answers.weight)


def _update_answers(r: Tensor, belief: Tensor, votes: Tensor, before: Answers, eye: Tensor) -> Answers:
    """Return what the posterior of kinds and classes, (n, kinds, C), makes of tables, kinds and weight."""
    counts = r.new_zeros(before.tables.shape[1], len(eye), *r.shape[1:])  # (raters, answer, kinds, true)
    for rater, said in enumerate(votes.unbind(1)):
        rows = torch.nonzero(said >= 0).squeeze(1)
        counts[rater % len(counts)].index_add_(0, said[rows].long(), r[rows])
    counts = counts.permute(2, 0, 3, 1)  # (kinds, raters, true, answer)
    tables = []
    for kind in counts:
        total = float(kind.sum())
        right = float(kind.diagonal(dim1=1, dim2=2).sum())
        # At least half an error, and no worse than guessing.
        errors = min(max(1 - right / max(total, 1.0), 0.5 / max(total, 1.0)), 1 - 1 / len(eye))
        shared = _normalise_rows(kind.sum(0) + SHRINKAGE * make_uniform_matrix(errors, eye))
        tables.append(_normalise_rows(kind + SHRINKAGE * shared) if len(kind) > 1 else shared[None])
    shares = (r.sum((0, 2)) + SHRINKAGE / len(counts)) / (len(r) + SHRINKAGE)
    return Answers(torch.stack(tables).log(), shares.log(), _update_weight(r.sum(1), belief, before.weight))


def _normalise_rows(table: Tensor) -> Tensor:
    return table / table.sum(-1, keepdim=True)


def _update_weight(r: Tensor, belief: Tensor, before: float) -> float:
    """Return one Newton step towards the weight under which the models' belief is likeliest, r being the true classes."""
    q = torch.softmax(before * belief, dim=1)
    mean = (q * belief).sum(1)
    slope = float(((r * belief).sum(1) - mean).sum())
    curvature = float(((q * belief.square()).sum(1) - mean.square()).sum())
    step = slope / max(curvature, 1e-9)
    # Where models and raters never differ, no weight is large enough: no sharper than where there are no votes.
    return min(max(before + step, 0.0), SHARPNESS)


@dataclass(frozen=True)
class RaterNoise:
    """How raters answer, as `tasks.attribute.noise.Noise` is how labels go wrong.

    Attributes:
        rank: Orders the samples: one kind of them.
        count: Says how many are wrong: two kinds.
    """

    rank: Answers
    count: Answers
    kind: ClassVar[str] = "raters"
    heads_weight: ClassVar[float] = 1.0
    knows: ClassVar[float] = 1.0  # what raters said is known

    @property
    def weight(self) -> float:
        """Weight of what the models say beside the votes; their belief is a product of two opinions, which counts half."""
        return self.rank.weight / 2

    @property
    def matrix(self) -> Tensor:
        """(C, C) probability of each answer under each true class, over raters and kinds."""
        return (self.count.tables.exp().mean(1) * self.count.kinds.exp()[:, None, None]).sum(0)

    def posterior(self, belief: Tensor, votes: Tensor) -> Tensor:
        """Return the logarithm of the posterior of the true class under the belief that orders the samples, (b, C)."""
        return self.rank.posterior(belief / 2, votes)

    def judge_labels(self, said: Tensor, votes: Tensor, given: Tensor) -> LabelDoubts:
        """Return how probably each given label is wrong; the log-odds of the raters are in those of the heads.

        Args:
            said: (1 + m, b, C) out-of-fold probabilities: the heads' mean, then each opinion.
            votes: (b, raters) answers, -1 where there is none.
            given: (b,) given classes.
        """
        log_r = self.count.posterior(said.mean(0).log().clamp_min(LEAST), votes)
        wrong = 1 - log_r.gather(1, given[:, None]).squeeze(1).exp()
        return LabelDoubts(torch.zeros_like(wrong), wrong[None])

    def count_flags(self, wrong: Array) -> int:
        """Return how many samples to flag, given (1, n) probabilities of being wrong."""
        return count_worthwhile(wrong[0])


AnyNoise = Noise | RaterNoise


def estimate_raters(unseen: Tensor, votes: Tensor) -> RaterNoise:
    """Estimate how raters answer.

    Args:
        unseen: (m, C) logarithm of the out-of-fold probabilities of some samples.
        votes: (m, raters) their answers, -1 where there is none.
    """
    belief = unseen.clamp_min(LEAST)
    return RaterNoise(estimate_answers(belief, votes, kinds=1), estimate_answers(belief, votes, kinds=2))
