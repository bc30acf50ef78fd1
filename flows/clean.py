"""The main flow: from labeled data to a queue of samples that are likely mislabeled, with a report.

Requires: nothing but the data; it runs on any worker that sees the data and the results.
"""

from pathlib import Path

from prefect import State, flow, get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.config import CleanParameters
from flows.outcome import RESULT, Cleaned, check_noise, read_again
from flows.platform.artifacts import publish_artifacts
from flows.platform.events import announce_flagged
from flows.platform.flow_run import (
    FlowRunWatcher,
    ask_server,
    claim_folder,
    list_flow_runs,
    run_or_fail,
    stay_cancelled,
    tag_flow_run,
)
from flows.platform.worker import choose_worker_results
from flows.progress import add_watcher
from flows.sweep import sweep


@flow(
    name="clean-labels",
    flow_run_name="{parameters.title}",
    persist_result=False,
    result_serializer="json",
    on_crashed=[stay_cancelled],
)
def clean_labels(parameters: CleanParameters) -> Cleaned | State[object]:
    """Sweep a labeled data set for mislabeled samples.

    What the user can put right fails the flow run with one line that says what, where and how.
    """
    return run_or_fail(lambda: _clean(parameters))


def _clean(parameters: CleanParameters) -> Cleaned | State[object]:
    parameters = parameters.replace_results(
        choose_worker_results(parameters.results_as_named, get_run_logger().info)
    )
    if parameters.wait_for_review and (cleaned := _find_finished_before(parameters.out)):
        return _wait_for_review(parameters, cleaned)
    ask_server(lambda: tag_flow_run(f"dataset:{parameters.data_set}"))
    with add_watcher(FlowRunWatcher(parameters.data_set)):
        cleaned = sweep(parameters, claim_folder)
    ask_server(lambda: publish_artifacts(cleaned.folder, cleaned.write_headline(), parameters.results))
    if not cleaned.unchanged:
        announce_flagged(cleaned, parameters.results)
    check_noise(cleaned, parameters.max_noise)
    if cleaned.unchanged:
        return Completed(name="Unchanged", message=cleaned.write_headline().splitlines()[0], data=cleaned)
    if parameters.wait_for_review and cleaned.queued:
        return _wait_for_review(parameters, cleaned)
    return Completed(message=cleaned.describe_counts(), data=cleaned)


def _find_finished_before(out: Path) -> Cleaned | None:
    """Return what this flow run found before it was suspended for the review, None where it has just begun."""
    folders = (path.parent for path in (out / "runs").glob(f"*/{RESULT}") if not path.parent.is_symlink())
    found = next((folder for folder in folders if str(flow_run.id) in list_flow_runs(folder)), None)
    return read_again(found).model_copy(update={"unchanged": False}) if found else None


def _wait_for_review(parameters: CleanParameters, cleaned: Cleaned) -> State[object]:
    from flows.relabel import wait_for_review  # noqa: PLC0415 (only where somebody is asked)

    seconds = parameters.review_timeout
    return wait_for_review(cleaned.folder, parameters.results, cleaned.queued, seconds, cleaned)
