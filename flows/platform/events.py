"""What Prefect is told when the last sample of a queue is decided: an event that can start `apply-review`."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import LabelsweepError

if TYPE_CHECKING:
    from flows.results import Results

EVENT = "labels.reviewed"


def announce_reviewed(folder: Path, results: "Results") -> None:
    """Say on the terminal that the queue is finished, and emit the event `labels.reviewed` where a server is named.

    Args:
        folder: The run folder.
        results: The results that it belongs to.
    """
    out = results.name
    with suppress(LabelsweepError):  # tried again when the review ends
        results.publish_decisions()
    sys.stderr.write(
        f"labelsweep: every sample is decided; labelsweep apply {folder.name} --out {out} makes a new version\n"
    )
    from prefect.settings import get_current_settings  # noqa: PLC0415 (a second to import, and only needed now)

    if not get_current_settings().api.url:
        return
    from prefect.events import emit_event  # noqa: PLC0415

    emit_event(
        EVENT,
        resource={
            "prefect.resource.id": f"labelsweep.run.{folder.name}",
            "prefect.resource.name": folder.name,
        },
        payload={"run_id": folder.name, "out": out},
    )
