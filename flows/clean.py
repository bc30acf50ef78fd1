"""The main flow: from labeled data to a queue of samples that are likely mislabeled, with a report.

Requires: nothing but the data; it runs in process, or on any worker that sees the data and the results.
"""

from pathlib import Path

from prefect import State, flow
from prefect.states import Completed

from flows.config import CleanParameters
from flows.fit import Fitted, fit_and_attribute, steps_of
from flows.incremental import (
    LOOKED_BACK,
    fetch_last_run,
    look_back,
    note_version,
    same_content,
    unchanged_since,
)
from flows.platform.artifacts import publish
from flows.platform.flow_runs import take_over
from flows.platform.outcome import announce, check_noise, run_or_fail
from flows.platform.progress import progress, say, step, steps_done
from flows.request import make_request
from flows.signals import failing_after_ctrl_c_is_interrupted, was_terminated
from tasks.errors import ValidationFailed
from tasks.flag.step import flag
from tasks.ingest.leaks.search import leak_lines
from tasks.ingest.source import held_sources
from tasks.ingest.step import ingest
from tasks.oddities.step import oddities
from tasks.queue.step import queue
from tasks.records import Dataset, Record, Report, Validation
from tasks.report.step import report
from tasks.review.exchange.machines import fetch_decisions
from tasks.runs.checksums import check_complete
from tasks.runs.lifecycle import Unchanged, claim_data_set, run_folder
from tasks.runs.remote import publish_run
from tasks.runs.request import Request
from tasks.storage import read_json, write_json
from tasks.validate.step import validate

# What a run returned, in its folder: what a later one returns where nothing changed.
RESULT = "result.json"


class Cleaned(Record):
    """Where a finished run is, and what it found."""

    folder: Path
    queue: Path
    report: Path
    summary: Path
    samples: int
    quarantined: int
    flagged: int
    queued: int
    unchanged: bool = False
    published: str | None = None

    def headline(self) -> str:
        """Return what a person wants to know first: the counts, and where the queue and the report are."""
        counts = (
            f"{self.samples:,} samples, {self.flagged:,} flagged "
            f"({self.flagged / max(self.samples, 1):.1%}), "
            f"{self.queued:,} queued, {self.quarantined:,} in quarantine"
        )
        lines = [
            counts,
            *self._quality(),
            *self._doubt(),
            f"queue:  {self.queue}",
            f"report: {self.report}",
            "",
        ]
        if self.published:
            lines.insert(-1, f"published: {self.published}")
        if self.unchanged:
            lines.insert(0, f"nothing changed since run {self.folder.name}; --force runs anyway")
        return "\n".join(lines)

    def _doubt(self) -> list[str]:
        """Say why no estimate can be trusted, where none can."""
        why = read_json(self.summary)["queue"].get("untrusted")
        return [f"no estimate can be trusted: {why}"] if why else []

    def _quality(self) -> list[str]:
        """Say how good the queue is, where the truth is known."""
        quality = read_json(self.summary).get("quality")
        if not quality:
            return []
        why = quality.get("undefined", {})

        def figure(name: str, form: str) -> str:
            return (
                format(quality[name], form)
                if quality[name] is not None
                else f"– ({why.get(name, 'undefined')})"
            )

        measured = [
            f"average precision {figure('average_precision', '.3f')}",
            f"F1 {figure('f1', '.3f')}",
            f"suggested label right for {figure('suggested_right', '.1%')}",
        ]
        return [f"against the truth: {', '.join(measured)}"]


@flow(name="clean-labels", flow_run_name="{parameters.title}", persist_result=False, result_serializer="json")
def clean_labels(parameters: CleanParameters) -> Cleaned | State[object]:
    """Sweep a labeled data set for mislabeled samples.

    What the user can put right fails the flow run with one line that says what, where and how.
    """
    return run_or_fail(lambda: _clean(parameters))


