"""The events that automations can act on: `labels.flagged` of a finished run, `labels.reviewed` of a finished review."""

from pathlib import Path
from typing import Any

from flows.outcome import Cleaned
from tasks.runs.request import read_data_set_key
from tasks.storage import read_json

FLAGGED, REVIEWED = "labels.flagged", "labels.reviewed"
# What an automation tells data sets apart by.
DATA_SET_LABEL = "labelsweep.dataset"


def announce_flagged(cleaned: Cleaned, out: str) -> None:
    """Emit `labels.flagged` with the counts of a finished run, and the command that shows what waits.

    Args:
        out: Folder or address of the results that it belongs to.
    """
    summary = read_json(cleaned.summary)
    queue = summary["queue"]
    counts = {name: queue[name] for name in ("flagged", "queued", "estimated_noise_rate")}
    counts |= {"rows": summary["data"]["rows"], "still_open": cleaned.still_open}
    _send_event(
        FLAGGED, cleaned.folder, out, source=summary["source"], review=cleaned.review_command(), **counts
    )


def announce_reviewed(folder: Path, out: str) -> None:
    """Emit `labels.reviewed`, which can start `apply-review`, where a server is named.

    Args:
        out: Folder or address of the results that it belongs to.
    """
    from prefect.settings import get_current_settings  # noqa: PLC0415 (a second to import)

    if get_current_settings().api.url:
        _send_event(REVIEWED, folder, out)


def _send_event(event: str, folder: Path, out: str, **counts: Any) -> None:  # noqa: ANN401 (JSON)
    from prefect.events import emit_event  # noqa: PLC0415 (a second to import)

    resource = {
        "prefect.resource.id": f"labelsweep.run.{folder.name}",
        "prefect.resource.name": folder.name,
        DATA_SET_LABEL: read_data_set_key(folder),
    }
    emit_event(event, resource=resource, payload={"run_id": folder.name, "out": out, **counts})
