"""What other programs are told of a finished run: an event with its counts, and a gate that fails it."""

from pathlib import Path

from prefect.events import emit_event

from tasks.errors import TooMuchNoise
from tasks.storage import read_json

EVENT = "labels.flagged"


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
