"""Convex heads on feature maps that are chosen once: standardised features, kernels on them, edges of images."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from tasks.heads.ensemble import Opinion, Problem
from tasks.heads.members import Member, choose_members
from tasks.heads.model import AuditModel, RoundStore
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.stacks import make_stacks
from tasks.memory import choose_memory_budget
from tasks.opinions import ask_kinds, explain_absence
from tasks.runs.progress import report_progress


class Model(AuditModel):
    """One problem of all folds for each member, on features that all folds and rounds share."""

    _stacks: list[SoftmaxStack] | None = None

    def choose(self) -> list[Member]:
        """Choose the ensemble by out-of-fold log-loss on the given labels."""
        samples = self.samples
        return choose_members(
            samples.features,
            samples.labels,
            self.design,
            samples.n_classes,
            self.options,
            partial(report_progress, "feature maps"),
            samples.image,
            shared=samples.shared,
            embedded=samples.embedded,
            second=samples.second,
        )

    def ask(
        self, texts: Callable[[], list[str]] | None = None, store: RoundStore | None = None
    ) -> tuple[list[Opinion], str]:
        """Ask models of the kinds that `tasks/opinions` holds."""
        if why := explain_absence(self.samples, self.options, texts):
            return [], why
        return ask_kinds(self.samples, self.design, self.options, texts, store), ""

    def learn(
        self,
        members: Sequence[Member],
        keep: Tensor,
        number: int,  # noqa: ARG002 (all rounds are alike)
        folder: Path | None,  # noqa: ARG002 (nothing is kept beside the encoding)
    ) -> list[list[Problem]]:
        """Return the problem of each member; features are encoded once for all rounds."""
        samples, options = self.samples, self.options
        if self._stacks is None:
            self._stacks = make_stacks(
                samples.features,
                samples.labels,
                samples.n_classes,
                self.design,
                members,
                keep,
                choose_memory_budget(options.memory),
                options.dask,
            )
        return [
            [Problem(stack.leave_out(keep), member, samples.features, member.feature_map)]
            for stack, member in zip(self._stacks, members, strict=True)
        ]

    recall = learn
