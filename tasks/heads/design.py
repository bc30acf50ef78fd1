"""Who is fitted on, who is evaluated on, who is scored: the three ways to evaluate, as masks over (sample, fold).

- `crossfit`: K folds; fold k is fitted without its own samples, evaluated on them, and scores everybody else.
- `holdout`: one fit on 70 %, evaluated on 20 %; the remaining 10 % choose nothing here and are scored like the rest.
- `trusted`: K folds over the unverified samples; every fold is evaluated on the verified ones, unweighted, and never fitted
  on them.
"""

from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.errors import InputError
from tasks.heads.groups import check_groups, deal_groups, deal_in_shares

# The theory's split of the two-Gaussian example: 0.7 train, 0.1 validation, 0.2 test.
HOLDOUT_TRAIN, HOLDOUT_TEST = 0.7, 0.2

# Where a round flags more than this share, it is the data that are hard, not the labels that are wrong: of labels half of which
# are wrong nothing could be learned. A round fitted to what the model believed already would only be surer of itself.
MOST_LEFT_OUT = 0.45


@dataclass(frozen=True)
class Design:
    """Masks over samples and folds, made block by block from one small integer per sample.

    Attributes:
        evaluation: `crossfit`, `holdout` or `trusted`.
        group: (n,) int8. Crossfit: the fold of each sample. Holdout: 0 train, 1 validation, 2 test. Trusted:
            the fold of each unverified sample, -1 for the verified ones.
        folds: K, number of fits.
        verified: Whether the labels of the evaluation set are verified, where `evaluation` does not say it.
        order: (n,) the samples in an order that does not depend on where they are; None: as they are.
    """

    evaluation: str
    group: Tensor
    folds: int
    verified: bool = False
    order: Array | None = None

    @property
    def trust_weighted(self) -> bool:
        """Whether evaluation samples count as far as the model believes their labels; verified ones count in full."""
        return self.evaluation != "trusted" and not self.verified

    def _own_fold(self, rows: slice | Tensor) -> Tensor:
        return self.group[rows, None] == torch.arange(
            self.folds, dtype=self.group.dtype, device=self.group.device
        )

    def fitted(self, rows: slice | Tensor) -> Tensor:
        """Return (b, K) bool: in the training set of fold k."""
        if self.evaluation == "holdout":
            return self.group[rows, None] == 0
        verified = self.group[rows, None] < 0
        return ~self._own_fold(rows) & ~verified

    def evaluated(self, rows: slice | Tensor) -> Tensor:
        """Return (b, K) bool: in the evaluation set of fold k."""
        if self.evaluation == "holdout":
            return self.group[rows, None] == 2
        if self.evaluation == "trusted":
            return (self.group[rows, None] < 0).expand(-1, self.folds)
        return self._own_fold(rows)

    def scored(self, rows: slice | Tensor) -> Tensor:
        """Return (b, K) bool: scored by fold k. Every sample is scored by at least one."""
        if self.evaluation == "holdout":
            return torch.ones_like(self.group[rows, None], dtype=torch.bool)
        return ~self._own_fold(rows)

    def out_of_fold(self, rows: slice | Tensor) -> Tensor:
        """Return (b,) long: the fold whose model did not see the sample (holdout: the only one there is)."""
        if self.evaluation == "holdout":
            return torch.zeros(len(self.group[rows]), dtype=torch.long, device=self.group.device)
        return self.group[rows].long().clamp_min(0)

    def single(self, fold: int) -> "Design":
        """Return the design of one fold alone: fitted and evaluated on the same samples as that fold."""
        everything = slice(0, len(self.group))
        group = torch.ones_like(self.group)
        group[self.fitted(everything).expand(-1, self.folds)[:, fold]] = 0
        group[self.evaluated(everything).expand(-1, self.folds)[:, fold]] = 2
        return replace(self, evaluation="holdout", group=group, folds=1, verified=not self.trust_weighted)

    def some(self, rows: slice | Tensor) -> "Design":
        """Return the design of some samples, which stand as `rows` names them."""
        return replace(self, group=self.group[rows], order=None)

    def draw(self, most: int, seed: int) -> Array:
        """Return random samples, `most` or all of them, (m,) in random order: the same ones wherever they are."""
        drawn: Array = np.random.default_rng(seed).permutation(len(self.group))[:most]
        return drawn if self.order is None else self.order[drawn]

    def ordered(self, among: Array) -> Array:
        """Return the samples of a mask (n,) bool in an order that does not depend on where they are."""
        chosen: Array = np.flatnonzero(among) if self.order is None else self.order[among[self.order]]
        return chosen

    def to(self, device: torch.device) -> "Design":
        """Return the design with its masks on a device."""
        return replace(self, group=self.group.to(device))


