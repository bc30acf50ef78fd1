"""One sweep: skipped where nothing changed, done in a run folder otherwise, and published where that is asked for.

Nothing heavy is imported before it is known that something changed.
"""

import gc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flows.config import CleanParameters
from flows.incremental import LOOKED_BACK, fetch_last_run, find_unchanged_run
from flows.outcome import RESULT, Cleaned, read_again
from flows.progress import announce_preparation, say
from flows.request import make_request
from flows.signals import raise_signals_first, was_terminated
from flows.tracking import check_tracker, track
from tasks.errors import StoreError
from tasks.ingest.source import locate, remember_sources
from tasks.review.exchange.shared_store import fetch_decisions
from tasks.runs.checksums import check_complete
from tasks.runs.lifecycle import Unchanged, claim_data_set, run_folder
from tasks.runs.remote import publish_run
from tasks.runs.request import Request
from tasks.storage import write_json


def sweep(parameters: CleanParameters, opened: Callable[[Path], None] = lambda _: None) -> Cleaned:
    """Sweep a labeled data set for mislabeled samples, or return what the last run found where nothing changed since.

    Args:
        opened: Told the folder of a run that begins or is resumed.

    Raises:
        LabelsweepError: What went wrong, in one line.
    """
    announce_preparation("looking for changes")
    if parameters.track:
        check_tracker(parameters.track)
    with claim_data_set(parameters.out, parameters.data_set, parameters.wait, say), remember_sources():
        request = make_request(parameters)
        # What the user can mend is said at once; after a fault of the store the ingest step tries again.
        with suppress(StoreError, OSError):
            locate(parameters.make_source().uri)
        if parameters.publish:
            fetch_decisions(parameters.out, parameters.publish)
            fetch_last_run(request, parameters.publish)
        cleaned = _run_steps(parameters, request, opened)
        if parameters.publish:
            published = publish_run(cleaned.folder, parameters.publish)
            cleaned = cleaned.model_copy(update={"published": published})
        if parameters.track and not cleaned.unchanged:
            track(parameters.track, cleaned.folder)
        if parameters.metrics:
            from flows.metrics import write_metrics  # noqa: PLC0415 (only where somebody scrapes them)

            write_metrics(cleaned, parameters.data_set, parameters.metrics)
    return cleaned


def _run_steps(parameters: CleanParameters, request: Request, opened: Callable[[Path], None]) -> Cleaned:
    is_new = request.force or request.resume
    if not is_new and (earlier := find_unchanged_run(request)):
        return read_again(earlier)
    announce_preparation("loading torch and what else a sweep needs")
    gc.disable()  # collecting while some thousand modules come in takes half a second and frees nothing
    from flows.pipeline import run_steps  # noqa: PLC0415 (torch and all that a sweep needs: seconds)

    gc.freeze()
    gc.enable()
    try:
        with run_folder(request, was_terminated) as folder, raise_signals_first():
            opened(folder)
            cleaned = run_steps(parameters, request, folder)
            check_complete(folder, *LOOKED_BACK)
            write_json(cleaned.model_dump(mode="json"), folder / RESULT)
    except Unchanged as unchanged:
        return read_again(unchanged.folder)
    return cleaned
