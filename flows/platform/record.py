"""Runs that were made without a server become flow runs when there is one, so that Prefect's UI shows them too."""

import re
from pathlib import Path

from prefect import State, flow, get_run_logger
from prefect.states import Completed

from flows.outcome import RESULT, read_again
from flows.platform.artifacts import publish_artifacts
from flows.platform.flow_run import FLOW_RUNS, claim_folder
from tasks.runs.checksums import is_run_intact
from tasks.storage import read_json


def record_runs(out: Path, results: str) -> list[str]:
    """Make a flow run of each finished run that Prefect has not seen; return the ids of the runs, oldest first.

    Args:
        results: What a person calls it: the folder or its address.
    """
    folders = (result.parent for result in sorted((out / "runs").glob(f"*/{RESULT}")))
    unseen = [
        folder
        for folder in folders
        if not (folder.is_symlink() or (folder / FLOW_RUNS).exists()) and is_run_intact(folder)
    ]
    for folder in unseen:
        when = r"-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-([0-9a-f]{4})$"
        title = re.sub(when, r" \1-\2-\3 \4:\5:\6 \7", folder.name)
        _record(folder, results, title)
    return [folder.name for folder in unseen]


@flow(name="clean-labels", flow_run_name="{title}", persist_result=False, result_serializer="json")
def _record(folder: Path, results: str, title: str) -> State[object]:  # noqa: ARG001 (the flow run's name)
    """Show a finished run as the flow that makes one would have."""
    cleaned = read_again(folder).model_copy(update={"unchanged": False})
    logger = get_run_logger()
    for step in read_json(cleaned.summary)["steps"]:
        logger.info("%s (%.1f s)", step["step"], step["seconds"])
    publish_artifacts(folder, cleaned.write_headline(), results)
    claim_folder(folder)
    return Completed(
        name="Recorded", message=f"recorded after run {folder.name} had finished without a server"
    )
