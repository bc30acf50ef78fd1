"""What a kind of model is: the one interface through which all steps fit a round, read it back, and audit once more.

A kind says which problems a round has (`learn`, and `recall` for one that is in files), and may add opinions. Everything else
is the same for all kinds: exact heads are fitted on the problems, and influence, evidence and refits see nothing but heads.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tasks import records
from tasks.heads.checkpoint import load_kept_fit
from tasks.heads.design import Design
from tasks.heads.ensemble import Ensemble, Head, Opinion, Problem, fit_problems
from tasks.heads.members import Member
from tasks.heads.newton import Fit
from tasks.heads.samples import Samples, read_kept
from tasks.heads.store import load_members, load_parameters, save_parameters
from tasks.options import AuditOptions
from tasks.runs.progress import report_progress

# Where a round keeps the members that it alone has, and the opinions, in its folder.
HEADS, OPINIONS = "heads", "opinions"


@dataclass(frozen=True)
class RoundStore:
    """Where a round is kept as it is fitted, and the digest of all that it depends on."""

    folder: Path
    key: str


class AuditModel(ABC):
    """A kind of model, on the samples of one audit.

    Args:
        samples: The samples and their labels.
        design: Their folds.
        options: Options of the audit; `model` is the name of this kind.

    Raises:
        InputError: It cannot be fitted to these samples, or with these options.
    """

    def __init__(self, samples: Samples, design: Design, options: AuditOptions) -> None:
        self.samples, self.design, self.options = samples, design, options

    def choose(self) -> list[Member]:
        """Choose the members that all rounds have in common; none where each round learns its own."""
        return []

    def begin_again(self, members: list[Member]) -> list[Member]:
        """Return what an audit of other labels begins with, where one ended with these members."""
        return members

    @abstractmethod
    def learn(
        self, members: Sequence[Member], keep: Tensor, number: int, folder: Path | None
    ) -> list[list[Problem]]:
        """Return the problems of each head of a round.

        Args:
            members: Of the round before, or what `choose` returned; a fit begins where they start.
            keep: (n,) bool, False for samples that are left out of fitting and evaluation.
            number: Round, from 1.
            folder: Where to keep what is learned; None for memory only.
        """

    @abstractmethod
    def recall(
        self, members: Sequence[Member], keep: Tensor, number: int, folder: Path
    ) -> list[list[Problem]]:
        """Return the problems of a round that was kept in a folder; `members` are its own."""

    def ask(
        self,
        texts: Callable[[], list[str]] | None = None,  # noqa: ARG002 (heads alone)
        store: RoundStore | None = None,  # noqa: ARG002
    ) -> tuple[list[Opinion], str]:
        """Ask models of other kinds for opinions that all rounds share; return them, or why there are none.

        Args:
            texts: Reads the texts of all samples; None where they are not texts.
            store: Where each opinion is kept as soon as it is there; None for memory only.
        """
        return [], ""

    def collect_opinions(self, keep: Tensor, number: int) -> Tensor | None:  # noqa: ARG002 (heads alone)
        """Return opinions of this round alone: (m, n, C) logarithms of out-of-fold probabilities of m models, or None.

        Args:
            keep: (n,) bool, False for samples that are left out of fitting.
            number: Round, from 1.
        """
        return None

    def fit(
        self, members: Sequence[Member], keep: Tensor, number: int = 1, store: RoundStore | None = None
    ) -> Ensemble:
        """Fit a round.

        Args:
            members: Of the round before, or what `choose` or `begin_again` returned.
            keep: (n,) bool, False for samples that are left out of fitting and evaluation.
            number: Round, from 1.
            store: Where each part is kept as soon as it is fitted; None for memory only.
        """
        like = self.samples.features.like
        learned = self.learn(members, keep, number, None if store is None else store.folder)
        heads: list[Head] = []
        for place, problems in enumerate(learned):
            work = partial(fit_problems, problems, self.options)
            fit = work() if store is None else load_kept_fit(store.folder, place, store.key, like, work)
            heads.append(Head(problems, fit))
            report_progress("folds", len(heads) * self.design.folds, len(learned) * self.design.folds)
        given = self.collect_opinions(keep, number)
        opinions = None if given is None else given.to(like)
        if store is not None:
            (store.folder / f"{OPINIONS}-0.safetensors").unlink(missing_ok=True)  # of an earlier try
            save_parameters([] if opinions is None else [opinions], store.folder, OPINIONS)
        return Ensemble(self.samples, self.design, heads, opinions)

    def load(self, encoding: records.Encoding, round_: records.FittedRound) -> Ensemble:
        """Read back a round that `fit` has kept."""
        like, folder = self.samples.features.like, round_.path
        keep = read_kept(self.samples, round_.left_out)
        problems = self.recall(self.read_members(encoding, folder), keep, round_.round, folder)
        norm = torch.full((self.design.folds,), round_.gradient_norm)
        fits = [
            Fit(theta, norm, round_.iterations, round_.converged, [])
            for theta in load_parameters(folder, "theta", len(problems), like)
        ]
        heads = [Head(some, fit) for some, fit in zip(problems, fits, strict=True)]
        has_opinions = (folder / f"{OPINIONS}-0.safetensors").exists()
        opinions = load_parameters(folder, OPINIONS, 1, like)[0] if has_opinions else None
        return Ensemble(self.samples, self.design, heads, opinions)

    def read_members(self, encoding: records.Encoding, folder: Path | None) -> list[Member]:
        """Return the members of the round that a folder holds; None: what the first round begins with."""
        like = self.samples.features.like
        if not encoding.members:
            return [] if folder is None else load_members(folder / HEADS, self.design.folds, like)
        members = load_members(encoding.path, len(encoding.members), like)
        if folder is None:
            return members
        thetas = load_parameters(folder, "theta", len(members), like)
        return [replace(member, start=theta) for member, theta in zip(members, thetas, strict=True)]
