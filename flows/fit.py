"""The part of the cleaning flow that wants a GPU: encode the features, then fit and attribute round by round.

Only records cross into and out of it (paths, counts, digests), so it can run on another machine that sees the
same files. Requires: torch, pyDVL; a GPU when one is there.
"""

from pathlib import Path

from prefect import flow

from flows.platform.progress import progress, step
from tasks.attribute.rounds import run_rounds
from tasks.attribute.step import attribute
from tasks.controls.step import controls
from tasks.encode.step import encode
from tasks.fit.step import fit
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, Model, Record, Scores
from tasks.runs.lock import hold
from tasks.storage import write_json

# Where a worker leaves its result in the run folder, for the flow that sent it.
FITTED = "fitted.json"


class Fitted(Record):
    """What the fitting part hands on: the encoding, the last round's model and its scores."""

    encoding: Encoding
    model: Model
    scores: Scores


def steps_of(options: AuditOptions) -> int:
    """Return how many steps the flow has: encode once, fit and attribute in every round, controls once."""
    return 2 + 2 * options.rounds


def fit_and_attribute(
    dataset: Dataset, folder: Path, options: AuditOptions, previous: Path | None = None
) -> Fitted:
    """Fit the audit's models and give every sample its influence.

    Args:
        dataset: The validated data.
        folder: The run folder.
        options: What decides the scores.
        previous: Folder of the last run of the same data set, whose models are where the fit begins.
    """
    encoding = step(encode, dataset, folder, options, previous)
    *_, (model, scores) = run_rounds(
        options.rounds,
        lambda _, before: step(fit, dataset, encoding, folder, options, before),
        lambda model: step(attribute, dataset, encoding, model, folder, options),
    )
    step(controls, dataset, encoding, model, scores, folder, options)
    return Fitted(encoding=encoding, model=model, scores=scores)


@flow(name="fit", flow_run_name="fit {dataset.name}", persist_result=False, result_serializer="json")
def fit_on_worker(
    dataset: Dataset, folder: Path, options: AuditOptions, previous: Path | None = None
) -> Fitted:
    """Train the models of an audit and attribute their losses to the labels, on the worker that picks this up.

    Sent by `clean-labels` where its `gpu_deployment` names this deployment; not meant to be started by hand.

    Args:
        dataset: The validated data, by path.
        folder: The run folder, at the same path as on the machine that sent it.
        options: What decides the scores.
        previous: Folder of the last run of the same data set, whose models are where the fit begins.
    """
    with (
        hold(folder / ".fit.lock", "another worker fits this run"),
        progress("fit-progress", steps_of(options)),
    ):
        fitted = fit_and_attribute(dataset, folder, options, previous)
        write_json(fitted.model_dump(mode="json"), folder / FITTED)
        return fitted
