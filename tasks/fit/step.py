"""The fit step: all folds of every member, to convergence, leaving out what the round before flagged."""

from pathlib import Path

from tasks.heads.model import RoundStore
from tasks.heads.newton import Fit
from tasks.heads.samples import read_kept
from tasks.heads.store import describe_members, write_curve
from tasks.models import open_model
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, FittedRound, Scores
from tasks.runs.step import step, step_key
from tasks.storage import write_json


@step(round_of=lambda given: number_next_round(given["previous"]))
def fit(
    dataset: Dataset, encoding: Encoding, folder: Path, options: AuditOptions, previous: Scores | None = None
) -> FittedRound:
    """Fit all folds of every member of the ensemble to convergence.

    Args:
        encoding: The feature file, and the members of the ensemble.
        previous: Scores of the round before, whose flagged samples are left out; None in the first round.

    Raises:
        InputError: The user's model, the device or the Dask cluster cannot be used.
    """
    model = open_model(dataset, encoding, options)
    number = number_next_round(previous)
    left_out, target = None if previous is None else previous.path, make_round_folder(folder, number)
    members = model.read_members(
        encoding, None if previous is None else make_round_folder(folder, previous.round)
    )
    fitted = model.fit(members, read_kept(model.samples, left_out), number, RoundStore(target, step_key()))
    fits = [head.fit for head in fitted.heads]
    _write_curve(fits, number, folder / "model" / "training_curve.parquet")
    write_json(describe_fit_convergence(fits, number), target / "fit.json")
    # Where each round learns features of its own, the encoding names none, and one fold's stand for all.
    own = () if encoding.members else [head.problems[0].member for head in fitted.heads]
    return FittedRound(
        path=target,
        round=number,
        left_out=left_out,
        folds=model.design.folds,
        converged=all(one.converged for one in fits),
        gradient_norm=max(float(one.gradient_norm.max()) for one in fits),
        iterations=max(one.iterations for one in fits),
        members=describe_members(own),
    )


def number_next_round(previous: Scores | None) -> int:
    """Return the number of the round after the one with these scores."""
    return 1 if previous is None else previous.round + 1


def make_round_folder(folder: Path, number: int) -> Path:
    """Return where a round keeps its parameters and scores."""
    return folder / "model" / f"round-{number}"


def describe_fit_convergence(fits: list[Fit], number: int) -> list[dict[str, object]]:
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