def make_design(
    labels: Array,
    evaluation: str,
    folds: int,
    seed: int,
    trusted: Array | None = None,
    order: Array | None = None,
    groups: Array | None = None,
) -> Design:
    """Assign samples to folds, stratified by given label.

    The assignment is a function of labels, groups, order and seed alone, so the same data and seed give the same folds.

    Args:
        labels: (n,) class of each sample as an integer.
        evaluation: `crossfit`, `holdout` or `trusted`.
        folds: K.
        trusted: (n,) bool, verified samples; needed by `trusted`.
        order: (n,) int, the samples in the order in which they are dealt, before the shuffle; None: as they are.
        groups: (n,) int, samples of one number are in one fold; None: each is alone.

    Raises:
        InputError: `trusted` without verified samples, or with nothing else; fewer groups than folds.

    >>> make_design(np.array([0, 0, 1, 1]), "crossfit", 2, seed=0).group.tolist()
    [0, 1, 0, 1]
    """
    generator = np.random.default_rng(seed)
    # In 32 bits: of ten million labels each of these columns is 40 MB.
    order = np.arange(len(labels), dtype=np.int32) if order is None else order
    if evaluation == "holdout":
        return Design("holdout", torch.from_numpy(_holdout_groups(order, generator, groups)), 1, order=order)
    if evaluation == "crossfit":
        group = _stratify(labels, order, folds, generator, groups)
        return Design("crossfit", torch.from_numpy(group), folds, order=order)
    if trusted is None or not trusted.any():
        raise InputError(
            "no sample is verified", where="--evaluation trusted", fix="name a boolean column with --trusted"
        )
    if trusted.all():
        raise InputError(
            "every sample is verified, nothing is left to audit",
            where="--trusted",
            fix="name a column that is true for some of them only",
        )
    group = _stratify(labels, order[~trusted[order]], folds, generator, groups)
    return Design("trusted", torch.from_numpy(group), folds, order=order)


def choose_kept(flagged: Array) -> Array:
    """Return (n,) bool: what the next round is fitted on, everything where more is flagged than can be wrong.

    >>> choose_kept(np.array([True, False, False])).tolist(), choose_kept(np.array([True, True, False])).tolist()
    ([False, True, True], [True, True, True])
    """
    hard = flagged.mean() > MOST_LEFT_OUT
    kept: Array = np.ones_like(flagged) if hard else ~flagged
    return kept


def _stratify(
    labels: Array, dealt: Array, folds: int, generator: np.random.Generator, groups: Array | None
) -> Array:
    """Deal the samples of each class to the folds like cards; -1 for those that are not dealt.

    The next class continues where the last one stopped, so fold sizes stay equal.
    """
    if _belong_together(groups, dealt):
        check_groups(groups[dealt], folds, "groups")
        return deal_groups(labels, dealt, groups, folds, generator)
    shuffled = generator.permutation(dealt)
    by_class = shuffled[np.argsort(labels[shuffled].astype(np.int32), kind="stable")]
    group = np.full(len(labels), -1, dtype=np.int8)
    group[by_class] = np.resize(np.arange(folds, dtype=np.int8), len(dealt))
    return group


def _belong_together(groups: Array | None, dealt: Array) -> TypeGuard[Array]:
    """Return whether two of the dealt samples are of one group."""
    return groups is not None and len(np.unique(groups[dealt])) < len(dealt)


def _holdout_groups(order: Array, generator: np.random.Generator, groups: Array | None) -> Array:
    n = len(order)
    if _belong_together(groups, order):
        check_groups(groups, 2, "groups")
        return deal_in_shares(order, groups, HOLDOUT_TRAIN, HOLDOUT_TEST, generator)
    shuffled = generator.permutation(order)
    group = np.ones(n, dtype=np.int8)
    group[shuffled[: round(HOLDOUT_TRAIN * n)]] = 0
    group[shuffled[n - round(HOLDOUT_TEST * n) :]] = 2
    return group
