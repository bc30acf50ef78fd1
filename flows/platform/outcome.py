"""How a run ends for other programs: an event with its counts, a gate on them, and a failed state with one line."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from prefect import State
from prefect.events import emit_event
from prefect.states import Failed

from tasks.errors import LabelsweepError, TooMuchNoise
from tasks.storage import read_json

EVENT = "labels.flagged"
Result = TypeVar("Result")


def run_or_fail(work: Callable[[], Result]) -> Result | State[object]:
    """Return what the work of a flow returns; a failed state with one line where the user can mend the error."""
    try:
        return work()
    except LabelsweepError as error:
        return Failed(message=str(error), data=error)


def announce(folder: Path, out: str) -> None:
    """Emit the event `labels.flagged`, which automations can act on, with the counts of a finished run.

    Args:
        folder: The run folder.
        out: Folder or address of the results that it belongs to.
    """
    summary = read_json(folder / "summary.json")
    queue = summary["queue"]
    emit_event(
        EVENT,
        resource={
            "prefect.resource.id": f"labelsweep.run.{folder.name}",
            "prefect.resource.name": folder.name,
        },
        payload={
            "run_id": folder.name,
            "out": out,
            "source": summary["source"],
            "rows": summary["data"]["rows"],
            "flagged": queue["flagged"],
            "queued": queue["queued"],
            "estimated_noise_rate": queue["estimated_noise_rate"],
        },
    )


def check_noise(summary: Path, most: float | None, report: Path) -> None:
    """Let a run pass whose estimated noise is at most `most`.

    Args:
        summary: The run's summary.
        most: Largest share of wrong labels; None lets everything pass.
        report: Where a person sees more.

    Raises:
        TooMuchNoise: The estimate is larger, or there is none that can be trusted.
    """
    if most is None:
        return
    queue = read_json(summary)["queue"]
    if why := queue.get("untrusted"):
        raise TooMuchNoise(
            f"the share of wrong labels cannot be told (--max-noise): {why}",
            where=str(report),
            fix="leave it out with --features, and sweep again",
        )
    estimate = queue["estimated_noise_rate"]
    if estimate > most:
        raise TooMuchNoise(
            f"an estimated {estimate:.1%} of the labels are wrong, more than {most:.1%} (--max-noise)",
            where=str(report),
            fix="review the queue, apply the decisions, and sweep again",
        )
