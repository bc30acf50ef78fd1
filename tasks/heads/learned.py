"""Models that learn features on each fold: the exact head of a fold stands on what was learned without its evaluation set.

Out-of-fold probabilities of a sample come from the one fold that did not see its label: a label that was learned by heart does
not vouch for itself.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.heads.design import Design
from tasks.heads.ensemble import Problem
from tasks.heads.feature_map import FeatureMap, make_raw_map
from tasks.heads.features import Features, MemoryFeatures, compute_moments
from tasks.heads.flat_network import FlatNetwork
from tasks.heads.members import CHOICE_ROWS, CHOICE_TOLERANCE, Member, compute_out_of_fold_loss
from tasks.heads.model import HEADS, AuditModel
from tasks.heads.newton import fit_newton
from tasks.heads.samples import Samples
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve_newton_step
from tasks.heads.stacks import make_stacks
from tasks.heads.store import save_members
from tasks.memory import choose_memory_budget
from tasks.options import AuditOptions
from tasks.runs.progress import report_progress

# Strength of the Gaussian prior on a head's weights, l2 x n, to choose from. A network's features part the classes that it was
# trained on, so a weaker prior costs no log-loss and leaves influences without a scale: on the digits with 8 % wrong labels
# their average precision in the second round is 0.97 at 1,000, 0.98 at 100, 0.96 at 10, and 0.58 at 1.
HEAD_PRECISIONS = (1_000.0, 100.0, 10.0)


@dataclass(frozen=True)
class Learned:
    """What one fold has learned.

    Attributes:
        features: Of all samples, (n, h).
        encode: From raw features (b, d) to these (b, h), in torch; None where that has no derivative.
        whole: From feature map and parameters (width, C) of the head to the model as a function of every parameter, if it is one.
    """

    features: Features
    encode: Callable[[Tensor], Tensor] | None = None
    whole: Callable[[FeatureMap, Tensor], FlatNetwork] | None = None


class LearnedFeatures(AuditModel):
    """A kind of model that learns features; what `learn_fold` returns is all that a kind has to say."""

    @abstractmethod
    def learn_fold(self, index: Tensor, seed: int, fold: int, folder: Path | None) -> Learned:
        """Learn features from some samples.

        It depends on its arguments, samples and options alone, and may read back what an earlier call kept.

        Args:
            index: (m,) the samples to learn from, in an order that does not depend on where they are.
            folder: Where to keep what takes long to learn; None for memory only.
        """

    def learn_folds(self, keep: Tensor, number: int, folder: Path | None) -> list[Learned]:
        """Learn the features of every fold of a round, without the samples that `keep` (n,) leaves out."""
        everything, learned = slice(0, self.samples.features.n), []
        for fold in range(self.design.folds):
            fitted = self.design.fitted(everything).expand(-1, self.design.folds)[:, fold] & keep
            index = torch.from_numpy(self.design.ordered(fitted.cpu().numpy())).to(fitted.device).long()
            seed = int(np.random.SeedSequence([self.options.seed, number, fold]).generate_state(1)[0])
            learned.append(self.learn_fold(index, seed, fold, folder))
            report_progress("folds learned", fold + 1, self.design.folds)
        return learned

    def note(self, learned: Sequence[Learned], number: int, folder: Path) -> None:
        """Write down, once a round has learned, what is to be known of it beside its heads."""

    def begin_again(self, members: list[Member]) -> list[Member]:  # noqa: ARG002
        """Return nothing: features that were learned from other labels are none to begin with."""
        return []

    def learn(
        self, members: Sequence[Member], keep: Tensor, number: int, folder: Path | None
    ) -> list[list[Problem]]:
        """Learn the features of every fold, and choose the heads' regularisation in the first round."""
        learned = self.learn_folds(keep, number, folder)
        features = [one.features for one in learned]
        l2 = members[0].l2 if members else None
        heads = choose_heads(features, self.samples, self.design, keep, self.options, l2)
        if folder is not None:
            save_members(heads, folder / HEADS)
            self.note(learned, number, folder)
        return self._make_problems(learned, heads, keep)

    def recall(
        self, members: Sequence[Member], keep: Tensor, number: int, folder: Path
    ) -> list[list[Problem]]:
        """Read back the features of every fold, or learn them again."""
        return self._make_problems(self.learn_folds(keep, number, folder), members, keep)

    def _make_problems(
        self, learned: Sequence[Learned], members: Sequence[Member], keep: Tensor
    ) -> list[list[Problem]]:
        """Return the one head's problems, one of each fold."""
        problems = []
        for fold, (one, member) in enumerate(zip(learned, members, strict=True)):
            alone = self.design.single(fold)
            stack = _make_stack(one.features, member, self.samples, alone, keep, self.options)
            problems.append(
                Problem(
                    stack,
                    member,
                    one.features,
                    _map_features(one, member),
                    _join_network(one, member.feature_map),
                )
            )
        return [problems]


