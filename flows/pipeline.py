"""The steps of a sweep in order, each from the files of the one before: ingest to report."""

from collections.abc import Iterable
from pathlib import Path

from flows.config import CleanParameters
from flows.fit_rounds import Fitted, count_steps, fit_and_attribute
from flows.incremental import (
    find_run_of_same_content,
    note_version,
    note_written_again,
    take_over_last_run,
)
from flows.outcome import Cleaned
from flows.progress import count_progress, count_steps_done, run_step, say
from tasks.errors import ValidationFailed
from tasks.flag.step import flag
from tasks.ingest.leaks.search import describe_leaks
from tasks.ingest.step import ingest
from tasks.json_objects import read_object
from tasks.maps.step import map as draw_map
from tasks.oddities.step import oddities
from tasks.queue.open_samples import SINCE
from tasks.queue.step import queue
from tasks.records import Dataset, Report, Source, Validation
from tasks.report.sections.since import describe_rows_known
from tasks.report.step import report
from tasks.runs.finished import read_dataset
from tasks.runs.lifecycle import Unchanged
from tasks.runs.request import Request
from tasks.storage import read_json
from tasks.validate.step import validate


def run_steps(parameters: CleanParameters, request: Request, folder: Path) -> Cleaned:
    """Run the steps of a sweep in its folder.

    Raises:
        Unchanged: The source says what it said in the last run.
        ValidationFailed: The data failed validation; the report says why.
    """
    options = parameters.audit_options()
    previous, anew = take_over_last_run(request, folder)
    with count_progress(7 + count_steps(options)):
        dataset = run_step(ingest, _name_source(parameters, previous), folder)
        for note in (*dataset.notes, *describe_leaks(dataset.leaks, dataset.suspects)):
            say(note)
        if previous and not anew and (earlier := find_run_of_same_content(request, folder)):
            note_written_again(dataset, earlier)
            raise Unchanged(earlier)
        note_version(dataset, folder, previous)
        validation = _validate_or_report(dataset, folder, parameters, previous)
        _say_since(validation.drift)
        dataset = validation.dataset
        fitted = _fit_here_or_on_gpu(dataset, folder, parameters, None if anew else previous)
        scores = run_step(flag, dataset, fitted.scores, folder, options)
        queued = run_step(
            queue,
            dataset,
            fitted.encoding,
            fitted.model,
            scores,
            folder,
            options,
            max_queue=parameters.max_queue,
            min_queue=parameters.min_queue,
            previous=previous,
            anew=anew,
            reask=parameters.reask,
        )
        _say_since(describe_rows_known(read_object(folder / SINCE), parameters.reask))
        run_step(
            oddities,
            dataset,
            fitted.encoding,
            folder,
            options,
            probabilities=parameters.pred_probs is not None,
        )
        run_step(draw_map, dataset, fitted.encoding, scores, folder, options)
        page = run_step(report, folder, queued)
    _say_doubt(dataset, page)
    return Cleaned(
        folder=folder,
        queue=queued.csv,
        report=page.html,
        summary=page.summary,
        samples=dataset.rows,
        quarantined=validation.quarantined,
        flagged=queued.flagged,
        queued=queued.rows,
        unflagged=queued.unflagged,
        still_open=queued.still_open,
    )


def _name_source(parameters: CleanParameters, previous: Path | None) -> Source:
    """Return what is read; classes are spelled as in the last run."""
    source = parameters.make_source()
    return source.model_copy(update={"classes": read_dataset(previous).classes}) if previous else source


def _say_since(lines: Iterable[str]) -> None:
    for line in lines:
        say(f"since the last run: {line}")


def _say_doubt(dataset: Dataset, page: Report) -> None:
    """Say what gives the label away among the features of images or embeddings, which is known after the fit only."""
    why = read_json(page.summary).get("queue", {}).get("untrusted")
    if why and not dataset.suspects:
        say(f"no estimate of this run can be trusted: {why}")


def _fit_here_or_on_gpu(
    dataset: Dataset, folder: Path, parameters: CleanParameters, previous: Path | None
) -> Fitted:
    """Fit here, or on a worker of the gpu pool."""
    options = parameters.audit_options()
    if parameters.gpu_deployment is None:
        return fit_and_attribute(dataset, folder, options, previous)
    from flows.gpu import fit_by  # noqa: PLC0415 (only where a server and its workers are)

    fitted = fit_by(
        parameters.gpu_deployment, dataset, folder, options, previous, pickup_seconds=parameters.gpu_timeout
    )
    count_steps_done(count_steps(options), "fit and attribute", fitted.scores)
    return fitted


def _validate_or_report(
    dataset: Dataset, folder: Path, parameters: CleanParameters, previous: Path | None
) -> Validation:
    """Validate the data; where they fail, write the report that says why before giving up."""
    try:
        return run_step(
            validate,
            dataset,
            folder,
            folds=parameters.folds,
            tolerance=parameters.tolerance,
            expectations=parameters.expectations,
            data_docs=parameters.data_docs,
            previous=previous,
            drift=parameters.drift,
            drift_tolerance=parameters.drift_tolerance,
        )
    except ValidationFailed as error:
        page = run_step(report, folder)
        result = str(folder / "validation" / "result.json")
        # The report shows what the result holds.
        fix = (error.fix or f"see {result}").replace(result, str(page.html))
        raise ValidationFailed(error.what, where=error.where, fix=fix) from error
