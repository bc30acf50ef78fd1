"""The part of a sweep that wants a GPU: encode the features, then fit and attribute round by round.

Only records cross into and out of it (paths, counts, digests), so it can run on another machine that sees the same files.
"""

from pathlib import Path

from flows.progress import run_step
from tasks.attribute.rounds import run_rounds
from tasks.attribute.step import attribute
from tasks.controls.step import controls
from tasks.encode.step import encode
from tasks.fit.step import fit
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, FittedRound, Record, Scores

# Where a worker leaves its result in the run folder, for the flow that sent it.
FITTED = "fitted.json"


class Fitted(Record):
    """What the fitting part hands on: the encoding, the last round's model and its scores."""

    encoding: Encoding
    model: FittedRound
    scores: Scores


def count_steps(options: AuditOptions) -> int:
    """Return how many steps the flow has: encode once, fit and attribute in every round, controls once."""
    return 2 + 2 * options.rounds


def fit_and_attribute(
    dataset: Dataset, folder: Path, options: AuditOptions, previous: Path | None = None
) -> Fitted:
    """Fit the audit's models and give every sample its influence.

    Args:
        previous: Folder of the last run of the same data set, whose models are where the fit begins.
    """
    encoding = run_step(encode, dataset, folder, options, previous)
    *_, (model, scores) = run_rounds(
        options.rounds,
        lambda _, before: run_step(fit, dataset, encoding, folder, options, before),
        lambda model: run_step(attribute, dataset, encoding, model, folder, options),
    )
    run_step(controls, dataset, encoding, model, scores, folder, options)
    return Fitted(encoding=encoding, model=model, scores=scores)