def _map_features(learned: Learned, member: Member) -> Callable[[Tensor], Tensor] | None:
    """Return the way from raw features to what a fold's head sees."""
    encode = learned.encode
    return None if encode is None else lambda raw: member.feature_map(encode(raw).to(raw))


def _join_network(learned: Learned, feature_map: FeatureMap) -> Callable[[Tensor], FlatNetwork] | None:
    whole = learned.whole
    return None if whole is None else lambda theta: whole(feature_map, theta)


def choose_heads(
    features: Sequence[Features],
    samples: Samples,
    design: Design,
    keep: Tensor,
    options: AuditOptions,
    l2: float | None = None,
) -> list[Member]:
    """Standardise each fold's features and choose the heads' regularisation, the same for all, by out-of-fold log-loss.

    Args:
        features: For each fold the learned features of all samples, (n, h).
        keep: (n,) bool, False for samples that are left out of the choice too.
        options: `seed` draws the rows that the choice is made on.
        l2: What an earlier round chose, and is kept: with the likely errors out of the way even the weakest prior looks
            good.

    Returns:
        One member for each fold, on that fold's features.
    """
    n = len(samples.labels)
    order = np.random.default_rng(options.seed).permutation(design.ordered(keep.cpu().numpy()))
    chosen = torch.from_numpy(order[:CHOICE_ROWS]).to(samples.labels.device)
    part = design.some(chosen)
    drawn = [MemoryFeatures(one.take(chosen)) for one in features]
    some = replace(samples, labels=samples.labels[chosen])
    maps = [
        replace(make_raw_map(*compute_moments(one)).rotate(one.tensor), name=options.model) for one in drawn
    ]
    best: list[Member] = []
    starts: list[Tensor | None] = [None] * design.folds
    least = math.inf
    for precision in HEAD_PRECISIONS if l2 is None else (l2 * n,):
        members = []
        for fold, (feature_map, own) in enumerate(zip(maps, drawn, strict=True)):
            tried = Member(feature_map, precision / len(chosen), math.inf, own.tensor)
            stack = _make_stack(own, tried, some, part.single(fold), keep[chosen], options)
            theta = fit_newton(stack, solve_newton_step, starts[fold], tolerance=CHOICE_TOLERANCE).theta
            starts[fold] = theta
            members.append(Member(feature_map, precision / n, compute_out_of_fold_loss(stack, theta), theta))
        loss = sum(member.log_loss for member in members) / len(members)
        if loss >= least:
            break
        least, best = loss, [replace(member, log_loss=loss) for member in members]
    return best


def _make_stack(
    features: Features, member: Member, samples: Samples, alone: Design, keep: Tensor, options: AuditOptions
) -> SoftmaxStack:
    """Return the problem of one fold's head."""
    budget = choose_memory_budget(options.memory) // max(1, options.folds)
    (stack,) = make_stacks(features, samples.labels, samples.n_classes, alone, [member], keep, budget)
    return stack
