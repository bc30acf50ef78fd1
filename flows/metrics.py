"""The figures of a data set's last sweep as OpenMetrics, such as the textfile collector of node exporter reads."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.exposition import generate_latest

from flows.outcome import Cleaned
from tasks.runs.history import read_past_run
from tasks.storage import read_json, write_text


def write_metrics(cleaned: Cleaned, data_set: str, file: Path) -> None:
    """Write the figures of a finished run to a file, which is replaced at once.

    Args:
        cleaned: The run, or the last one where nothing changed.
        data_set: Name of the data set, the label of each figure.
        file: Where to; its folder is there.
    """
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float | None, **labels: str) -> None:
        if value is not None:
            kept = Gauge(f"labelsweep_{name}", text, ["data_set", *labels], registry=registry)
            kept.labels(data_set, *labels.values()).set(value)

    summary = read_json(cleaned.summary)
    queue = summary["queue"]
    rate = queue.get("controls", {}).get("noise_rate") or {}
    gauge("rows", "Samples of the data set.", cleaned.samples)
    gauge("quarantined", "Rows that validation set aside.", cleaned.quarantined)
    gauge("flagged", "Samples that are likely mislabeled.", cleaned.flagged)
    gauge("queued", "Samples of the last queue.", cleaned.queued)
    gauge("noise_ratio", "Estimated share of wrong labels.", queue.get("estimated_noise_rate"))
    gauge("noise_low_ratio", "Lower end of the interval of their share.", rate.get("low"))
    gauge("noise_high_ratio", "Upper end of the interval of their share.", rate.get("high"))
    gauge(
        "swept_timestamp_seconds",
        "When the last sweep began.",
        read_past_run(cleaned.folder).date.timestamp(),
    )
    seconds = Gauge("labelsweep_step_seconds", "Time of each step.", ["data_set", "step"], registry=registry)
    for step in summary["steps"]:
        seconds.labels(data_set, step["step"]).set(step["seconds"])
    write_text(generate_latest(registry).decode(), file)
