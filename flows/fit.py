"""The flow that fits on a worker of the gpu pool. Requires: torch, pyDVL; a GPU when one is there."""

from pathlib import Path

from prefect import State, flow

from flows.fit_rounds import FITTED, Fitted, count_steps, fit_and_attribute
from flows.platform.flow_run import FlowRunWatcher, run_or_fail
from flows.progress import add_watcher, count_progress
from tasks.options import AuditOptions
from tasks.records import Dataset
from tasks.runs.lock import hold_lock
from tasks.runs.request import read_data_set_key
from tasks.storage import write_json


@flow(name="fit", flow_run_name="fit {dataset.name}", persist_result=False, result_serializer="json")
def fit_on_worker(
    dataset: Dataset, folder: Path, options: AuditOptions, previous: Path | None = None
) -> Fitted | State[object]:
    """Train the models of an audit and attribute their losses to the labels, on the worker that picks this up.

    Sent by `clean-labels` where its `gpu_deployment` names this deployment; not meant to be started by hand.

    Args:
        folder: The run folder, at the same path as on the machine that sent it.
        previous: Folder of the last run of the same data set, whose models are where the fit begins.
    """

    def fit() -> Fitted:
        with (
            hold_lock(folder / ".fit.lock", "another worker fits this run"),
            add_watcher(FlowRunWatcher(read_data_set_key(folder))),
            count_progress(count_steps(options)),
        ):
            fitted = fit_and_attribute(dataset, folder, options, previous)
            write_json(fitted.model_dump(mode="json"), folder / FITTED)
            return fitted

    return run_or_fail(fit)