def _clean(parameters: CleanParameters) -> Cleaned | State[object]:
    with claim_data_set(parameters.out, parameters.data_set, parameters.wait, say), held_sources():
        request = make_request(parameters)
        if parameters.publish:
            fetch_decisions(parameters.out, parameters.publish)
            fetch_last_run(request, parameters.publish)
        cleaned = _swept(parameters, request)
        if parameters.publish:
            published = publish_run(cleaned.folder, parameters.publish)
            cleaned = cleaned.model_copy(update={"published": published})
    publish(cleaned.folder, cleaned.headline(), parameters.results)
    if not cleaned.unchanged:
        announce(cleaned.folder, parameters.results)
    check_noise(cleaned.summary, parameters.max_noise, cleaned.report)
    if cleaned.unchanged:
        return Completed(name="Unchanged", message=cleaned.headline().splitlines()[0], data=cleaned)
    if parameters.wait_for_review and cleaned.queued:
        from flows.relabel import wait_for_review  # noqa: PLC0415 (only where somebody is asked)

        return wait_for_review(
            cleaned.folder, parameters.results, cleaned.queued, parameters.review_timeout, cleaned
        )
    return cleaned


def _swept(parameters: CleanParameters, request: Request) -> Cleaned:
    """Sweep, or return what the last run found where nothing changed since."""
    is_new = request.force or request.resume
    if not is_new and (earlier := unchanged_since(request)):
        return _as_before(earlier)
    try:
        with run_folder(request, was_terminated) as folder, failing_after_ctrl_c_is_interrupted():
            take_over(folder)
            cleaned = _sweep(parameters, request, folder)
            check_complete(folder, *LOOKED_BACK)
            write_json(cleaned.model_dump(mode="json"), folder / RESULT)
    except Unchanged as unchanged:
        return _as_before(unchanged.folder)
    return cleaned


def _as_before(folder: Path) -> Cleaned:
    """Return the result of an earlier run, which may have been moved since."""
    places = {"folder": folder, "queue": folder / "queue.csv", "report": folder / "report.html"}
    places["summary"] = folder / "summary.json"
    return Cleaned.model_validate({**read_json(folder / RESULT), **places, "unchanged": True})


def _sweep(parameters: CleanParameters, request: Request, folder: Path) -> Cleaned:
    """Run the steps, each from the files of the one before."""
    options = parameters.audit_options()
    previous, anew = look_back(request, folder)
    with progress("clean-labels-progress", 6 + steps_of(options)):
        dataset = step(ingest, parameters.records_source(), folder)
        for note in (*dataset.notes, *leak_lines(dataset.leaks, dataset.suspects)):
            say(note)
        if previous and not anew and (earlier := same_content(request, folder)):
            raise Unchanged(earlier)
        note_version(dataset, folder, previous)
        validation = _validated(dataset, folder, parameters)
        dataset = validation.dataset
        fitted = _fitted(dataset, folder, parameters, None if anew else previous)
        scores = step(flag, dataset, fitted.scores, folder, options)
        queued = step(
            queue,
            dataset,
            fitted.encoding,
            fitted.model,
            scores,
            folder,
            options,
            max_queue=parameters.max_queue,
            previous=previous,
            anew=anew,
        )
        step(
            oddities,
            dataset,
            fitted.encoding,
            folder,
            options,
            probabilities=parameters.pred_probs is not None,
        )
        page = step(report, folder)
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
    )


def _say_doubt(dataset: Dataset, page: Report) -> None:
    """Say what gives the label away among the features of images or embeddings, which is known after the fit only."""
    why = read_json(page.summary).get("queue", {}).get("untrusted")
    if why and not dataset.suspects:
        say(f"no estimate of this run can be trusted: {why}")


def _fitted(dataset: Dataset, folder: Path, parameters: CleanParameters, previous: Path | None) -> Fitted:
    """Fit here, or on a worker of the gpu pool."""
    options = parameters.audit_options()
    if parameters.gpu_deployment is None:
        return fit_and_attribute(dataset, folder, options, previous)
    from flows.gpu import fit_by  # noqa: PLC0415 (only where a server and its workers are)

    fitted = fit_by(
        parameters.gpu_deployment, dataset, folder, options, previous, pickup_seconds=parameters.gpu_timeout
    )
    steps_done(steps_of(options), "fit and attribute", fitted.scores)
    return fitted


def _validated(dataset: Dataset, folder: Path, parameters: CleanParameters) -> Validation:
    """Validate the data; where they fail, write the report that says why before giving up."""
    try:
        return step(
            validate,
            dataset,
            folder,
            folds=parameters.folds,
            tolerance=parameters.tolerance,
            expectations=parameters.expectations,
            data_docs=parameters.data_docs,
        )
    except ValidationFailed as error:
        page = step(report, folder)
        fix = f"{error.fix}; " if error.fix else ""
        raise ValidationFailed(error.what, where=error.where, fix=f"{fix}see {page.html}") from error
