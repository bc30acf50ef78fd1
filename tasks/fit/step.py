"""The fit step: all folds of every member, to convergence, leaving out what the round before flagged."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tasks.encode.model import settled
from tasks.fit.checkpoint import kept_fit
from tasks.fit.curve import write_curve
from tasks.heads.design import Design, kept_of
from tasks.heads.fit import fit_stack
from tasks.heads.members import Member
from tasks.heads.newton import Fit
from tasks.heads.samples import Samples, read_samples
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.stacks import make_stacks
from tasks.heads.store import load_encoding, load_parameters
from tasks.memory import memory_budget
from tasks.options import AuditOptions
from tasks.records import Dataset, EncodedMember, Encoding, Model, Scores
from tasks.runs.progress import tick
from tasks.runs.step import step, step_key
from tasks.storage import read_parquet, write_json


def next_round(previous: Scores | None) -> int:
    """Return the number of the round after the one with these scores."""
    return 1 if previous is None else previous.round + 1


@step(round_of=lambda given: next_round(given["previous"]))
def fit(
    dataset: Dataset, encoding: Encoding, folder: Path, options: AuditOptions, previous: Scores | None = None
) -> Model:
    """Fit all folds of every member of the ensemble to convergence.

    Args:
        dataset: The validated data.
        encoding: The feature file, and the members of the ensemble.
        folder: The run folder.
        options: Options of the audit.
        previous: Scores of the round before, whose flagged samples are left out; None in the first round.

    Raises:
        InputError: The user's model, the device or the Dask cluster cannot be used.
    """
    number, options = next_round(previous), settled(options, encoding)
    samples = read_samples(dataset, encoding.features, options.device)
    left_out, target = None if previous is None else previous.path, round_folder(folder, number)
    members: tuple[EncodedMember, ...] = ()
    if options.model == "linear":
        fits = _fit_linear(encoding, samples, folder, options, previous, target)
    else:
        from tasks.fit.network.stored import fit_networks  # noqa: PLC0415 (only where a network is asked for)

        keep = kept_samples(samples, left_out)
        one, members = fit_networks(dataset, encoding, samples, keep, options, number, target)
        fits = [one]
    _write_curve(fits, number, folder / "model" / "training_curve.parquet")
    write_json(fit_convergence(fits, number), target / "fit.json")
    return Model(
        path=target,
        round=number,
        left_out=left_out,
        folds=fits[0].theta.shape[1],
        converged=all(one.converged for one in fits),
        gradient_norm=max(float(one.gradient_norm.max()) for one in fits),
        iterations=max(one.iterations for one in fits),
        members=members,
    )


def _fit_linear(
    encoding: Encoding,
    samples: Samples,
    folder: Path,
    options: AuditOptions,
    previous: Scores | None,
    target: Path,
) -> list[Fit]:
    """Fit every member on the encoded features, from where the round before ended."""
    like = samples.features.like
    members = load_encoding(encoding, like)
    starts = [m.start for m in members]
    if previous is not None:
        starts = load_parameters(round_folder(folder, previous.round), "theta", len(members), like)
    stacks = stacks_of_round(
        samples, samples.design(options), members, None if previous is None else previous.path, options
    )
    fits = []
    for member, (stack, start) in enumerate(zip(stacks, starts, strict=True)):
        fits.append(kept_fit(target, member, step_key(), like, partial(fit_stack, stack, start, options)))
        tick("folds", (member + 1) * stack.design.folds, len(stacks) * stack.design.folds)
    return fits


def round_folder(folder: Path, number: int) -> Path:
    """Return where a round keeps its parameters and scores."""
    return folder / "model" / f"round-{number}"


def stacks_of_round(
    samples: Samples, design: Design, members: list[Member], left_out: Path | None, options: AuditOptions
) -> list[SoftmaxStack]:
    """Return one stack of folds for each member, without what the scores of the round before (`left_out`) flagged."""
    return make_stacks(
        samples.features,
        samples.labels,
        samples.n_classes,
        design,
        members,
        kept_samples(samples, left_out),
        memory_budget(options.memory),
        options.dask,
    )


def kept_samples(samples: Samples, left_out: Path | None) -> Tensor:
    """Return (n,) bool: what the scores of the round before (`left_out`; None: there is none) leave to fit on."""
    keep = torch.ones(samples.features.n, dtype=torch.bool)
    if left_out is not None:
        flagged = read_parquet(left_out, columns=["flagged"])["flagged"]
        keep = torch.from_numpy(kept_of(flagged.to_numpy()))
    return keep.to(samples.labels.device)


def fit_convergence(fits: list[Fit], number: int) -> list[dict[str, object]]:
    """Return the evidence of convergence, one entry for each member and fold."""
    return [
        {
            "round": number,
            "member": member,
            "fold": fold,
            "gradient_norm": norm,
            "iterations": one.iterations,
            "converged": one.converged,
        }
        for member, one in enumerate(fits)
        for fold, norm in enumerate(one.gradient_norm.tolist())
    ]


def _write_curve(fits: list[Fit], number: int, path: Path) -> None:
    """Write the training curve of this round after those of the rounds before."""
    rows = [
        {
            "round": number,
            "member": member,
            "fold": fold,
            "iteration": iteration,
            "loss": loss,
            "gradient_norm": norm,
        }
        for member, one in enumerate(fits)
        for iteration, (losses, norms) in enumerate(one.curve)
        for fold, (loss, norm) in enumerate(zip(losses, norms, strict=True))
    ]
    write_curve(rows, number, path)
